"""BN208: outputs that are not finite, although the samples and what every layer sees are."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bncheck.core import NormLayer
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import single
from bncheck.rules.judging.naming import some_names
from bncheck.vocabulary import CHECK, Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error where no layer and none of its statistics account for them: they arise behind the last one."""
    bad, data = evidence.outputs_not_finite, evidence.data
    if not bad or data is None or any(map(_is_broken, evidence.layers)):
        return
    if not all(math.isfinite(layer.gap) for layer in evidence.measured.values()):
        return  # they come from before the first layer whose input is not, which BN603 names
    last, broken = next(reversed([*evidence.measured]), None), evidence.closer.broken
    where = "" if last is None else f" It happens behind {last or 'the layer'}, the last that normalizes."
    held = f" {some_names(broken)} {'holds' if len(broken) == 1 else 'hold'} NaN or infinity." if broken else ""
    yield Finding(
        code="BN208",
        severity=Severity.ERROR,
        layers=(),
        message=(
            f"The outputs of {bad} of {data.samples} samples are not finite, although the samples and what every "
            f"normalization sees are.{where}{held}"
        ),
        fix=(
            "Go back to a checkpoint from before those values appeared: nothing measured here can repair weights."
            if broken
            else "Look at what lies behind: a division by 0, a logarithm or a root, or an overflow in half precision."
        ),
        measure=single("sample", bad),
        command=CHECK,
        evidence={
            "samples_not_finite": bad,
            "samples": data.samples,
            "last_finite_layer": last,
            "tensors_not_finite": list(broken),
        },
    )


def _is_broken(layer: NormLayer) -> bool:
    """Tell whether the layer's own values account for it, which BN201 and BN202 say."""
    arrays = [one for one in (layer.mean, layer.var, layer.weight, layer.bias) if one is not None]
    negative = layer.var is not None and bool(np.any(layer.var + (layer.eps or 0.0) <= 0))
    return negative or not all(np.isfinite(one).all() for one in arrays)
