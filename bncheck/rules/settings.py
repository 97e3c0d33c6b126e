"""Group 3: settings of a layer that training or inference trips over: momentum (BN301), no statistics (BN303)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bncheck.core.layers import BATCH_NORM, NormLayer
from bncheck.evidence import Evidence
from bncheck.results.finding import Finding
from bncheck.results.report import INFO, WARNING
from bncheck.rules.absent import name_some

OTHER_CONVENTION = 0.9
"""Momenta from here on are Keras' or TensorFlow's weight of the old value, where PyTorch's is that of the new one."""
NOT_TRAINED = ("onnx", "exported")
"""Formats in which nothing updates the statistics, so that momentum is never read."""


def unlikely_momentum(evidence: Evidence) -> Iterator[Finding]:
    """BN301: a momentum by which the next training forgets everything, or learns nothing."""
    if evidence.model_format in NOT_TRAINED:
        return
    layers = [
        layer
        for layer in evidence.with_statistics()
        if layer.trainable_class and not layer.is_folded and _is_unlikely(layer.momentum)
    ]
    if not layers:
        return
    values = sorted({layer.momentum for layer in layers if layer.momentum is not None})
    yield Finding(
        code="BN301",
        severity=WARNING if evidence.training_planned else INFO,
        layers=tuple(layer.name for layer in layers),
        message=f"{' '.join(_consequence(value, layers) for value in values)} Inference does not read it.",
        fix=(
            "Before training on, set momentum to the weight of the newest batch "
            f"({', '.join(f'{_meant(value):g} for {value:g}' for value in values)}); otherwise nothing has to be done."
        ),
        evidence={"layers": [layer.name for layer in layers], "momenta": values},
    )


def _is_unlikely(momentum: float | None) -> bool:
    return momentum is not None and (momentum == 0.0 or momentum >= OTHER_CONVENTION)


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


def no_statistics(evidence: Evidence) -> Iterator[Finding]:
    """BN303: BatchNorm that was built without running statistics, so that every prediction depends on its batch."""
    layers = [
        layer
        for layer in evidence.layers
        if layer.kind == BATCH_NORM and layer.trainable_class and not layer.has_statistics and not layer.missing
        # Of a layer that only the reference has, nothing is known here.
        if evidence.comparison is None or layer.name not in evidence.comparison.unfound
    ]
    if not layers:
        return
    yield Finding(
        code="BN303",
        severity=WARNING,
        layers=tuple(layer.name for layer in layers),
        message=(
            f"{len(layers)} BatchNorm {'layer keeps' if len(layers) == 1 else 'layers keep'} no running statistics "
            f"({name_some(layers)}) and normalize by the batch in eval mode too: predictions depend on which samples "
            "run together."
        ),
        fix=(
            "Build the layers with track_running_stats=True and measure the statistics on training data, or use "
            "GroupNorm. If it is meant so, give large mixed batches and --ignore BN303."
        ),
        evidence={"layers": [layer.name for layer in layers], "count": len(layers)},
    )
