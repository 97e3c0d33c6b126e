"""Reports and differences as flat rows: what tables and CSV files are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

from bncheck.results.codec import Json, encoded
from bncheck.results.layer import CHANNEL_ARRAYS, LayerReport

LAYER_COLUMNS = [each.name for each in fields(LayerReport) if each.name not in LayerReport.__json__.left_out]
CHANNEL_COLUMNS = ["name", "channel", *CHANNEL_ARRAYS]


def layer_row(layer: LayerReport) -> Json:
    """The JSON's fields of a layer in their order, nested ones joined by `_`; missing values are `None`."""
    row = {column: encoded(getattr(layer, column)) for column in LAYER_COLUMNS}
    row["codes"] = " ".join(row["codes"])
    if row["call_gaps"] is not None:
        row["call_gaps"] = " ".join("nan" if gap is None else repr(gap) for gap in row["call_gaps"])
    return row


def channel_rows(layers: Iterable[LayerReport]) -> Iterator[Json]:
    """One row per channel of every measured layer."""
    for layer in layers:
        if layer.table is not None:
            arrays = {name: getattr(layer.table, name) for name in CHANNEL_ARRAYS}
            for channel in range(layer.channels):
                values = {name: encoded(float(array[channel])) for name, array in arrays.items()}
                yield {"name": layer.name, "channel": channel, **values}


def chosen(row: dict[str, Any], columns: Iterable[str]) -> Json:
    """The row in those columns; what it lacks is `None`."""
    return {column: row.get(column) for column in columns}
