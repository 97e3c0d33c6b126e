"""Group 2: stored values that cannot be right."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bncheck.core.layers import NormLayer
from bncheck.evidence import Evidence
from bncheck.results.finding import Finding
from bncheck.results.report import ERROR

NAMED_CHANNELS = 8


def not_finite(evidence: Evidence) -> Iterator[Finding]:
    """BN201: NaN or infinity in a layer's statistics, gamma or beta."""
    for layer in evidence.layers:
        bad = {name: np.flatnonzero(~np.isfinite(values)) for name, values in _arrays(layer).items()}
        bad = {name: channels for name, channels in bad.items() if channels.size}
        if bad:
            where = " and ".join(f"{name} ({_channels(channels, layer)})" for name, channels in bad.items())
            yield Finding(
                code="BN201",
                severity=ERROR,
                layers=(layer.name,),
                message=f"{layer.name} holds values that are not finite: {where}.",
                fix=(
                    "Go back to a checkpoint from before they appeared; if only statistics are hit, recalibrating "
                    "them on training data repairs the file. Then look for the batch that overflowed (mixed precision, "
                    "a NaN in the input)."
                ),
                evidence={
                    name: {"channels": channels[:NAMED_CHANNELS].tolist(), "values": _shown(layer, name, channels)}
                    for name, channels in bad.items()
                },
            )


def negative_variance(evidence: Evidence) -> Iterator[Finding]:
    """BN202: a stored variance below 0."""
    for layer in evidence.with_statistics():
        variance = _arrays(layer)["variance"]
        channels = np.flatnonzero(variance < 0)
        if channels.size:
            lowest = int(np.nanargmin(variance))
            value = f"{variance[lowest]:.4g}"
            yield Finding(
                code="BN202",
                severity=ERROR,
                layers=(layer.name,),
                message=(
                    f"{layer.name} stores a negative variance in {_channels(channels, layer)}"
                    + (f", the lowest {value} in channel {lowest}." if channels.size > 1 else f": {value}.")
                ),
                fix=(
                    "Recalibrate the statistics on training data; then look at what wrote them: a conversion that "
                    "mixed up tensors, or weights averaged by extrapolation."
                ),
                evidence={
                    "channels": channels[:NAMED_CHANNELS].tolist(),
                    "count": int(channels.size),
                    "lowest": float(variance[lowest]) if np.isfinite(variance[lowest]) else str(variance[lowest]),
                },
            )


def _arrays(layer: NormLayer) -> dict[str, npt.NDArray[np.float64]]:
    arrays = {"mean": layer.mean, "variance": layer.var, "gamma": layer.weight, "beta": layer.bias}
    return {name: values for name, values in arrays.items() if values is not None}


def _channels(channels: npt.NDArray[np.intp], layer: NormLayer) -> str:
    if channels.size == 1:
        return f"channel {channels[0]}"
    return f"{channels.size} of {layer.channels} channels"


def _shown(layer: NormLayer, name: str, channels: npt.NDArray[np.intp]) -> list[str]:
    """The values themselves, as strings: JSON has no NaN."""
    return [str(value) for value in _arrays(layer)[name][channels[:NAMED_CHANNELS]]]
