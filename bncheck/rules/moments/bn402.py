"""BN402: layers that were to stay as they are in the reference have other statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fnmatch import fnmatchcase

from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import worst
from bncheck.rules.judging.naming import shown, some_names
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a warning that names every such layer."""
    comparison, patterns = evidence.comparison, evidence.expect_frozen
    if comparison is None or not patterns:
        return
    moved = [
        layer
        for layer in comparison.layers
        if not layer.agrees
        and any(fnmatchcase(name, pattern) for name in (layer.name, layer.original) for pattern in patterns)
    ]
    if not moved:
        return
    farthest = max(moved, key=lambda layer: layer.error if math.isfinite(layer.error) else math.inf)
    gap = f"{farthest.error:.3g}" if math.isfinite(farthest.error) else "not a number"
    which = "statistics of a frozen layer" if len(moved) == 1 else f"statistics of {len(moved)} frozen layers"
    yield Finding(
        code="BN402",
        severity=Severity.WARNING,
        layers=tuple(layer.name for layer in moved),
        message=(
            f"The {which} moved since {comparison.path}: {some_names([layer.name for layer in moved])}; the largest "
            f"gap is {gap}, in {farthest.name or 'the model itself'}."
        ),
        fix=(
            "Keep frozen layers in eval mode while the rest is trained: requires_grad = False stops the optimizer, not "
            "the running statistics, and model.train() puts every layer back into train mode."
        ),
        measure=worst("gap", {layer.name: layer.error for layer in moved}),
        evidence={
            "reference": comparison.path,
            "layers": [layer.name for layer in moved],
            "gaps": [shown(layer.error) for layer in moved],
            "expect_frozen": list(patterns),
            "compared": len(comparison.layers),
        },
    )
