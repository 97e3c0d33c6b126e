"""BN702: whoever loads the module and runs it as it is, runs it in training mode."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import layers_counted
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark that names every layer in training mode."""
    layers = [layer for layer in evidence.with_statistics() if layer.name in evidence.in_training]
    if not layers:
        return
    names = tuple(layer.name for layer in layers)
    yield Finding(
        code="BN702",
        severity=Severity.INFO,
        layers=names,
        message=(
            f"The module was pickled in training mode ({len(layers)} of {len(evidence.with_statistics())} layers with "
            "statistics): run as it is loaded, it normalizes by the batch and overwrites its statistics. This "
            "inspection took it in eval mode."
        ),
        fix="Call model.eval() after loading; better, before saving.",
        measure=layers_counted(names),
        evidence={"layers": list(names)},
    )
