"""Figures show the whole model: along its depth, by batch size, and what predictions come to."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from bncheck.render.html.drawing import BATCH, INK, LIMIT, LINE, MUTED, NOISE, STORED, lines_across, svg_of
from bncheck.render.words.answer import compared
from bncheck.render.words.cells import count, number, printable, span
from bncheck.render.words.predictions import AS_SHIPPED, score_shown
from bncheck.results import MEASURED, SHARES, BatchSize, LayerReport, Report, score_title

NARROW = (3.9, 3.6)
"""Inches of a figure for a narrow screen: its letters are as large there as those of the page."""
DEPTH = "Gap along the depth of the network"
MANY = 90
"""Layers from which their markers would run into each other."""
NAMED = 12
"""Layers up to which their names fit under the figure."""
LETTERS = 80
"""Letters of all names together up to which they fit side by side."""


def depth_figure(report: Report, targets: Mapping[str, str]) -> str | None:
    """Gap, own gap and noise of the measured layers in the order of the network; `None` without any.

    Args:
        report: what was found.
        targets: where on the page each layer is told of in full, by its name.
    """
    layers, margin = measured_layers(report), report.run.thresholds["margin"]
    if not layers:
        return None
    figure = Figure(figsize=(9.2, 3.6))
    axes = figure.add_subplot()
    aslant = draw_depth(axes, layers, margin)
    tips = {}
    for position, layer in enumerate(layers, start=1):
        strip = axes.axvspan(position - 0.5, position + 0.5, alpha=0, linewidth=0)
        strip.set_gid(f"layer-{position}")
        strip.set_url(f"#{targets[layer.name]}" if layer.name in targets else None)
        tips[f"layer-{position}"] = printable(
            f"{layer.name or 'the model'}: gap {number(layer.gap)}, own {number(layer.own_gap)}, "
            f"noise {number(layer.noise)}"
        )
    figure.legend(loc="outside upper left", ncols=5, fontsize=9, handlelength=2.2, columnspacing=1.3)
    figure.subplots_adjust(left=0.075, right=0.985, top=0.88, bottom=0.24 if aslant else 0.13)
    return svg_of(figure, "depth", DEPTH, depth_words(layers, margin), tips)


def narrow_depth_figure(report: Report) -> str | None:
    """The same for a screen as narrow as a telephone's, where layers are too near to be pointed at."""
    layers, margin = measured_layers(report), report.run.thresholds["margin"]
    if not layers:
        return None
    figure = Figure(figsize=NARROW)
    axes = figure.add_subplot()
    draw_depth(axes, layers, margin)
    if len(layers) <= NAMED:
        axes.set_xticks(range(1, len(layers) + 1), [_tail(layer.name, 14) for layer in layers], rotation=40, ha="right")
    figure.legend(loc="outside upper left", ncols=2, fontsize=8.5, handlelength=1.6, columnspacing=0.8)
    figure.subplots_adjust(left=0.16, right=0.97, top=0.8, bottom=0.26 if len(layers) <= NAMED else 0.14)
    return svg_of(figure, "depth-narrow", DEPTH, depth_words(layers, margin))


def measured_layers(report: Report) -> list[LayerReport]:
    """The layers that have a gap, in the order of the network."""
    return [layer for layer in report.layers if layer.status == MEASURED and layer.gap is not None]


