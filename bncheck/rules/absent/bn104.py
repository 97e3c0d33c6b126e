"""BN104: the counter says that the initial statistics are still there, and the values say they are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bncheck.core import NormLayer
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.counters import counted, short_trainings
from bncheck.rules.judging.measures import layers_counted
from bncheck.rules.judging.naming import name_some
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark that names every such layer."""
    layers = [layer for layer in counted(evidence) if layer.updates == 0 and layer.momentum != 0]
    # Without the momentum a counter above 0 is wrong where none that people write could have left such values.
    layers += [
        layer
        for short in short_trainings(evidence)
        if short.contradicted_at_any_momentum or (short.contradicted and not short.assumed)
        for layer in short.layers
    ]
    if not layers:
        return
    names = tuple(layer.name for layer in layers)
    counts = sorted({layer.updates for layer in layers if layer.updates is not None})
    yield Finding(
        code="BN104",
        severity=Severity.INFO,
        layers=names,
        message=(
            f"The update counter of {name_some(layers)} says {' and '.join(map(str, counts))}, but the statistics have "
            "moved further than that: it was reset or not carried over, or counts the batches of a recalibration"
            f"{_or_of_instances(layers)}."
        ),
        fix=(
            "Nothing for inference. Before training on with momentum=None (a cumulative average) set "
            "num_batches_tracked to the true number: the next batch would count as one of the first."
        ),
        measure=layers_counted(names),
        evidence={
            "layers": list(names),
            "update_counts": counts,
            "lowest_variance": min(float(layer.statistics[1].min()) for layer in layers),
        },
    )


def _or_of_instances(layers: Sequence[NormLayer]) -> str:
    """Where only tensors are known, and none was ever counted, the layers may be of a class that never counts."""
    unknown = all(layer.trainable_class is None and layer.updates == 0 for layer in layers)
    return " (or these are InstanceNorm layers, which never count)" if unknown else ""
