"""BN203: channels that store no variance to speak of, under a gain that would amplify whatever varies there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bncheck.core import THRESHOLDS, FloatArray, NormLayer
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of
from bncheck.rules.judging.drifting import Channels, accounts_for_drift, own_statistics
from bncheck.rules.judging.harm import severity_of
from bncheck.rules.judging.measures import total
from bncheck.rules.judging.naming import SHOWN_CHANNELS, name_some, shown
from bncheck.vocabulary import Severity, argument


@dataclass(frozen=True, slots=True, eq=False)
class Dead:
    """A layer's channels without variance, and what they would do to an input that varies after all."""

    layer: NormLayer
    channels: Channels
    gain: FloatArray


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark on the file alone; with data only channels that do vary, by what it costs if they explain it."""
    found = [dead for layer in evidence.with_statistics() if (dead := _dead(layer, evidence)) is not None]
    if not found:
        return
    explained = accounts_for_drift(evidence, {dead.layer.name: dead.channels for dead in found})
    varies = any(dead.layer.name in evidence.measured for dead in found)
    counts = {dead.layer.name: int(dead.channels.sum()) for dead in found}
    count = sum(counts.values())
    worst = max(float(dead.gain[dead.channels].max()) for dead in found)
    yield Finding(
        code="BN203",
        severity=severity_of(evidence.effect) if explained else Severity.INFO,
        layers=tuple(counts),
        message=(
            f"{count} {'channel' if count == 1 else 'channels'} of {name_some([dead.layer for dead in found])} "
            f"{'stores' if count == 1 else 'store'} a variance of nearly 0 under a gain of up to {worst:.3g}: "
            + (
                "on these data they do vary, and are amplified by that."
                if varies
                else "dead channels are harmless; if the input varies there after all, it is amplified by that."
            )
        ),
        fix=(
            "Recalibrate the statistics on data in which these channels vary, or set their gamma to 0 if they never "
            "mattered."
            if varies
            else f"Run it on data ({argument('data')}): they show whether the channels are dead there too."
        ),
        measure=total("channel", counts),
        cost=cost_of(evidence.effect, evidence) if explained else None,
        evidence={
            "layers": list(counts),
            "channel_indices_by_layer": {
                dead.layer.name: np.flatnonzero(dead.channels)[:SHOWN_CHANNELS].tolist() for dead in found
            },
            "count": count,
            "largest_gain": shown(worst),
            "explains_the_drift": explained,
        },
    )


def _dead(layer: NormLayer, evidence: Evidence) -> Dead | None:
    if layer.missing:
        return None
    var, eps = layer.statistics[1], layer.eps
    gamma = np.ones_like(var) if layer.weight is None else np.abs(layer.weight)
    nothing = THRESHOLDS.no_variance * (THRESHOLDS.smallest_eps if eps is None else eps)
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = gamma / np.sqrt(var + (THRESHOLDS.largest_eps if eps is None else eps))
        channels = (var >= 0) & (var <= nothing) & (gain >= THRESHOLDS.large_gain)
    measured = evidence.measured.get(layer.name)
    if measured is not None:
        channels &= own_statistics(measured)[1] > (eps or 0.0)
    return Dead(layer, channels, gain) if channels.any() else None
