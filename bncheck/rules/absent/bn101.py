"""BN101: the architecture, or layers named alike in the same file, have statistics; these have none."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import layers_counted
from bncheck.rules.judging.naming import name_some
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error that names every layer without statistics."""
    missing = [layer for layer in evidence.layers if layer.missing]
    if not missing:
        return
    names = tuple(layer.name for layer in missing)
    total = sum(layer.expects_statistics for layer in evidence.layers)
    yield Finding(
        code="BN101",
        severity=Severity.ERROR,
        layers=names,
        message=f"{len(missing)} of {total} layers have no running statistics in the checkpoint: {name_some(missing)}.",
        fix=(
            "Save the buffers too (`model.state_dict()`, not `model.parameters()`), or load a checkpoint that has "
            "them; where there is none, recalibrate the statistics on training data."
        ),
        measure=layers_counted(names),
        evidence={"missing": len(missing), "layers_expected": total, "layers": list(names)},
    )
