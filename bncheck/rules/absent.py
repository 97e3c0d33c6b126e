"""Group 1: statistics that are absent or were never learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bncheck.core.layers import FloatArray, NormLayer
from bncheck.evidence import Evidence
from bncheck.results.finding import Finding
from bncheck.results.report import ERROR, INFO
from bncheck.rules.cost import fits_as_shipped, in_words, or_leave

NAMED = 5
"""How many layers a message names before it says how many more there are."""


_UNLESS = ", unless training ran in eval mode: then the weights need them as they are, which --data would show"


def missing_statistics(evidence: Evidence) -> Iterator[Finding]:
    """BN101: the architecture, or layers named alike in the same file, have statistics; these have none."""
    missing = [layer for layer in evidence.layers if layer.missing]
    if not missing:
        return
    total = sum(layer.expects_statistics for layer in evidence.layers)
    yield Finding(
        code="BN101",
        severity=ERROR,
        layers=tuple(layer.name for layer in missing),
        message=f"{len(missing)} of {total} layers have no running statistics in the checkpoint: {name_some(missing)}.",
        fix=(
            "Save the buffers too (`model.state_dict()`, not `model.parameters()`), or load a checkpoint that has "
            "them; where there is none, recalibrate the statistics on training data."
        ),
        evidence={"missing": len(missing), "expected": total, "layers": [layer.name for layer in missing]},
    )


def never_updated(evidence: Evidence) -> Iterator[Finding]:
    """BN102: every mean is exactly 0 and every variance exactly 1, under weights that were trained."""
    layers = [layer for layer in evidence.with_statistics() if not layer.missing]
    suspects = [layer for layer in layers if is_initial(layer) and would_have_learned(layer)]
    trained = [layer for layer in suspects if was_trained(layer)]
    if not trained:
        return
    if len(suspects) == len(layers):
        yield _never_updated(suspects, None, trained, evidence)
        return
    for layer in trained:
        yield _never_updated([layer], layer.name, [layer], evidence)


def _never_updated(
    layers: Sequence[NormLayer], name: str | None, trained: Sequence[NormLayer], evidence: Evidence
) -> Finding:
    # Weights that were trained around the identity, in eval mode, need it.
    severity = INFO if fits_as_shipped(evidence.effect) else ERROR
    weight, bias = _spread(trained[0].weight), _spread(trained[0].bias)
    return Finding(
        code="BN102",
        severity=severity,
        layers=tuple(layer.name for layer in layers),
        message=(
            f"The statistics of {name_some(layers)} are the initial ones, mean 0 and variance 1 in every channel, "
            "although the weights were trained."
            + (f" They serve these data: {_uncapped(in_words(evidence.effect))}" if severity == INFO else "")
        ),
        fix=or_leave(
            evidence,
            severity,
            f"Recalibrate the statistics on training data{'' if evidence.effect else _UNLESS}. If these are averaged "
            "weights (SWA, EMA), average or update the buffers too (`torch.optim.swa_utils.update_bn`); if training "
            "ran in eval mode, train in train mode.",
        ),
        evidence={
            "layers": [layer.name for layer in layers],
            "mean": 0.0,
            "variance": 1.0,
            "updates": layers[0].updates,
            "gamma_min_max": weight,
            "beta_min_max": bias,
        },
    )


def _uncapped(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def is_initial(layer: NormLayer) -> bool:
    """Whether no update has ever run: mean 0 and variance 1 to the last digit."""
    return bool(np.all(layer.mean == 0.0) and np.all(layer.var == 1.0))


def would_have_learned(layer: NormLayer) -> bool:
    """Whether training updates the statistics; not those of a frozen class, which may be a folded layer.

    Where only tensors are known, the update counter tells BatchNorm from a frozen class, which has none.
    """
    return layer.trainable_class is True or (layer.trainable_class is None and layer.updates is not None)


def was_trained(layer: NormLayer) -> bool:
    """Whether beta varies over channels: no initialisation does that (gamma is drawn at random by some)."""
    values = layer.bias if layer.bias is not None else layer.weight
    return values is not None and values.size > 1 and float(np.ptp(values)) > 0


def _spread(values: FloatArray | None) -> list[float] | None:
    return None if values is None else [float(values.min()), float(values.max())]


def name_some(layers: Sequence[NormLayer]) -> str:
    """The first layers by name, and how many more there are."""
    return some_names([layer.name for layer in layers])


def some_names(layers: Sequence[str]) -> str:
    """The same from their names."""
    names = ", ".join(name or "the model itself" for name in layers[:NAMED])
    more = len(layers) - NAMED
    return f"{names} and {more} more" if more > 0 else names
