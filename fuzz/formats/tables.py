"""CSV and Parquet: cells, headers and columns of every type."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from fuzz.case import Files, Format
from fuzz.samples import LABELS, SAMPLES, images
from fuzz.values import TEXTS

_CELLS = st.sampled_from(
    [
        *("1.5", "", "nan", "inf", "-inf", "1e400", "9" * 400, "abc", "1,5", '"', "=1+1", "\r", "\0", "0x10", "1_000"),
        *("TRUE", "2026-01-01", "a\n::error::x", "\x1b[31m", "x" * 100_000, "1e-400", "-0", "½", "\ufeff1"),
    ]
)
_SEPARATORS = st.sampled_from([",", ",", ",", ";", "\t", " ", "|", ",,"])
_ENCODINGS = st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16", "latin-1", "utf-8-sig"])


def _table() -> pd.DataFrame:
    frame = pd.DataFrame(images()[:, :, 0, 0].astype(float), columns=["a", "b", "c"])
    return frame.assign(label=LABELS)


@st.composite
def _csv(draw: st.DrawFn) -> bytes:
    rows = [list(map(str, row)) for row in _table().itertuples(index=False)]
    rows.insert(0, ["a", "b", "c", "label"])
    for _ in range(draw(st.integers(1, 4))):
        row = draw(st.integers(0, len(rows) - 1))
        match draw(st.sampled_from(["cell", "cell", "column", "header", "short", "long", "gone", "all gone"])):
            case "cell":
                rows[row][-1 if draw(st.booleans()) else 0] = draw(_CELLS)
            case "column":
                value, at = draw(_CELLS), draw(st.integers(0, 3))
                rows[1:] = [[*one[:at], value, *one[at + 1 :]] for one in rows[1:]]
            case "header":
                rows[0] = [draw(TEXTS) for _ in rows[0]]
            case "short":
                rows[row] = rows[row][:1]
            case "long":
                rows[row] = rows[row] * 3
            case "gone":
                rows[row] = [""]
            case _:
                rows = rows[:1]
    separator = draw(_SEPARATORS)
    return "\n".join(separator.join(row) for row in rows).encode(draw(_ENCODINGS), "replace")


_COLUMNS: dict[str, list[Any]] = {
    "floats with gaps": [1.0, None] * (SAMPLES // 2),
    "text": ["a\n::error::x"] * SAMPLES,
    "nested": [[1.0, 2.0]] * SAMPLES,
    "ragged": [[1.0] * (number % 3) for number in range(SAMPLES)],
    "structs": [{"a": 1}] * SAMPLES,
    "bytes": [b"\xff"] * SAMPLES,
    "images": [{"bytes": b"\x89PNG\r\n", "path": "/etc/passwd"}] * SAMPLES,
    "booleans": [True, False] * (SAMPLES // 2),
    "large": [2**62] * SAMPLES,
    "infinite": [float("inf")] * SAMPLES,
    "nothing": [None] * SAMPLES,
    "dates": list(pd.date_range("2026-01-01", periods=SAMPLES)),
}


@st.composite
def _parquet(draw: st.DrawFn) -> bytes:
    frame = _table()
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.one_of(st.sampled_from(["a", "b", "label", "a"]), TEXTS))
        frame[name] = pd.Series(_COLUMNS[draw(st.sampled_from(sorted(_COLUMNS)))])
    frame = frame.iloc[: draw(st.sampled_from([SAMPLES, SAMPLES, 1, 0]))]
    kinds = st.sampled_from([None, None, "float32", "uint8", "category", "string", "float16"])
    kind = draw(kinds)
    if kind is not None:
        with contextlib.suppress(ValueError, TypeError):
            frame["a"] = frame["a"].astype(kind)
    stream = io.BytesIO()
    try:
        frame.to_parquet(stream)
    except Exception:  # noqa: BLE001  # a column that Parquet has not
        return _whole_parquet()
    return stream.getvalue()


def _whole_parquet() -> bytes:
    stream = io.BytesIO()
    _table().to_parquet(stream)
    return stream.getvalue()


def formats() -> tuple[Format, ...]:
    """CSV, and Parquet where it can be written."""
    label = ("--label-column", "label")
    text = _table().to_csv(index=False).encode()
    csv: st.SearchStrategy[Files] = _csv().map(lambda content: {"data.csv": content})
    found = [Format("csv", "data", "data.csv", {"data.csv": text}, csv, label)]
    if importlib.util.find_spec("pyarrow") is not None:
        parquet = _parquet().map(lambda content: {"data.parquet": content})
        found.append(Format("parquet", "data", "data.parquet", {"data.parquet": _whole_parquet()}, parquet, label))
    return tuple(found)
