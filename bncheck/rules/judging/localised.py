"""Layers whose own statistics are certainly wrong: their own gaps stand far out of the others'."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bncheck.core import THRESHOLDS, rms
from bncheck.evidence import Evidence


def localised(evidence: Evidence) -> tuple[str, ...]:
    """Give the layers that are wrong by themselves, the largest own gap first; none where nothing stands out.

    Whether they cost anything is another question. Layers that the input feeds, and the first behind a flattening,
    look so on other data too: they are among these only where training data show the same.
    """
    own = denoised_gaps(evidence)
    candidates = {name: gap for name, gap in own.items() if _may_be_wrong(name, evidence)}
    others = [gap for name, gap in own.items() if name not in candidates]
    if any(own[name] >= THRESHOLDS.outlier_input for name in _fed(evidence) if name in own and name not in candidates):
        return ()  # the data are of another kind, and inner layers feel that unlike
    ranked = sorted(candidates, key=candidates.__getitem__, reverse=True)
    most = max(1, int(len(own) * THRESHOLDS.outlier_layers))
    first: tuple[str, ...] = ()
    for number in range(1, min(most, len(ranked)) + 1):
        next_one = max([candidates[name] for name in ranked[number:]] or others, default=math.inf)
        if not _stand_out([candidates[name] for name in ranked[:number]], next_one, len(own)):
            continue
        first = first or tuple(ranked[:number])
        if next_one < THRESHOLDS.margin:
            return tuple(ranked[:number])  # behind a layer that is far off others may be too, and stand out less
    return first


def denoised_gaps(evidence: Evidence) -> dict[str, float]:
    """Give own gaps by layer, sampling noise taken off; without those that are not known."""
    gaps = {}
    for name, layer in evidence.measured.items():
        own = layer.own_gap
        if own is not None and math.isfinite(own):
            noise = rms(layer.noise[layer.visible])
            gaps[name] = math.sqrt(max(0.0, own * own - noise * noise))  # ** raises where floats overflow
    return gaps


def _stand_out(gaps: Sequence[float], next_one: float, layers: int) -> bool:
    smallest = min(gaps)
    if layers <= THRESHOLDS.few_layers and next_one >= THRESHOLDS.near_margin:
        return False
    return smallest >= THRESHOLDS.outlier_gap and smallest >= THRESHOLDS.outlier * next_one


def _may_be_wrong(name: str, evidence: Evidence) -> bool:
    """Tell whether a large gap of it would be its own, and not the data's: sure, and on training data too."""
    measured = evidence.measured[name]
    if not measured.lower > THRESHOLDS.near_margin or _is_between_its_calls(name, evidence):
        return False
    if evidence.training is None:
        return name not in evidence.closer.fed_by_input and not _flattens(name, evidence)
    layer = evidence.training.measured.get(name)
    return layer is not None and layer.lower > THRESHOLDS.outlier_gap


def _is_between_its_calls(name: str, evidence: Evidence) -> bool:
    """Tell whether unlike calls of one layer, whose average is all that it can store, may account for its gap."""
    own = evidence.measured[name].own_gap
    if evidence.measured[name].calls == 1 or own is None:
        return False
    apart = evidence.closer.calls.get(name)
    return apart is not None and own < THRESHOLDS.outlier * apart.gap


def _fed(evidence: Evidence) -> frozenset[str]:
    return evidence.closer.fed_by_input


def _flattens(name: str, evidence: Evidence) -> bool:
    """Tell whether the layer is the first that sees one value of a channel in a sample, behind some that see more."""
    first = next((other for other, layer in evidence.measured.items() if layer.positions <= 1), None)
    return name == first and name != next(iter(evidence.measured))
