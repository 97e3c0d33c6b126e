"""Drift since an earlier run is put into words and cells here, shared by the formats that people read."""

from __future__ import annotations

from bncheck.render.words.beside.table import SideTable
from bncheck.render.words.cells import count, number, printable, span
from bncheck.results import Drift

TITLES = ("layer", "drift", "noise", "sure", "shift", "scale")
LEGEND = (
    "drift: the gap of what a layer sees now from what it saw then, in standard deviations of then; noise: what "
    "sampling alone would show in the two; sure: its lower bound, with 95 % confidence for all layers together."
)


def table_of_drift(drift: Drift | None, shown: int) -> SideTable | None:
    """The layers as a table, in the order of the network; of many those that moved most. `None` without."""
    if drift is None or not drift.layers:
        return None
    most = sorted(drift.layers, key=lambda layer: -(layer.gap or 0.0))[:shown]
    kept = {layer.name for layer in most}
    rows = [
        (
            printable(layer.name) or "(the model)",
            number(layer.gap),
            number(layer.noise),
            number(layer.sure_gap),
            number(layer.shift_max),
            span(layer.scale_min, layer.scale_max),
        )
        for layer in drift.layers
        if layer.name in kept
    ]
    left = len(drift.layers) - len(rows)
    return SideTable(
        key="drift",
        heading="Since an earlier run",
        caption=(
            f"Since {printable(drift.since)} was written ({count(drift.samples_then, 'sample')}), what layers see has "
            f"moved by {number(drift.gap)} over all layers, where sampling alone would show {number(drift.noise)}:"
        ),
        titles=TITLES,
        rows=tuple(rows),
        ranks=(0, 0, 1, 0, 2, 3),
        left=frozenset({"layer"}),
        more=f"And {left} more that moved less: the JSON report has all." if left > 0 else "",
        legend=LEGEND,
    )
