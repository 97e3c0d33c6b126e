"""From a matplotlib figure to SVG that takes its colours and its letters from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from xml.etree import ElementTree

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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

POINT, POINT_BEYOND = "#2f7fd6", "#d2691e"
"""Of the points that are drawn as pixels and cannot change with the page: 3:1 and more on both grounds."""

_SVG = "http://www.w3.org/2000/svg"
_LINK = "http://www.w3.org/1999/xlink"
_LONG = re.compile(r"-?\d+\.\d{3,}")
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
    return style.context(settings)  # type: ignore[arg-type]


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
    figure.savefig(buffer, format="svg", dpi=120, metadata=nothing)
    root = ElementTree.fromstring(_painted(buffer.getvalue()))  # noqa: S314 (our own drawing)
    _strip(root, name, tooltips or {})
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    for at, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(at, element)
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _LINK)
    return ElementTree.tostring(root, encoding="unicode")


def quiet_grid(axes: Axes, axis: str = "both") -> None:
    """Thin lines behind everything."""
    axes.grid(True, axis=axis)  # type: ignore[arg-type]


def _painted(text: str) -> str:
    for colour, variable in PAINTS.items():
        text = text.replace(colour, variable)
    return _UPRIGHT.sub("", _LETTERS.sub("", text))  # the letters are the page's own


def _strip(root: ElementTree.Element, name: str, tooltips: Mapping[str, str]) -> None:
    """Take out what only an editor of drawings needs, and make the ids unique on the page."""
    _prune(root)
    for element in root.iter():
        identity = element.attrib.pop("id", None)
        if identity in tooltips:
            tip = ElementTree.SubElement(element, f"{{{_SVG}}}title")
            tip.text = tooltips[identity]
        elif identity is not None and not element.tag.endswith("}g"):
            element.set("id", f"{name}-{identity}")
        if element.tag.endswith("}a"):
            element.set("tabindex", "-1")  # the table has the same links for the keyboard
        for key, value in element.attrib.items():
            if key == f"{{{_LINK}}}href" and value.startswith("#") and not element.tag.endswith("}a"):
                element.set(key, f"#{name}-{value[1:]}")
            elif key == "clip-path":
                element.set(key, value.replace("url(#", f"url(#{name}-"))
            elif key in ("d", "transform", "x", "y", "style", "points"):
                element.set(key, _LONG.sub(lambda match: f"{float(match[0]):.2f}", value).replace(" \n", " ").strip())
        element.text = (element.text or "").strip() if not element.tag.endswith("}text") else element.text
        element.tail = None


def _prune(parent: ElementTree.Element) -> None:
    """Drop what cannot be seen: notes on the file, empty groups, backgrounds without a colour."""
    for child in list(parent):
        _prune(child)
        unseen = child.tag.endswith(("}metadata", "}style")) or child.get("style") == "fill: none"
        if unseen or (child.tag.endswith("}g") and not len(child)):
            parent.remove(child)
