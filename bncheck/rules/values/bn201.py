"""BN201: NaN or infinity in a layer's statistics, gamma or beta."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bncheck.core import FloatArray
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import total
from bncheck.rules.judging.naming import SHOWN_CHANNELS, channels_in_words
from bncheck.vocabulary import CHECK, Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error for each such layer."""
    for layer in evidence.layers:
        arrays = {"mean": layer.mean, "variance": layer.var, "gamma": layer.weight, "beta": layer.bias}
        known = {name: values for name, values in arrays.items() if values is not None}
        bad = {name: np.flatnonzero(~np.isfinite(values)) for name, values in known.items()}
        bad = {name: channels for name, channels in bad.items() if channels.size}
        if not bad:
            continue
        where = " and ".join(f"{name} ({channels_in_words(channels, layer)})" for name, channels in bad.items())
        yield Finding(
            code="BN201",
            severity=Severity.ERROR,
            layers=(layer.name,),
            message=f"{layer.name} holds values that are not finite: {where}.",
            fix=(
                "Go back to a checkpoint from before they appeared; if only statistics are hit, recalibrating "
                "them on training data repairs the file. Then look for the batch that overflowed (mixed precision, "
                "a NaN in the input)."
            ),
            command=CHECK if {"gamma", "beta"} & bad.keys() else "repair",
            measure=total("value", {layer.name: sum(channels.size for channels in bad.values())}),
            evidence={
                f"{name}_not_finite": {
                    "channel_indices": channels[:SHOWN_CHANNELS].tolist(),
                    "values": _shown(known[name], channels),
                }
                for name, channels in bad.items()
            },
        )


def _shown(values: FloatArray, channels: npt.NDArray[np.intp]) -> list[str]:
    """Give the values themselves, as strings: JSON has no NaN."""
    return [str(value) for value in values[channels[:SHOWN_CHANNELS]]]
