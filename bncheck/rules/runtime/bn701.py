"""BN701: layers that store statistics and, by what the file says, normalize by their input all the same."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import layers_counted
from bncheck.rules.judging.naming import name_some
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error that names every such layer."""
    layers = [layer for layer in evidence.layers if layer.by_input and layer.expects_statistics]
    if not layers:
        return
    names = tuple(layer.name for layer in layers)
    total = sum(layer.expects_statistics for layer in evidence.layers)
    yield Finding(
        code="BN701",
        severity=Severity.ERROR,
        layers=names,
        message=(
            f"The model was exported in training mode: {len(layers)} of {total} layers with statistics normalize by "
            f"their batch instead ({name_some(layers)}); {evidence.advice.in_training_mode}."
        ),
        fix=evidence.advice.export_anew,
        measure=layers_counted(names),
        evidence={"layers": list(names), "with_statistics": total},
    )
