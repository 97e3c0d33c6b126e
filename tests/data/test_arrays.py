"""Arrays in memory: keys, labels, dtypes, random draws, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bncheck
from bncheck.data import open_data
from bncheck.data.forms.conversion import to_tensor
from bncheck.errors import DataError


def only_batch(source):
    (batch,) = open_data(source).given_batches(1000)
    return batch


def floats(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("key", ["y", "label", "labels", "target", "targets"])
def test_label_keys(key):
    batch = only_batch({"pixels": floats(3, 2), key: np.array([1, 2, 3])})
    np.testing.assert_array_equal(batch.inputs, floats(3, 2))
    assert batch.labels.tolist() == [1, 2, 3]


def test_several_arrays_are_named_inputs(tmp_path):
    np.savez(tmp_path / "d.npz", ids=np.array([[1], [2]]), mask=np.array([[True], [False]]), labels=np.array([7, 8]))
    batch = only_batch(tmp_path / "d.npz")
    assert {name: tensor.tolist() for name, tensor in batch.inputs.items()} == {
        "ids": [[1], [2]],
        "mask": [[True], [False]],
    }
    assert batch.labels.tolist() == [7, 8]


def test_several_positional_inputs():
    batch = only_batch(((floats(2, 3), floats(2, 1)), np.array([0, 1])))
    assert [tuple(tensor.shape) for tensor in batch.inputs] == [(2, 3), (2, 1)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.int8, np.bool_])
def test_dtypes_are_kept(dtype):
    array = np.ones((2, 3, 4, 4), dtype=dtype)
    assert only_batch(array).inputs.numpy().dtype == dtype


def test_uint8_of_other_ranks_is_no_image():
    batch = only_batch(np.array([[200, 1], [2, 3]], dtype=np.uint8))
    assert batch.inputs.tolist() == [[200, 1], [2, 3]]
    assert batch.inputs.dtype == torch.uint8


def test_foreign_byte_order_negative_strides_and_read_only_memory():
    array = np.arange(6, dtype=">f4").reshape(3, 2)[::-1]
    array.flags.writeable = False
    assert only_batch(array).inputs.tolist() == [[4, 5], [2, 3], [0, 1]]


def test_a_model_that_writes_to_its_input_leaves_the_array_alone():
    array = floats(3, 2)
    only_batch(array).inputs.zero_()
    assert array.tolist() == floats(3, 2).tolist()


def test_an_array_mapped_from_a_file_is_not_copied(tmp_path):
    np.save(tmp_path / "x.npy", floats(3, 2))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert to_tensor(mapped, "x").data_ptr() == mapped.ctypes.data


def test_gradients_are_left_behind():
    assert not only_batch(torch.ones(2, 3, requires_grad=True)).inputs.requires_grad


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array([[3], [4]]), [3, 4]),
        (np.array([[0.5], [1.5]]), [[0.5], [1.5]]),
        (np.array(["dog", "cat"]), [1, 0]),
        (np.array(["3", "12"]), [3, 12]),
        (np.array([b"12", b"0"]), [12, 0]),
        (np.array(["12", "x"]), [0, 1]),
        (np.array(["9" * 30, "1"]), [1, 0]),
        (np.array([[0, 1], [1, 0]]), [[0, 1], [1, 0]]),
        ([5, 6], [5, 6]),
    ],
)
def test_labels(labels, expected):
    assert only_batch((floats(2, 3), labels)).labels.tolist() == expected


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64])
def test_labels_of_wide_unsigned_types_can_be_compared(dtype):
    labels = only_batch((floats(3, 3), np.array([0, 2, 1], dtype=dtype))).labels
    assert labels.dtype == torch.int64
    assert (labels >= 1).tolist() == [False, True, True]


@settings(deadline=None, max_examples=50)
@given(count=st.integers(1, 60), batch_size=st.integers(1, 70), seed=st.integers(0, 2**32))
def test_batches_are_a_permutation(count, batch_size, seed):
    source = open_data((np.arange(count, dtype=np.float64)[:, None], np.arange(count)))
    batches = list(source.batches(batch_size, seed=seed))
    drawn = torch.cat([batch.labels for batch in batches])
    assert sorted(drawn.tolist()) == list(range(count))
    assert all(batch.size == batch_size for batch in batches[:-1])
    assert torch.cat([batch.inputs for batch in batches])[:, 0].tolist() == drawn.tolist()


@settings(deadline=None, max_examples=50)
@given(count=st.integers(1, 60), limit=st.integers(1, 70), seed=st.integers(0, 100))
def test_limit_draws_without_replacement_and_the_same_for_a_seed(count, limit, seed):
    source = open_data(np.arange(count))
    first, again = ([int(n) for b in source.batches(7, seed=seed, limit=limit) for n in b.inputs] for _ in range(2))
    assert first == again
    assert len(first) == len(set(first)) == min(limit, count)


def test_limit_draws_from_all_samples():
    source = open_data(np.arange(10_000))
    (batch,) = source.batches(100, limit=100)
    assert batch.inputs.max() > 9_000
    assert batch.inputs.min() < 1_000


def test_another_seed_draws_otherwise():
    source = open_data(np.arange(100))
    (first,), (second,) = source.batches(100, seed=0), source.batches(100, seed=1)
    assert first.inputs.tolist() != second.inputs.tolist()


def test_given_batches_stop_at_the_limit():
    batches = open_data(np.arange(10)).given_batches(4, limit=6)
    assert [batch.inputs.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((floats(3, 2), np.array([1, 2])), "3 samples, but 2 labels"),
        ((floats(3, 2), np.array(1)), "3 samples, but a single label"),
        (floats(0, 3), "no samples"),
        (np.array(1.0), "without axes"),
        ({"a": floats(3, 2), "b": floats(4, 2)}, "different numbers of samples: 3, 4"),
        ({"x": floats(3), "y": np.arange(3), "labels": np.arange(3)}, "both 'y' and 'labels'"),
        ({"y": np.arange(3)}, "no input, only 'y'"),
        ((floats(1), floats(1), floats(1)), r"tuple of 3 elements\. Accepted are x, \(x, y\) and a dict"),
        (np.array(["a", "b"]), "the input holds text"),
        (np.array([None, 1]), "the input holds Python objects"),
        ({"x": [1, 2]}, "input 0 is an int, not a tensor"),
        ((floats(2), "ab"), "the label is a str, not a tensor"),
        (np.zeros(2, dtype="f2,f4"), "the input holds something, not numbers"),
    ],
)
def test_values_that_are_refused(value, message):
    with pytest.raises(DataError, match=message):
        open_data(value)


def test_of_given_batches_every_so_many_can_be_read_and_no_other():
    batches = open_data(np.arange(10)).given_batches(2, every=2)
    assert [batch.inputs.tolist() for batch in batches] == [[0, 1], [4, 5], [8, 9]]


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_labels_and_outputs_of_8_bits_are_read(dtype):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(3)

        def forward(self, x):
            return self.norm(x).to(dtype)

    x = torch.randn(40, 3)
    report = bncheck.inspect(Net(), (x, torch.arange(40).remainder(3).float().to(dtype)))
    assert report.layers[0].gap is not None