def draw_depth(axes: Axes, layers: Sequence[LayerReport], margin: float, paint: Callable[[str], str] = str) -> bool:
    """Draw gap, own gap and noise of these layers, one after the other; tell whether their names stand aslant.

    `paint` gives the colour for one of the page's.
    """
    gaps, owns, noises = (_values(layers, field) for field in ("gap", "own_gap", "noise"))
    low, high = _reach(np.concatenate([gaps, owns, noises, [margin]]))
    at = np.arange(1, len(layers) + 1)
    size = 4.0 if len(layers) <= MANY else 0.0
    axes.fill_between(
        at, low, np.clip(noises, low, None), color=paint(NOISE), linewidth=0, label="noise floor", step="mid"
    )
    axes.axhline(
        margin, color=paint(LIMIT), linewidth=1, linestyle=(0, (6, 3)), label=f"healthy layers stay below {margin:g}"
    )
    kept: dict[str, Any] = {"clip_on": False, "markersize": size, "linewidth": 1.4 if size else 1.1}
    axes.plot(at, np.clip(gaps, low, None), color=paint(STORED), marker="o", label="gap (stored pass)", **kept)
    if np.isfinite(owns).any():
        own = np.clip(owns, low, None)
        axes.plot(at, own, color=paint(BATCH), marker="s", linestyle="--", label="own (batch pass)", **kept)
    lost = at[~np.isfinite(gaps)]
    if len(lost):
        # Above everything, and kept out of the scale.
        axes.plot(
            lost,
            np.full(len(lost), high),
            color=paint(LIMIT),
            marker="X",
            linestyle="",
            label="not finite",
            clip_on=False,
        )
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.set_xlim(0.5, len(layers) + 0.5)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    lines_across(axes)
    axes.set_ylabel("gap, in stored standard deviations")
    aslant = False
    if len(layers) <= NAMED:
        names = [_tail(layer.name) for layer in layers]
        aslant = sum(map(len, names)) > LETTERS
        axes.set_xticks(at, names, rotation=20 if aslant else 0, ha="right" if aslant else "center")
    else:
        axes.set_xlabel("measured layer, in the order of the network")
    return aslant


def depth_words(layers: Sequence[LayerReport], margin: float) -> str:
    """The depth figure for those who cannot see it."""
    parts = [f"{count(len(layers), 'measured layer')}, in the order of the network."]
    named = (("gap", "Gap in the stored pass"), ("own_gap", "Own, in the batch pass"), ("noise", "Noise floor"))
    for field, title in named:
        values = _values(layers, field)
        known = np.flatnonzero(np.isfinite(values))
        if not len(known):
            continue
        worst = layers[known[np.argmax(values[known])]].name or "the model"
        beyond = int((values[known] > margin).sum())
        reach = f"from {number(float(values[known].min()))} to {number(float(values[known].max()))}"
        parts.append(f"{title}: {reach}, largest in {worst}; {beyond} of {len(known)} above {margin:g}.")
    unknown = sum(not math.isfinite(layer.gap) for layer in layers if layer.gap is not None)
    if unknown:
        parts.append(f"{count(unknown, 'layer')} whose gap is not finite.")
    return printable(" ".join(parts))


def batch_size_figures(rows: Sequence[BatchSize], compared: str = "stored") -> str | None:
    """How far a mini-batch's statistics lie from those it is compared with, by its size: two panels."""
    shown = [row for row in rows if math.isfinite(row.gap)]
    if not shown:
        return None
    sizes = [row.batch_size for row in shown]
    left, right = (Figure(figsize=(4.6, 2.9)) for _ in range(2))
    axes = left.add_subplot()
    axes.plot(sizes, [row.gap for row in shown], color=STORED, marker="o", markersize=4, linewidth=1.4, label="gap")
    shifts = [row.shift for row in shown]
    axes.plot(sizes, shifts, color=BATCH, marker="s", markersize=4, linewidth=1.4, ls="--", label="shift (95 %)")
    axes.set_ylim(0, 1.08 * axes.get_ylim()[1])  # from 0, and what is nearly level is not cut at its upper end
    axes.set_title("gap and shift of a batch", loc="left")
    axes = right.add_subplot()
    lows, highs = [row.scale_low for row in shown], [row.scale_high for row in shown]
    axes.fill_between(sizes, lows, highs, color=NOISE, linewidth=0)
    axes.plot(sizes, highs, color=STORED, marker="^", markersize=4, linewidth=1.4, label="scale, 95 % lie below")
    axes.plot(sizes, lows, color=BATCH, marker="v", markersize=4, linewidth=1.4, ls="--", label="scale, 5 % lie below")
    axes.axhline(1.0, color=LIMIT, linewidth=1, linestyle=(0, (6, 3)))
    axes.set_title("scale of a batch (1: as stored)", loc="left")
    told = (
        "; ".join(f"{row.batch_size}: gap {number(row.gap)}, shift {number(row.shift)}" for row in shown),
        "; ".join(f"{row.batch_size}: scale {span(row.scale_low, row.scale_high)}" for row in shown),
    )
    drawn = []
    for figure, name, words in zip((left, right), ("gap", "scale"), told, strict=True):
        axes = figure.axes[0]
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel("batch size")
        axes.legend(fontsize=9, handlelength=2.2)
        lines_across(axes)
        figure.subplots_adjust(left=0.1, right=0.98, top=0.9, bottom=0.17)
        title = f"Mini-batches against the {compared} statistics: {name}"
        drawn.append(svg_of(figure, f"batch-sizes-{name}", title, f"By batch size: {words}."))
    return "".join(drawn)


