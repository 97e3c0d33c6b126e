"""Values that a file may hold and nobody expects: the kinds that once broke a command, and their neighbours."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

LONG = "x" * 200_000
INJECTED = "EVIL\n::error file=a.py::injected\x1b[31m ##[error]x ##vso[task.complete]x"
CANARY = "canary.bin"
"""A file that nothing has to do with."""
TOUCHED = "touched"
"""The file that a payload makes once it is run."""

TEXTS = st.sampled_from(
    [
        *("", "a", "0", "\0", "../x", "/etc/passwd", ".", "=1+1", "nan", "\r", "٣", "é" * 50, "-", "%s{}", "[red]x[/]"),
        *(INJECTED, LONG, "::error::x", "##[error]x", "a.b.c", CANARY, "\u202e", "🦊", "9" * 400),
    ]
)
SURROGATES = st.sampled_from(["\ud800", "a\udcff", "\udfff\n::error::x"])
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2**31, 2**62, 2**63, -(2**63), 2**64, 10**30, 10**400, 7, 10**9, 10**12]),
    st.sampled_from([0.5, -0.0, 1e300, -1e300, 5e-324, float("nan"), float("inf"), float("-inf")]),
    st.integers(-5, 300),
)
FINITE = st.sampled_from([0, 1, -1, 4, 7, 2**31, 2**40, 10**12, 2**62, -(2**62)])


def nested(depth: int, inner: Any = 1, lists: bool = True) -> Any:
    """Lists in lists, or dicts in dicts."""
    for _ in range(depth):
        inner = [inner] if lists else {"a": inner}
    return inner


JSON = st.one_of(
    NUMBERS,
    TEXTS,
    SURROGATES,
    st.sampled_from([None, True, False, [], {}, [[]], [None], {"a": 1}, {"codes": []}, [1, 2, 3], "BN603", "error"]),
    st.builds(nested, st.sampled_from([3, 90, 900]), st.just(1), st.booleans()),
)
_DEEP = "@@deep@@"
_DIGITS = "@@digits@@"


@st.composite
def edited_json(draw: st.DrawFn, document: Any, values: st.SearchStrategy[Any] = JSON) -> bytes:
    """A document with one to three values in it replaced or left out, or with text that no writer would write."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(document))
        if not places:
            break
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        how = draw(st.sampled_from(["replace", "replace", "replace", "leave out", "rename", "raw"]))
        if how == "leave out":
            del holder[key]
        elif how == "rename" and isinstance(holder, dict):
            holder[draw(st.one_of(TEXTS, SURROGATES))] = holder.pop(key)
        elif how == "raw":
            holder[key] = draw(st.sampled_from([_DEEP, _DIGITS]))
        else:
            holder[key] = copy.deepcopy(draw(values))  # or the next edit would change what is drawn from
    text = _text(document)
    text = text.replace(f'"{_DEEP}"', '{"a":' * draw(st.sampled_from([1_000, 20_000])), 1)
    text = text.replace(f'"{_DIGITS}"', "9" * draw(st.sampled_from([400, 5_000])))
    return text.encode("utf-8", "surrogatepass" if draw(st.booleans()) else "replace")


def _text(document: Any) -> str:
    try:
        return json.dumps(document)
    except (ValueError, RecursionError):  # 4300 digits, or nested more deeply than Python counts
        return json.dumps(str(type(document)))


def _places(value: Any, deepest: int = 12) -> Iterator[tuple[Any, Any]]:
    """Every holder in a document and what it holds, by key; of long lists the ends."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = sorted({*range(min(3, len(value))), len(value) - 1} - {-1})
    for key in keys:
        yield value, key
        if deepest:
            yield from _places(value[key], deepest - 1)
