"""Figures show the channels of one layer: what it stores against what was measured."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator

from bncheck.core import FloatArray
from bncheck.render.html.drawing import INK, MUTED, POINT, POINT_BEYOND, svg_of
from bncheck.render.html.view import deviation
from bncheck.render.words.cells import count, number, printable
from bncheck.results import LayerReport


class ChannelFigure:
    """Two figures, drawn again for every layer: setting up axes is what takes the time.

    The means, and the standard deviations (with eps, as the layer divides by them), a point for each channel; on the
    diagonal stored and measured agree. Channels beyond the margin are triangles. They stand side by side where there
    is room.
    """

    def __init__(self, margin: float) -> None:
        self._margin = margin
        self._panels = (_Panel("mean"), _Panel("standard deviation", logarithmic=True))

    def draw(self, layer: LayerReport, name: str) -> str | None:
        """The layer's figures as SVG; `None` where no channel has numbers to draw."""
        if layer.table is None:
            return None
        table, eps = layer.table, layer.stored_eps or 0.0
        beyond = np.nan_to_num(table.gap, nan=np.inf) > self._margin
        means = (table.stored_mean, table.measured_mean)
        deviations = (deviation(table.stored_var, eps), deviation(table.measured_var, eps))
        drawn = []
        for panel, pair, short in zip(self._panels, (means, deviations), ("mean", "sd"), strict=True):
            if not panel.fill(*pair, beyond, layer.worst_channel):
                continue
            title = printable(f"Channels of {layer.name or 'the model'}, {panel.title}: stored against measured")
            words = _words(layer, pair, beyond, self._margin, panel.title)
            drawn.append(svg_of(panel.figure, f"{name}-{short}", title, words))
        return "".join(drawn) or None


class _Panel:
    """Stored values to the right, measured ones up."""

    def __init__(self, title: str, *, logarithmic: bool = False) -> None:
        self.title = title
        self.figure = Figure(figsize=(3.6, 3.0))
        self._axes = axes = self.figure.add_subplot()
        axes.set_title(title, loc="left")
        if logarithmic:
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.minorticks_off()
        self.figure.subplots_adjust(left=0.15, right=0.97, top=0.91, bottom=0.16)
        axes.set_xlabel("stored")
        axes.set_ylabel("measured")
        self._diagonal: Line2D = axes.plot([], [], color=MUTED, linewidth=0.8)[0]
        dots = {"linestyle": "", "rasterized": True, "markeredgewidth": 0}
        self._inside: Line2D = axes.plot([], [], marker="o", markersize=4, color=POINT, **dots)[0]  # type: ignore[arg-type]
        self._beyond: Line2D = axes.plot([], [], marker="^", markersize=5, color=POINT_BEYOND, **dots)[0]  # type: ignore[arg-type]
        self._worst: Annotation = axes.annotate("", (1, 1), (5, 5), textcoords="offset points", color=INK, fontsize=9)

    def fill(self, stored: FloatArray, measured: FloatArray, beyond: np.ndarray, worst: int | None) -> int:
        """Draw these channels instead of the last; how many of them could be drawn."""
        kept = np.isfinite(stored) & np.isfinite(measured)
        logarithmic = self._axes.get_xscale() == "log"
        if logarithmic:
            kept &= (stored > 0) & (measured > 0)
        for points, chosen in ((self._inside, kept & ~beyond), (self._beyond, kept & beyond)):
            points.set_data(stored[chosen], measured[chosen])
        if kept.any():
            low, high = _reach(np.concatenate([stored[kept], measured[kept]]), logarithmic)
            self._diagonal.set_data([low, high], [low, high])
            ticks = _ticks(low, high, logarithmic)
            self._axes.set(xlim=(low, high), ylim=(low, high), xticks=ticks, yticks=ticks)
            words = [f"{tick:.4g}" for tick in ticks]
            self._axes.set(xticklabels=words, yticklabels=words)
        shown = worst is not None and bool(kept[worst])
        self._worst.set_visible(shown)
        if shown and worst is not None:
            self._worst.set_text(f"{worst}")
            self._worst.xy = (float(stored[worst]), float(measured[worst]))
        return int(kept.sum())


def _reach(values: FloatArray, logarithmic: bool) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        return (low / 1.25, high * 1.25) if high / low > 1.2 else (low / 1.5, high * 1.5)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room


def _ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    """About four round numbers between both ends."""
    if logarithmic and high / low > 4:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = (1, 2, 5) if high / low < 50 else (1,)
        ticks = [step * 10.0**decade for decade in decades for step in steps]
    else:
        ticks = list(map(float, MaxNLocator(4).tick_values(low, high)))
    inside = [tick for tick in ticks if low <= tick <= high]
    return inside[:: math.ceil(len(inside) / 5)] if inside else [low, high]


def _words(
    layer: LayerReport, values: tuple[FloatArray, FloatArray], beyond: np.ndarray, margin: float, what: str
) -> str:
    told = (
        f"{count(layer.channels, 'channel')}, {int(beyond.sum())} of them with a gap above {margin:g} "
        "(drawn as triangles); on the diagonal stored and measured agree."
    )
    worst = layer.worst_channel
    if worst is None:
        return told
    stored, measured = (number(float(each[worst])) for each in values)
    gap = "" if layer.table is None else f"; gap {number(float(layer.table.gap[worst]))}"
    return f"{told} Worst channel {worst}: {what} {stored} stored, {measured} measured{gap}."
