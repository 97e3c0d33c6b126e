"""Tables: `.csv` and `.parquet`; numeric columns are features, one column may hold the labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bncheck.data.batches import Source
from bncheck.data.kinds import FileKind
from bncheck.data.slicing.asking import column_of
from bncheck.data.slicing.names import LABEL, SliceColumn
from bncheck.data.sources.arrays import array_source
from bncheck.errors import DataError, UsageError
from bncheck.extras import missing
from bncheck.results import MissingFilled, Note
from bncheck.settings import DataSettings
from bncheck.vocabulary import argument

if TYPE_CHECKING:
    import pandas as pd


LABELS = frozenset({"label", "labels", "target", "targets", "class", "y"})
"""What columns of labels are called."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What a table holds.

    Attributes:
        value: features (N, C) float32; with a label column a pair of them and the labels (N,).
        hint: what to try where a model refuses it.
        notes: what was filled in.
        slices: which slice each row belongs to, where that was asked for.
    """

    value: object
    hint: str = ""
    notes: tuple[Note, ...] = ()
    slices: SliceColumn | None = None


def read_csv(path: Path, reading: DataSettings) -> Table:
    """Features and, with a column of them, labels."""
    import pandas as pd  # slow to import, and most data are no tables

    try:
        frame = pd.read_csv(path, low_memory=False)
    except Exception as error:  # a damaged file fails in many ways
        raise DataError(f"{path} cannot be read as CSV: {error}") from error
    return _split_columns(frame, reading, path)


def read_parquet(path: Path, reading: DataSettings) -> Table:
    """Features and, with a column of them, labels."""
    import pandas as pd  # slow to import, and most data are no tables

    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise missing("pyarrow", f"Reading {path}") from error
    except Exception as error:  # a damaged file fails in many ways
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error
    return _split_columns(frame, reading, path)


def _split_columns(frame: pd.DataFrame, reading: DataSettings, path: Path) -> Table:
    if len(frame) == 0:
        raise DataError(f"{path}: it has no samples.")
    frame = frame.rename(columns=str)
    label_column = reading.label_column
    slices = _slices(frame, reading, path)
    aside = {column_of(reading.by), reading.aside} - {label_column, None}
    frame = frame.drop(columns=[name for name in aside if name in frame])
    frame, notes = _filled(frame, reading, path)
    _refuse_missing(frame, label_column, path)
    if label_column is None:
        return Table(_features(frame, path), _hint(frame), notes, slices)
    if label_column not in frame:
        raise UsageError(
            f"{path} has no column {label_column!r} for the labels; it has {_listed(list(frame.columns))}."
        )
    value = _features(frame.drop(columns=label_column), path), _labels(frame[label_column], path)
    return Table(value, notes=notes, slices=slices)


def _slices(frame: pd.DataFrame, reading: DataSettings, path: Path) -> SliceColumn | None:
    """Which slice each row belongs to; cells that are empty are one of their own."""
    by = column_of(reading.by)
    if by is None:
        return None
    column = reading.label_column if by == LABEL and by not in frame else by
    if column is None or column not in frame:
        known = _listed(list(frame.columns))
        raise UsageError(f"{path} has no column {by!r} to slice {argument('by')}; it has {known}.")
    values = frame[column].astype(object).where(frame[column].notna(), None)
    return SliceColumn.of(values.tolist(), len(frame), f"{path}: column {column}")


def _hint(frame: pd.DataFrame) -> str:
    named = [str(name) for name in frame.columns if str(name).strip().lower() in LABELS]
    if not named:
        return ""
    return (
        f"Its column {named[-1]!r} was read as a feature; if it holds the labels, say {argument('label_column')} "
        f"{named[-1]}."
    )


def _features(frame: pd.DataFrame, path: Path) -> np.ndarray:
    import pandas.api.types as types

    if frame.columns.empty:
        raise DataError(f"{path} has no column of features.")
    words = [str(name) for name, column in frame.items() if not types.is_numeric_dtype(column)]
    if words:
        raise DataError(
            f"{path}: columns that are not numeric: {_listed(words)}. Encode or drop them; "
            f"a column of labels is named with {argument('label_column')}, one that names slices with {argument('by')}."
        )
    with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold is told by its sample
        return frame.to_numpy(dtype=np.float32)


def _labels(column: pd.Series, path: Path) -> np.ndarray:
    import pandas.api.types as types

    if types.is_bool_dtype(column) or types.is_integer_dtype(column):
        return column.to_numpy(dtype=np.int64)
    if types.is_float_dtype(column):
        return column.to_numpy(dtype=np.float64)
    if not types.is_object_dtype(column):
        return column.to_numpy().astype(str)
    if not all(map(types.is_scalar, column)):
        raise DataError(
            f"{path}: the labels in column {column.name!r} must be single values; there are lists or the like."
        )
    return np.array([str(word) for word in column])  # bytes too, which NumPy would decode


def _filled(frame: pd.DataFrame, reading: DataSettings, path: Path) -> tuple[pd.DataFrame, tuple[Note, ...]]:
    """The table with the missing values of its numeric features filled in, and what tells of it; labels never are."""
    import pandas.api.types as types

    if reading.fill is None:
        return frame, ()
    counted: dict[str, int] = {}
    filled = {}
    for name, column in frame.items():
        missing = int(column.isna().sum())
        if not missing or name == reading.label_column or not types.is_numeric_dtype(column):
            continue
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if missing == len(column) and isinstance(reading.fill, str):
            raise DataError(f"{path}: the column {name!r} holds no value, so it has no {reading.fill}. Drop it.")
        value = _typical(values, reading.fill) if isinstance(reading.fill, str) else reading.fill
        filled[str(name)] = np.where(np.isnan(values), value, values)
        counted[str(name)] = missing
    if not filled:
        return frame, ()
    listed = tuple(f"{name} ({count})" for name, count in counted.items())
    by = reading.fill if isinstance(reading.fill, str) else f"{reading.fill:g}"
    return frame.assign(**filled), (MissingFilled(sum(counted.values()), listed, by),)


def _typical(values: np.ndarray, what: str) -> float:
    return float(np.nanmean(values) if what == "mean" else np.nanmedian(values))


def _refuse_missing(frame: pd.DataFrame, label_column: str | None, path: Path) -> None:
    missing = frame.isna().sum()
    missing = missing[missing > 0]
    if not missing.empty:
        where = [f"{name} ({count})" for name, count in missing.items()]
        filling = f"Drop those rows, or fill them as the training did: {argument('fill')} mean, median or a number."
        if set(missing.index) == {label_column}:
            filling = "Drop those rows: a label that is missing is not made up."
        raise DataError(f"{path}: {missing.sum()} empty or NaN cells, in {_listed(where)}. {filling}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _opened_by(read: Callable[[Path, DataSettings], Table]) -> Callable[[Path, DataSettings, str], Source]:
    def opened(path: Path, reading: DataSettings, name: str) -> Source:
        table = read(path, reading)
        source = array_source(name, table.value, replace(reading, by=None), hint=table.hint, notes=table.notes)
        return source.sliced(table.slices)

    return opened


KINDS = (
    FileKind((".csv",), _opened_by(read_csv), has_columns=True),
    FileKind((".parquet",), _opened_by(read_parquet), lambda _, start: start.startswith(b"PAR1"), has_columns=True),
)
