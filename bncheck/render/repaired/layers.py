"""Of the layers of a repair those deserve a look that are still off, and those that it changed most."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bncheck.render.words.cells import count, number
from bncheck.render.words.hidden import INSTANCE
from bncheck.render.words.reasons import reason_words
from bncheck.results import LayerRepair, RepairResult
from bncheck.vocabulary import Sort

SHOWN = 10
"""Rows of a table that shows only what deserves a look."""
CHANGED = 3
"""Of these for the layers changed most, however many others are still off."""


def worth_showing(result: RepairResult) -> list[LayerRepair]:
    """Those whose gap is beyond what healthy layers have, before or after, the worst of them where there are many.

    Those still off come first, then those changed most; they are given in the order of the network.
    """
    margin = result.before.run.margin
    off = sorted((each for each in result.layers if _left(each) > margin), key=_left, reverse=True)
    moved = [each for each in result.layers if _left(each) <= margin < _change(each)]
    moved.sort(key=_change, reverse=True)
    first = off[: SHOWN - min(CHANGED, len(moved))]
    chosen = {each.name for each in (*first, *moved[: SHOWN - len(first)])}
    return [each for each in result.layers if each.name in chosen]


def in_order(layers: Sequence[LayerRepair], sort: Sort) -> list[LayerRepair]:
    """The layers as a reader wants them: as the network runs them, the largest gaps left first, or by name."""
    if sort is Sort.GAP:
        return sorted(layers, key=lambda each: (_left(each), _change(each)), reverse=True)
    return sorted(layers, key=lambda each: each.name) if sort is Sort.NAME else list(layers)


def left_out(result: RepairResult, shown: Sequence[LayerRepair]) -> str:
    """What is to be known of the layers that a table leaves out, by what was done to them; nothing without any."""
    kept = {each.name for each in shown}
    groups: dict[str, list[LayerRepair]] = {}
    for each in result.layers:
        if each.name not in kept:
            groups.setdefault(_done(each, result.method), []).append(each)
    named = sorted(groups, key=lambda done: not groups[done][0].changed)
    told = [f"{len(groups[done])} {done}{_reach(groups[done])}" for done in named]
    if told:
        noun = "more layer" if shown else "layer"
        size = len(groups[named[0]])
        told[0] = f"{count(size, noun)} {told[0].partition(' ')[2]}"
    return "; ".join(told)


def _done(layer: LayerRepair, method: str) -> str:
    if layer.changed:
        return "left without statistics" if method == INSTANCE else "given new statistics"
    return "kept" if layer.reason is None else f"kept: {reason_words(layer.reason)}"


def _reach(group: Sequence[LayerRepair]) -> str:
    """How far off they are, before and after."""
    ends = [
        f"{number(max(gaps, key=_size))} {when}"
        for when, gaps in (
            ("before", [each.gap_before for each in group if each.gap_before is not None]),
            ("after", [each.gap_after for each in group if each.gap_after is not None]),
        )
        if gaps
    ]
    return f" (gap {'up to ' if len(group) > 1 else ''}{', '.join(ends)})" if ends else ""


def _left(layer: LayerRepair) -> float:
    """The gap that is left; what cannot be told for want of numbers is large, what was not measured none."""
    return _size(layer.gap_after)


def _change(layer: LayerRepair) -> float:
    """By how much its gap is another."""
    if layer.gap_before is None or layer.gap_after is None:
        return 0.0
    return _size(layer.gap_before - layer.gap_after)


def _size(gap: float | None) -> float:
    return 0.0 if gap is None else abs(gap) if math.isfinite(gap) else math.inf
