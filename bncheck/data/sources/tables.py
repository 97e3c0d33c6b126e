"""Tables: `.csv` and `.parquet`; numeric columns are features, one column may hold the labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bncheck.data.batches import Source
from bncheck.data.kinds import FileKind
from bncheck.data.sources.arrays import array_source
from bncheck.errors import DataError, UsageError
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
    """

    value: object
    hint: str = ""


def read_csv(path: Path, label_column: str | None) -> Table:
    """Features and, with `label_column`, labels."""
    import pandas as pd  # slow to import, and most data are no tables

    try:
        frame = pd.read_csv(path, low_memory=False)
    except Exception as error:  # a damaged file fails in many ways
        raise DataError(f"{path} cannot be read as CSV: {error}") from error
    return _split_columns(frame, label_column, path)


def read_parquet(path: Path, label_column: str | None) -> Table:
    """Features and, with `label_column`, labels."""
    import pandas as pd  # slow to import, and most data are no tables

    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise UsageError(f"{path}: parquet needs pyarrow; install it with pip install 'bncheck[parquet]'.") from error
    except Exception as error:  # a damaged file fails in many ways
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error
    return _split_columns(frame, label_column, path)


def _split_columns(frame: pd.DataFrame, label_column: str | None, path: Path) -> Table:
    if len(frame) == 0:
        raise DataError(f"{path}: it has no samples.")
    frame = frame.rename(columns=str)
    _refuse_missing(frame, path)
    if label_column is None:
        return Table(_features(frame, path), _hint(frame))
    if label_column not in frame:
        raise UsageError(
            f"{path} has no column {label_column!r} for the labels; it has {_listed(list(frame.columns))}."
        )
    return Table((_features(frame.drop(columns=label_column), path), _labels(frame[label_column], path)))


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
            f"a column of labels is named with {argument('label_column')}."
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


def _refuse_missing(frame: pd.DataFrame, path: Path) -> None:
    missing = frame.isna().sum()
    missing = missing[missing > 0]
    if not missing.empty:
        where = [f"{name} ({count})" for name, count in missing.items()]
        raise DataError(f"{path}: {missing.sum()} empty or NaN cells, in {_listed(where)}. Fill or drop those rows.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _opened_by(read: Callable[[Path, str | None], Table]) -> Callable[[Path, DataSettings, str], Source]:
    def opened(path: Path, reading: DataSettings, name: str) -> Source:
        table = read(path, reading.label_column)
        return array_source(name, table.value, reading, hint=table.hint)

    return opened


KINDS = (
    FileKind((".csv",), _opened_by(read_csv), has_columns=True),
    FileKind((".parquet",), _opened_by(read_parquet), lambda _, start: start.startswith(b"PAR1"), has_columns=True),
)
