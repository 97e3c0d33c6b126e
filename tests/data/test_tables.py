"""Tables: features, labels, and the cells and columns that are refused."""

import numpy as np
import pandas as pd
import pytest
import torch

from bncheck.data import DataOptions, open_data
from bncheck.errors import DataError, UsageError
from bncheck.vocabulary import argument


@pytest.fixture(params=["csv", "parquet"])
def write(request, tmp_path):
    def write_table(**columns):
        path = tmp_path / f"table.{request.param}"
        frame = pd.DataFrame(columns)
        frame.to_csv(path, index=False) if request.param == "csv" else frame.to_parquet(path)
        return path

    return write_table


def only_batch(path, label_column=None):
    (batch,) = open_data(path, DataOptions(label_column=label_column)).given_batches(100)
    return batch


def test_numeric_columns_are_features(write):
    batch = only_batch(write(a=[1, 2], b=[0.5, 1.5], c=[True, False]))
    assert batch.inputs.dtype == torch.float32
    assert batch.inputs.tolist() == [[1, 0.5, 1], [2, 1.5, 0]]
    assert batch.labels is None


@pytest.mark.parametrize(
    ("labels", "expected", "dtype"),
    [
        ([3, 1, 3], [3, 1, 3], torch.int64),
        ([0.5, 1.0, 2.0], [0.5, 1.0, 2.0], torch.float64),
        ([True, False, True], [1, 0, 1], torch.int64),
        (["dog", "ant", "cat"], [2, 0, 1], torch.int64),
    ],
)
def test_label_column(write, labels, expected, dtype):
    batch = only_batch(write(a=[1.0, 2.0, 3.0], kind=labels), "kind")
    assert batch.inputs.tolist() == [[1], [2], [3]]
    assert batch.labels.tolist() == expected
    assert batch.labels.dtype == dtype


def test_unknown_label_column_names_those_there_are(write):
    with pytest.raises(UsageError, match="no column 'kind' for the labels; it has a, b"):
        only_batch(write(a=[1], b=[2]), "kind")


def test_text_columns_are_named(write):
    with pytest.raises(DataError, match=r"columns that are not numeric: city, name\. .* label_column, one .* by\."):
        only_batch(write(city=["x", "y"], a=[1, 2], name=["u", "v"]))


def test_missing_cells_are_counted_by_column(write):
    path = write(a=[1.0, np.nan, np.nan], b=[1.0, 2.0, 3.0], c=[np.nan, 1.0, 2.0])
    with pytest.raises(DataError, match=r"3 empty or NaN cells, in a \(2\), c \(1\)"):
        only_batch(path)


def test_a_missing_label_is_refused(write):
    with pytest.raises(DataError, match=r"1 empty or NaN cells, in kind \(1\)"):
        only_batch(write(a=[1.0, 2.0], kind=["x", None]), "kind")


@pytest.mark.parametrize(("fill", "expected"), [(-1, [-1, -1]), ("mean", [4, 3]), ("median", [2, 3])])
def test_missing_cells_are_filled_as_said_and_counted(write, fill, expected):
    path = write(a=[1.0, 2.0, 9.0, np.nan], b=[np.nan, 3.0, 3.0, 3.0], c=[5, 6, 7, 8], kind=[0, 1, 0, 1])
    source = open_data(path, DataOptions(fill=fill, label_column="kind"))
    (batch,) = source.given_batches(10)
    assert batch.inputs.tolist() == [[1, expected[1], 5], [2, 3, 6], [9, 3, 7], [expected[0], 3, 8]]
    assert batch.labels.tolist() == [0, 1, 0, 1]
    by = "-1" if fill == -1 else f"the {fill} of their column"
    assert f"2 missing values filled with {by}, in a (1), b (1)" in [note.sentence for note in source.notes]
    complete = open_data(write(a=[1.0, 2.0]), DataOptions(fill=fill))
    assert not complete.notes


