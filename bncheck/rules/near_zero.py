"""BN203: channels that store no variance to speak of, under a gain that would amplify whatever varies there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bncheck.core.layers import FloatArray, NormLayer
from bncheck.core.thresholds import LARGEST_EPS
from bncheck.evidence import Evidence
from bncheck.results.finding import Finding
from bncheck.results.report import INFO
from bncheck.rules.absent import name_some
from bncheck.rules.cost import at_most_warning
from bncheck.rules.own import Channels, accounts_for_drift, own_statistics

NOTHING = 0.01
"""A variance below so many times eps is as good as 0: eps alone makes the root."""
SMALLEST_EPS = 1e-5
"""PyTorch's, taken for that comparison where the file does not give eps."""
LARGE_GAIN = 10.0
"""abs(gamma) / sqrt(variance + eps) from which an input that varies at all is amplified."""
SHOWN_CHANNELS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Dead:
    """A layer's channels without variance, and what they would do to an input that varies after all."""

    layer: NormLayer
    channels: Channels
    gain: FloatArray


def near_zero_variance(evidence: Evidence) -> Iterator[Finding]:
    """BN203: a remark on the file alone; with data only channels that do vary, by what it costs if they explain it."""
    found = [dead for layer in evidence.with_statistics() if (dead := _dead(layer, evidence)) is not None]
    if not found:
        return
    explained = accounts_for_drift(evidence, {dead.layer.name: dead.channels for dead in found})
    varies = any(dead.layer.name in evidence.measured for dead in found)
    count = sum(int(dead.channels.sum()) for dead in found)
    worst = max(float(dead.gain[dead.channels].max()) for dead in found)
    yield Finding(
        code="BN203",
        severity=at_most_warning(evidence.effect) if explained else INFO,
        layers=tuple(dead.layer.name for dead in found),
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
            else "Run it on data (--data): they show whether the channels are dead there too."
        ),
        evidence={
            "layers": [dead.layer.name for dead in found],
            "channels": {dead.layer.name: np.flatnonzero(dead.channels)[:SHOWN_CHANNELS].tolist() for dead in found},
            "count": count,
            "largest_gain": worst if math.isfinite(worst) else str(worst),
            "explains_the_drift": explained,
        },
    )


def _dead(layer: NormLayer, evidence: Evidence) -> Dead | None:
    if layer.missing:
        return None
    var = layer.statistics[1]
    eps = layer.eps
    gamma = np.ones_like(var) if layer.weight is None else np.abs(layer.weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = gamma / np.sqrt(var + (LARGEST_EPS if eps is None else eps))
        channels = (var >= 0) & (var <= NOTHING * (SMALLEST_EPS if eps is None else eps)) & (gain >= LARGE_GAIN)
    measured = evidence.measured.get(layer.name)
    if measured is not None:
        channels &= own_statistics(measured)[1] > (eps or 0.0)
    return Dead(layer, channels, gain) if channels.any() else None
