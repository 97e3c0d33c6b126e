"""Figures in one hand: the same colours, bands and dots, written so that equal numbers give equal files."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Told apart by the colour-blind (Okabe & Ito 2008)."""

MARKS = ("o", "s", "^", "D", "v", "P", "X")


def figure(width: float, height: float, title: str, columns: int = 1) -> tuple[Figure, Sequence[Axes]]:
    """An empty figure with `columns` pairs of axes, its size in inches."""
    drawn = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    drawn.suptitle(title, fontsize=11)
    axes = drawn.subplots(1, columns, squeeze=False)[0]
    for one in axes:
        one.grid(alpha=0.25, linewidth=0.6)
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(labelsize=9)
    return drawn, list(axes)


def band(
    axes: Axes,
    x: Sequence[float],
    curves: Sequence[Sequence[float]],
    label: str,
    index: int,
    *,
    logarithmic: bool = False,
    dashed: bool = False,
) -> None:
    """The mean of the seeds' curves as a line, one standard deviation to either side as a band.

    On a logarithmic axis both are those of the logarithms.
    """
    values = np.log(np.asarray(curves)) if logarithmic else np.asarray(curves)
    mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
    back = np.exp if logarithmic else np.asarray
    colour = COLOURS[index % len(COLOURS)]
    axes.fill_between(x, back(mean - spread), back(mean + spread), color=colour, alpha=0.2, linewidth=0)
    mark = MARKS[index % len(MARKS)] if len(x) <= 12 else None
    axes.plot(x, back(mean), color=colour, label=label, linewidth=1.8, marker=mark, linestyle="--" if dashed else "-")


def dots(axes: Axes, series: Mapping[str, Sequence[float]]) -> None:
    """A row for every name: the seeds as dots, their mean as a bar, one standard deviation as a line."""
    for row, (_, values) in enumerate(series.items()):
        colour = COLOURS[row % len(COLOURS)]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        mean = float(np.mean(values))
        axes.errorbar(mean, row, xerr=spread, fmt="|", color=colour, markersize=20, markeredgewidth=2.4, linewidth=1.4)
        axes.plot(values, [row] * len(values), "o", color=colour, alpha=0.55, markersize=5, markeredgewidth=0)
        axes.annotate(f"{mean:.1f}", (mean, row), (0, 11), textcoords="offset points", ha="center", fontsize=9)
    axes.set_yticks(range(len(series)), list(series))
    axes.set_ylim(len(series) - 0.5, -0.7)


def save(drawn: Figure, path: Path) -> None:
    """As SVG with its text as text, or by the suffix; without a date, so that equal figures are equal files."""
    if path.suffix != ".svg":
        drawn.savefig(path)
        return
    written = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.stem}):
        drawn.savefig(written, format="svg", metadata={"Date": None})
    # A hundredth of a point is finer than any screen, and one fallback font is enough: half the bytes.
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", written.getvalue())
    text = re.sub(r"('DejaVu Sans'), [^;\"]*sans-serif", r"\1, sans-serif", text)
    path.write_text(re.sub(r"\n\s+", "\n", text), encoding="utf-8")
