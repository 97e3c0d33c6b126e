"""A matplotlib figure becomes SVG that takes its colours and its letters from the page around it."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from xml.etree import ElementTree

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bncheck.render.html.slimming import LINK, SVG, slim

INK, MUTED, LINE = "#010101", "#020202", "#030303"
STORED, BATCH, NOISE, LIMIT = "#040404", "#050505", "#060606", "#070707"
PAINTS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    STORED: "var(--stored)",
    BATCH: "var(--batch)",
    NOISE: "var(--noise)",
    LIMIT: "var(--limit)",
}
"""Colours no figure would choose, each standing for one of the page's, which differ by light and dark."""

ON_WHITE = {STORED: "#0b5cad", BATCH: "#b3510b", NOISE: "#dfe3e8", LIMIT: "#6b7480"}
"""What those are on a light ground, for figures that belong to no page; the style sheet has the same."""
POINT, POINT_BEYOND = "#2f7fd6", "#d2691e"
"""Of the points that are drawn as pixels and cannot change with the page: 3:1 and more on both grounds."""

_LETTERS = re.compile(r"font-family: [^;]*; ")
_UPRIGHT = re.compile(r" transform=\"rotate\(-0 [^\"]*\"")
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bncheck",
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
}


def drawing() -> AbstractContextManager[None]:
    """While it lasts figures look like the page, whatever the user's matplotlib is set to."""
    settings: list[str | dict[str, object]] = ["default", dict(_STYLE)]
    return style.context(settings)


def svg_of(figure: Figure, name: str, title: str, description: str, tooltips: Mapping[str, str] | None = None) -> str:
    """The figure as an `<svg>` element to stand in a page.

    Args:
        figure: drawn with the colours of this module.
        name: of the figure on its page: ids begin with it, so that they are unique there.
        title: a few words, read out first.
        description: what the figure shows, with its numbers.
        tooltips: what stands under the pointer, by the gid of the artist.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with warnings.catch_warnings():
        # Text stays text in an SVG, and is shown in the reader's fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", dpi=100, metadata=nothing)
    root = ElementTree.fromstring(_painted(buffer.getvalue()))  # noqa: S314 (our own drawing)
    slim(root, name, tooltips or {})
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    for at, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(f"{{{SVG}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(at, element)
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", LINK)
    return ElementTree.tostring(root, encoding="unicode")


def lines_across(axes: Axes) -> None:
    """Thin lines behind everything, to read heights by."""
    axes.grid(True, axis="y")


def _painted(text: str) -> str:
    for colour, variable in PAINTS.items():
        text = text.replace(colour, variable)
    return _UPRIGHT.sub("", _LETTERS.sub("", text))  # the letters are the page's own
