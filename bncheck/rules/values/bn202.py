"""BN202: a stored variance below 0."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import total
from bncheck.rules.judging.naming import SHOWN_CHANNELS, channels_in_words, shown
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error for each layer with such channels."""
    for layer in evidence.with_statistics():
        variance = layer.statistics[1]
        channels = np.flatnonzero(variance < 0)
        if not channels.size:
            continue
        lowest = int(np.nanargmin(variance))
        value = f"{variance[lowest]:.4g}"
        yield Finding(
            code="BN202",
            severity=Severity.ERROR,
            layers=(layer.name,),
            message=(
                f"{layer.name} stores a negative variance in {channels_in_words(channels, layer)}"
                + (f", the lowest {value} in channel {lowest}." if channels.size > 1 else f": {value}.")
            ),
            fix=(
                "Recalibrate the statistics on training data; then look at what wrote them: a conversion that "
                "mixed up tensors, or weights averaged by extrapolation."
            ),
            measure=total("channel", {layer.name: channels.size}),
            evidence={
                "channel_indices": channels[:SHOWN_CHANNELS].tolist(),
                "count": int(channels.size),
                "lowest": shown(float(variance[lowest])),
            },
        )
