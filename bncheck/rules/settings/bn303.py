"""BN303: BatchNorm that was built without running statistics, so that every prediction depends on its batch."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import BATCH_NORM
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import layers_counted
from bncheck.rules.judging.naming import name_some
from bncheck.vocabulary import Severity, argument


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a warning that names every such layer."""
    layers = [
        layer
        for layer in evidence.layers
        if layer.kind == BATCH_NORM and layer.trainable_class and not layer.has_statistics and not layer.missing
        # Of a layer that only the reference has, nothing is known here.
        if evidence.comparison is None or layer.name not in evidence.comparison.unfound
    ]
    if not layers:
        return
    names = tuple(layer.name for layer in layers)
    yield Finding(
        code="BN303",
        severity=Severity.WARNING,
        layers=names,
        message=(
            f"{len(layers)} BatchNorm {'layer keeps' if len(layers) == 1 else 'layers keep'} no running statistics "
            f"({name_some(layers)}) and normalize by the batch in eval mode too: predictions depend on which samples "
            "run together."
        ),
        fix=(
            "Build the layers with track_running_stats=True and measure the statistics on training data, or use "
            f"GroupNorm. If it is meant so, give large mixed batches and {argument('ignore', 'BN303')}."
        ),
        measure=layers_counted(names),
        evidence={"layers": list(names), "count": len(names)},
    )