def score_figure(report: Report, *, is_narrow: bool = False) -> str | None:
    """The predictions with each set of statistics, and with what else helps; `None` where there were no labels."""
    score, values = compared(report)
    bars = [(how, value) for value, how in reversed(values) if math.isfinite(value)]
    if not bars:
        return None
    names, widths = [name for name, _ in bars], [value for _, value in bars]
    # Names stand beside the bars, in several lines where there is little room.
    shown = [textwrap.fill(name, 16 if is_narrow else 24) for name in names]
    lines = max(name.count("\n") + 1 for name in shown)
    height = 0.55 + (0.36 + 0.14 * (lines - 1)) * len(bars)
    figure = Figure(figsize=(NARROW[0] if is_narrow else 9.2, height))
    axes = figure.add_subplot()
    deciding = values[-1][1]
    colours = [STORED if name.startswith(AS_SHIPPED) else BATCH if name == deciding else NOISE for name in names]
    drawn = axes.barh(shown, widths, color=colours, edgecolor=MUTED, linewidth=0.6, height=0.62)
    words = [score_shown(score, value) for value in widths]
    axes.bar_label(drawn, words, padding=5, color=INK)
    axes.tick_params(axis="y", labelcolor=INK)
    if score in SHARES:
        axes.set_xlim(0, 1.35 if is_narrow else 1.08)
        axes.set_xticks([0, 0.5, 1.0] if is_narrow else [0, 0.25, 0.5, 0.75, 1.0])
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    else:
        axes.axvline(0, color=LINE, linewidth=0.8)
        axes.margins(x=0.25 if is_narrow else 0.12)
        axes.locator_params(axis="x", nbins=4 if is_narrow else 9)
    axes.spines.left.set_visible(False)
    figure.subplots_adjust(left=0.36 if is_narrow else 0.19, right=0.99, top=0.97, bottom=0.33 / height)
    title = score_title(score)
    told = ", ".join(f"{word} {name}" for name, word in zip(reversed(names), reversed(words), strict=True))
    name = "score-narrow" if is_narrow else "score"
    return svg_of(figure, name, f"{title} with each set of statistics", f"{title}: {told}.")


def _values(layers: Sequence[LayerReport], field: str) -> np.ndarray:
    values = [getattr(layer, field) for layer in layers]
    array = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return np.where(np.isfinite(array), array, np.nan)


def _reach(values: np.ndarray) -> tuple[float, float]:
    """Both ends of a logarithmic axis: what lies below a thousandth is drawn on the ground."""
    known = values[np.isfinite(values) & (values > 0)]
    return float(np.clip(known.min() / 1.4, 1e-3, 1e-2)), max(1.0, float(known.max()) * 1.4)


def _tail(name: str, width: int = 22) -> str:
    shown = printable(name).replace("\n", "�").replace("$", r"\$") or "(the model)"
    return shown if len(shown) <= width else "…" + shown[-width + 1 :]
