"""Array files: every kind gives what was saved; damaged, foreign and dangerous ones are refused."""

import decimal
import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from bncheck.data import DataOptions, open_data
from bncheck.errors import DataError, UsageError


def only_batch(source):
    (batch,) = open_data(source).given_batches(1000)
    return batch


def floats(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def save_npz(path, x, y):
    np.savez(path, x=x, y=y)


def save_compressed(path, x, y):
    np.savez_compressed(path, x=x, y=y)


def save_pt_dict(path, x, y):
    torch.save({"x": torch.from_numpy(x), "y": torch.from_numpy(y)}, path)


def save_pt_pair(path, x, y):
    torch.save((torch.from_numpy(x), torch.from_numpy(y)), path)


def save_legacy_pt(path, x, y):
    torch.save([torch.from_numpy(x), torch.from_numpy(y)], path, _use_new_zipfile_serialization=False)


def save_safetensors(path, x, y):
    save_file({"x": torch.from_numpy(x), "y": torch.from_numpy(y)}, path)


WRITERS = [
    ("d.npz", save_npz),
    ("d.npz", save_compressed),
    ("d.pt", save_pt_dict),
    ("d.pth", save_pt_pair),
    ("d.pt", save_legacy_pt),
    ("d.safetensors", save_safetensors),
]


@pytest.mark.parametrize(("file_name", "write"), WRITERS)
def test_every_array_file_gives_what_was_saved(tmp_path, file_name, write):
    x, y = floats(5, 3, 2, 2), np.array([4, 3, 2, 1, 0])
    write(tmp_path / file_name, x, y)
    source = open_data(str(tmp_path / file_name))
    batches = list(source.given_batches(2))
    assert source.samples == 5
    assert source.name == str(tmp_path / file_name)
    assert [batch.size for batch in batches] == [2, 2, 1]
    np.testing.assert_array_equal(torch.cat([batch.inputs for batch in batches]), x)
    np.testing.assert_array_equal(torch.cat([batch.labels for batch in batches]), y)


def test_npy_has_no_labels(tmp_path):
    np.save(tmp_path / "x.npy", floats(3, 2))
    batch = only_batch(tmp_path / "x.npy")
    assert batch.labels is None
    np.testing.assert_array_equal(batch.inputs, floats(3, 2))


def save_npy(path, x, y):
    np.save(path, x)


def save_parquet(path, x, y):
    pd.DataFrame(x, columns=["a", "b", "c"]).to_parquet(path)


RECOGNISABLE = [*WRITERS, ("d.npy", save_npy), ("d.parquet", save_parquet)]
RECOGNISABLE.remove(("d.pt", save_legacy_pt))  # a bare pickle looks like nothing


@pytest.mark.parametrize(("file_name", "write"), RECOGNISABLE)
def test_content_decides_over_the_suffix(tmp_path, file_name, write):
    write(tmp_path / file_name, floats(2, 3), np.array([0, 1]))
    renamed = (tmp_path / file_name).rename(tmp_path / "data.csv")
    np.testing.assert_array_equal(only_batch(renamed).inputs, floats(2, 3))


def test_npz_is_decompressed_once(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "d.npz", x=floats(50, 2))
    opened = []
    load = np.load
    monkeypatch.setattr(np, "load", lambda *args, **kwargs: opened.append(args) or load(*args, **kwargs))
    source = open_data(tmp_path / "d.npz")
    assert len(list(source.batches(5))) == 10
    assert len(list(source.given_batches(5))) == 10
    assert len(opened) == 1


@pytest.mark.parametrize(
    "file_name", ["d.npz", "d.npy", "d.pt", "d.pth", "d.safetensors", "d.csv", "d.parquet", "d.tar"]
)
def test_empty_and_meaningless_files(tmp_path, file_name):
    path = tmp_path / file_name
    path.write_bytes(b"")
    with pytest.raises(DataError, match=f"{file_name} is empty"):
        open_data(path)
    path.write_bytes(b"\x00\xff nothing that means anything" * 40)
    with pytest.raises(DataError, match=file_name):
        open_data(path)


@pytest.mark.parametrize(("file_name", "write"), WRITERS)
def test_truncated_files(tmp_path, file_name, write):
    path = tmp_path / file_name
    write(path, floats(500, 3), np.arange(500))
    whole = path.read_bytes()
    for length in range(10, len(whole) - 100, len(whole) // 12):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=file_name):
            open_data(path)


@pytest.mark.parametrize("save", [np.save, lambda path, array: np.savez(path, x=array)])
def test_object_arrays_are_not_unpickled(tmp_path, save):
    path = tmp_path / "objects.npz"
    with path.open("wb") as file:
        save(file, np.array([decimal.Decimal(1)]))
    with pytest.raises(DataError, match=r"objects\.npz holds pickled Python objects.*astype\(str\)"):
        open_data(path)


class RunsCode:
    """Unpickling it leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return (os.system, (f"touch {self.trace}",))


def test_pt_with_code_is_refused_and_not_run(tmp_path):
    torch.save({"x": torch.ones(2), "y": RunsCode(tmp_path / "trace")}, tmp_path / "evil.pt")
    with pytest.raises(DataError, match=r"evil\.pt holds posix\.system"):
        open_data(tmp_path / "evil.pt")
    assert not (tmp_path / "trace").exists()


def test_pt_with_numpy_arrays_says_how_to_save_them(tmp_path):
    torch.save({"x": np.ones(2)}, tmp_path / "d.pt")
    with pytest.raises(DataError, match=r"holds numpy\S+ which could run code.*numpy\.savez"):
        open_data(tmp_path / "d.pt")


def test_plain_pickle_and_torchscript_are_no_data(tmp_path):
    (tmp_path / "d.pt").write_bytes(pickle.dumps([1.0]))
    with pytest.raises(DataError, match=r"not written by torch\.save"):
        open_data(tmp_path / "d.pt")
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(tmp_path / "model.pt")
    with pytest.raises(DataError, match="is a TorchScript model, not data"):
        open_data(tmp_path / "model.pt")


def test_unknown_suffix_lists_what_is_read(tmp_path):
    (tmp_path / "d.txt").write_text("hello")
    with pytest.raises(DataError, match=r"d\.txt: not a kind of data that is read: \.npz, .*\.tar"):
        open_data(tmp_path / "d.txt")
    (tmp_path / "d.py").write_text("x = 1")
    with pytest.raises(DataError, match=r"Name what is to be called in it: \S+d\.py:CALLABLE"):
        open_data(tmp_path / "d.py")


@pytest.mark.parametrize("name", ["missing.npz", "missing", Path("missing.csv")])
def test_missing_file_is_a_usage_error(name):
    with pytest.raises(UsageError, match="there is no file or folder missing"):
        open_data(name)


def test_label_column_is_for_tables(tmp_path):
    np.save(tmp_path / "x.npy", floats(3, 2))
    for source in (tmp_path / "x.npy", floats(3, 2), tmp_path):
        with pytest.raises(UsageError, match=r"^label_column is for tables"):
            open_data(source, DataOptions(label_column="y"))
