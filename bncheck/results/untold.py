"""Layers that were measured and whose gap is no number: nothing was seen of them, unless a finding says why."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bncheck.results.finding import Finding
from bncheck.results.report import MEASURED, LayerReport
from bncheck.vocabulary import Severity


def untold_layers(layers: Iterable[LayerReport]) -> frozenset[str]:
    """The names of measured layers whose gap is no number, as a fresh report and one that was saved have it."""
    return frozenset(
        layer.name for layer in layers if layer.status == MEASURED and (layer.gap is None or math.isnan(layer.gap))
    )


def unexplained(untold: frozenset[str], findings: Iterable[Finding]) -> frozenset[str]:
    """Those of the layers that no error names.

    A layer that an error names, accepted or not, is known to be broken. Those behind it saw nothing but what it gave
    them: what they store may be anything, and no finding speaks of it.
    """
    return untold.difference(*(found.layers for found in findings if found.severity == Severity.ERROR))
