"""BN611: the statistics describe the layers' input with dropout on, as in training, not as inference sees it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bncheck.core import THRESHOLDS
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of, in_words
from bncheck.rules.judging.drifting import drifted_layers
from bncheck.rules.judging.harm import severity_of
from bncheck.rules.judging.measures import noise_of, worst
from bncheck.rules.judging.naming import some_names
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield by its cost where all that drifts is gone, or nearly, with dropout on."""
    drifted = drifted_layers(evidence)
    gaps = {layer.layer.name: evidence.closer.dropout.get(layer.layer.name) for layer in drifted}
    known = {name: gap for name, gap in gaps.items() if gap is not None}
    if not known or len(known) < len(drifted) or severity_of(evidence.effect) == Severity.INFO:
        return
    off, on = (math.hypot(*(getattr(gap, mode) for gap in known.values())) for mode in ("off", "on"))
    most = max(known, key=lambda name: known[name].off)
    if on > THRESHOLDS.dropout_left * off or known[most].on > THRESHOLDS.dropout_left * known[most].off:
        return
    yield Finding(
        code="BN611",
        severity=severity_of(evidence.effect),
        layers=tuple(known),
        message=(
            f"Dropout stands before {some_names(list(known))}: the stored statistics describe the input with dropout "
            f"on (gap {known[most].on:.2f} in {most}), not as inference sees it (gap {known[most].off:.2f}). "
            f"{in_words(evidence.effect)}"
        ),
        fix=(
            "Recalibrate the statistics with dropout off, as inference runs; in the next training put dropout behind "
            "the last BatchNorm."
        ),
        measure=worst("gap", {name: gap.off for name, gap in known.items()}, noise=noise_of(drifted)),
        cost=cost_of(evidence.effect, evidence),
        evidence={
            "layers": list(known),
            "gaps_dropout_off": [gap.off for gap in known.values()],
            "gaps_dropout_on": [gap.on for gap in known.values()],
            "predictions_changed": evidence.effect.predictions_changed if evidence.effect else None,
            "accuracy_gain": evidence.effect.gain if evidence.effect else None,
        },
    )
