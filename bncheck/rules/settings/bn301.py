"""BN301: a momentum by which the next training forgets everything, or learns nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bncheck.core import THRESHOLDS, NormLayer
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import layers_counted
from bncheck.rules.judging.naming import name_some
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark; a warning where the model is to be trained further."""
    if not evidence.advice.is_trained_on:
        return
    layers = [
        layer
        for layer in evidence.with_statistics()
        if layer.trainable_class and not layer.is_folded and _is_unlikely(layer.momentum)
    ]
    if not layers:
        return
    names = tuple(layer.name for layer in layers)
    values = sorted({layer.momentum for layer in layers if layer.momentum is not None})
    yield Finding(
        code="BN301",
        severity=Severity.WARNING if evidence.training_planned else Severity.INFO,
        layers=names,
        message=f"{' '.join(_consequence(value, layers) for value in values)} Inference does not read it.",
        fix=(
            "Before training on, set momentum to the weight of the newest batch "
            f"({', '.join(f'{_meant(value):g} for {value:g}' for value in values)}); otherwise nothing has to be done."
        ),
        measure=layers_counted(names),
        evidence={"layers": list(names), "momenta": values},
    )


def _is_unlikely(momentum: float | None) -> bool:
    return momentum is not None and (momentum == 0.0 or momentum >= THRESHOLDS.other_convention)


def _consequence(momentum: float, layers: Sequence[NormLayer]) -> str:
    named = name_some([layer for layer in layers if layer.momentum == momentum])
    if momentum == 0.0:
        return f"Momentum 0 in {named}: training does not update the statistics."
    return (
        f"Momentum {momentum:g} in {named}, the weight of the newest batch: training on leaves the statistics of the "
        "last batch or two. Another convention's weight of the old value was probably meant."
    )


def _meant(momentum: float) -> float:
    return round(1 - momentum, 6) if 0.0 < momentum < 1.0 else 0.1
