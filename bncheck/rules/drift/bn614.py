"""BN614: what layers see has moved since an earlier run, by more than the samples of both can show by chance."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import THRESHOLDS
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import worst
from bncheck.vocabulary import Severity, argument


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a warning that names the layers which surely moved beyond the margin."""
    drift = evidence.drift
    if drift is None:
        return
    moved = {name: layer for name, layer in drift.layers.items() if layer.lower > THRESHOLDS.margin}
    if not moved:
        return
    gaps = {name: layer.gap for name, layer in moved.items()}
    first, largest = next(iter(moved)), max(moved, key=lambda name: moved[name].gap)
    told = f"{largest or 'The model'} by {gaps[largest]:.2f}"
    if first != largest:
        told += f", {first or 'the model'} first in the network by {gaps[first]:.2f}"
    yield Finding(
        code="BN614",
        severity=Severity.WARNING,
        layers=tuple(moved),
        message=(
            f"Since {drift.since} was written, what {len(moved)} of {len(drift.layers)} layers see has moved by more "
            f"than {THRESHOLDS.margin} of its standard deviations, beyond what {drift.then:,} samples then and "
            f"{drift.now:,} now show by chance: {told}."
        ),
        fix=(
            "Look at the first of these layers: where it is fed by the input, compare the data of both runs (source, "
            "preprocessing, camera, season). If the change is meant, recalibrate on new data, and write new moments "
            f"with {argument('write_moments')}."
        ),
        measure=worst("gap", gaps, noise=max(layer.noise for layer in moved.values()), limit=THRESHOLDS.margin),
        evidence={
            "against": drift.since,
            "samples_then": drift.then,
            "samples_now": drift.now,
            "drift": gaps,
            "drift_lower_bound": {name: layer.lower for name, layer in moved.items()},
        },
    )