def test_what_is_not_filled(write):
    with pytest.raises(DataError, match=r"in kind \(1\)\. .* a label that is missing is not made up"):
        open_data(write(a=[1.0, 2.0], kind=[1.0, np.nan]), DataOptions(fill=0, label_column="kind"))
    with pytest.raises(DataError, match=r"in name \(1\)"):
        open_data(write(a=[1.0, 2.0], name=["u", None]), DataOptions(fill=0))
    with pytest.raises(DataError, match="the column 'b' holds no value, so it has no median"):
        open_data(write(a=[1.0, 2.0], b=[np.nan, np.nan]), DataOptions(fill="median"))
    with pytest.raises(DataError, match=r"fill.* mean, median or a number"):
        open_data(write(a=[1.0, np.nan]))
    with pytest.raises(UsageError, match=r"fill.* is for tables"):
        open_data(np.ones((3, 2)), DataOptions(fill=0))
    for wrong in ("mode", np.inf, [1]):
        with pytest.raises(UsageError, match="fill"):
            DataOptions(fill=wrong)


def test_no_features_and_no_rows(write):
    with pytest.raises(DataError, match="no column of features"):
        only_batch(write(kind=[1, 2]), "kind")
    with pytest.raises(DataError, match="no samples"):
        only_batch(write(a=np.empty(0), b=np.empty(0)))


def test_nullable_columns_of_parquet(tmp_path):
    pd.DataFrame({"a": pd.array([1, 2], dtype="Int64"), "y": pd.Categorical(["b", "a"])}).to_parquet(
        tmp_path / "t.parquet"
    )
    batch = only_batch(tmp_path / "t.parquet", "y")
    assert batch.inputs.tolist() == [[1], [2]]
    assert batch.labels.tolist() == [1, 0]


def test_ragged_csv_names_file_and_line(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n1,2,3,4\n")
    with pytest.raises(DataError, match=r"t\.csv cannot be read as CSV: .*line 3"):
        only_batch(tmp_path / "t.csv")


def test_normalization_applies_to_features_and_image_options_do_not(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    (batch,) = open_data(tmp_path / "t.csv", DataOptions(mean=(1.0, 2.0), std=(2.0,))).given_batches(10)
    assert batch.inputs.tolist() == [[0, 0], [1, 1]]
    with pytest.raises(UsageError, match=r"^resize needs images"):
        open_data(tmp_path / "t.csv", DataOptions(resize=8))


@pytest.mark.parametrize(("column", "hinted"), [("label", True), ("Target", True), ("y", True), ("labelled", False)])
def test_a_column_that_may_hold_the_labels_is_remembered(write, column, hinted):
    path = write(a=[1, 2], **{column: [0, 1]})
    hint = open_data(path).hint
    assert (f"{argument('label_column')} {column}." in hint) == hinted
    assert open_data(path, DataOptions(label_column=column)).hint == ""


@pytest.mark.parametrize("cells", [[[1.0, 2.0], [3.0]], [{"a": 1}, {"a": 2}]], ids=["lists", "structs"])
def test_labels_are_single_values(tmp_path, cells):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"a": [1.0, 2.0], "label": cells}).to_parquet(path)
    with pytest.raises(DataError, match=r"table\.parquet: the labels in column 'label' must be single values"):
        only_batch(path, label_column="label")


def test_labels_of_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"a": [1.0, 2.0, 3.0], "label": [b"\xff", b"a", b"\xff"]}).to_parquet(path)
    assert only_batch(path, label_column="label").labels.tolist() == [0, 1, 0]


def test_numbers_beyond_float32_are_told_by_sample_and_nothing_is_warned_of(write):
    source = open_data(write(a=[1.0, 1e300, 4.0, 5.0], b=[2.0, 3.0, -1e200, 6.0]), DataOptions())
    with pytest.raises(DataError, match="2 of 4 samples read hold NaN or infinity: numbers 1, 2"):
        list(source.batches(4))
