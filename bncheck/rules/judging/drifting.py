"""Which layers drift, and which of them by themselves."""

from __future__ import annotations

from bncheck.core import THRESHOLDS, discoveries
from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.rules.judging.harm import margin_of


def drifted_layers(evidence: Evidence) -> list[MeasuredLayer]:
    """Give the layers whose gap exceeds the margin with confidence, chance discoveries among many layers kept out."""
    margin, layers = margin_of(evidence.effect), list(evidence.measured.values())
    stands = discoveries([layer.p_value for layer in layers])
    return [layer for layer, sure in zip(layers, stands, strict=True) if sure and layer.lower > margin]


def origin_of(drifted: list[MeasuredLayer], margin: float = THRESHOLDS.margin) -> list[MeasuredLayer]:
    """Give the layers whose own statistics are off; all of them where the batch pass does not tell.

    Behind a large own gap small ones are no causes: under the usual margin they count beside their like only.
    """
    own = {layer.layer.name: layer.own_gap for layer in drifted if layer.own_gap is not None}
    least = max(margin, min(THRESHOLDS.margin, THRESHOLDS.beside * max(own.values(), default=0.0)))
    return [layer for layer in drifted if own.get(layer.layer.name, 0.0) > least] or drifted
