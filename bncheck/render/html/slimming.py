"""matplotlib's SVG is made small: what is left is what can be seen."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree

from PIL import Image

SVG = "http://www.w3.org/2000/svg"
LINK = "http://www.w3.org/1999/xlink"
_LONG = re.compile(r"-?\d+\.\d{3,}")
_DEFAULT = re.compile(r"; stroke-line(?:cap: square|cap: butt|join: miter|join: round)")


def slim(root: ElementTree.Element, name: str, tooltips: Mapping[str, str]) -> None:
    """Take out what only an editor of drawings needs, in place; a page may hold a hundred of them.

    Args:
        root: the drawing as matplotlib wrote it.
        name: ids begin with it, so that they are unique on the page.
        tooltips: what stands under the pointer, by the id of the group.
    """
    for element in root.iter():
        if element.tag.endswith("}image"):
            element.set(f"{{{LINK}}}href", _fewer_colours(element.attrib[f"{{{LINK}}}href"]))
        identity = element.attrib.pop("id", None)
        if identity is not None and identity in tooltips:
            tip = ElementTree.SubElement(element, f"{{{SVG}}}title")
            tip.text = tooltips[identity]
        elif identity is not None and not element.tag.endswith(("}g", "}image")):
            element.set("id", f"{name}-{identity}")
        if element.tag.endswith("}a"):
            element.set("tabindex", "-1")  # the table has the same links for the keyboard
        for key, value in element.attrib.items():
            if key == f"{{{LINK}}}href" and value.startswith("#") and not element.tag.endswith("}a"):
                element.set(key, f"#{name}-{value[1:]}")
            elif key == "clip-path":
                element.set(key, value.replace("url(#", f"url(#{name}-"))
            elif key in ("d", "transform", "x", "y", "width", "height", "style"):
                element.set(key, _compact(value))
        element.text = (element.text or "").strip() if not element.tag.endswith("}text") else element.text
        element.tail = None
    _prune(root)


def _compact(value: str) -> str:
    """No more digits than a screen has, no line ends nobody sees."""
    rounded = _LONG.sub(lambda match: f"{float(match[0]):.2f}", value)
    return _DEFAULT.sub("", " ".join(rounded.split())).replace("; ", ";").replace(": ", ":")


def _fewer_colours(address: str) -> str:
    """Pixels of points in two colours, with a palette: a quarter of the size."""
    head, _, data = address.partition("base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")
    smaller = io.BytesIO()
    picture.quantize(12, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(smaller, "PNG", optimize=True)
    return f"{head}base64,{base64.b64encode(smaller.getvalue()).decode('ascii')}"


def _prune(parent: ElementTree.Element) -> None:
    """Drop what cannot be seen: notes on the file, backgrounds without a colour, groups that say nothing."""
    kept: list[ElementTree.Element] = []
    for child in list(parent):
        _prune(child)
        tag = child.tag.rpartition("}")[2]
        if tag in ("metadata", "style") or child.get("style") == "fill:none" or (tag == "defs" and not len(child)):
            continue
        if tag == "g" and not child.attrib and child.find(f"{{{SVG}}}title") is None:
            kept.extend(child)
        else:
            kept.append(child)
    parent[:] = kept
