"""Data sets that give samples: Hugging Face's by what they have, streams of PyTorch, and loaders of several workers."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from bncheck.data import DataOptions, open_data
from bncheck.data.sources.sharding import without_copies
from bncheck.errors import DataError

COUNT = 150
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine of one core


class Table:
    """What a data set of Hugging Face has, with rows as it decodes them."""

    features: ClassVar = {"image": "Image", "label": "ClassLabel"}

    def __init__(self, **columns: list[Any]) -> None:
        self.columns = columns
        self.formats: list[Any] = []

    def set_format(self, *given: Any) -> None:
        self.formats.append(given)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {name: column[number] for name, column in self.columns.items()}


class Streamed:
    """What one that is streamed has."""

    features: ClassVar = {"x": "Sequence", "y": "Value"}

    def with_format(self, kind: str) -> Any:
        raise AssertionError

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from ({"x": [float(number), 0.0], "y": number} for number in range(COUNT))


def table() -> Table:
    return Table(
        image=[Image.new("L", (6, 5), number % 256) for number in range(COUNT)],
        signal=[[float(number), number / 2] for number in range(COUNT)],
        caption=[f"number {number}" for number in range(COUNT)],
        label=list(range(COUNT)),
        fine=[number * 2 for number in range(COUNT)],
    )


def read(data: object, **how: Any) -> tuple[torch.Tensor, list[int]]:
    """All inputs, sorted by label, and the labels as they came."""
    batches = list(open_data(data, DataOptions(**how)).batches(32))
    assert [batch.size for batch in batches[:-1]] == [32] * (len(batches) - 1)
    labels = torch.cat([batch.labels for batch in batches])
    return torch.cat([batch.inputs for batch in batches])[labels.argsort()], labels.tolist()


@pytest.mark.parametrize("through", [lambda data: data, lambda data: lambda: data], ids=["itself", "a callable"])
def test_a_table_is_read_once_in_drawn_order_by_the_columns_chosen(through: Any) -> None:
    data = table()
    inputs, labels = read(through(data), input=("signal",), label="label")
    assert labels != sorted(labels)
    assert sorted(labels) == list(range(COUNT))
    assert inputs.tolist() == [[number, number / 2] for number in range(COUNT)]
    images, fine = read(through(data), input=("image",), label="fine")
    assert images.shape == (COUNT, 3, 5, 6)
    assert sorted(fine) == [number * 2 for number in range(COUNT)]
    assert (images[7] * 255).unique().tolist() == [7]
    assert data.formats == []


def test_columns_are_told_by_their_names_where_nothing_is_chosen() -> None:
    data = table()
    del data.columns["signal"], data.columns["fine"]
    source = open_data(data)
    (batch, *_) = source.batches(10)
    assert batch.inputs.shape == (10, 3, 5, 6)
    assert source.samples == COUNT
    assert any("caption" in note.sentence for note in source.notes)
    first = [batch.labels.tolist() for batch in open_data(data).batches(10, seed=5)]
    assert first == [batch.labels.tolist() for batch in open_data(data).batches(10, seed=5)]
    assert first != [batch.labels.tolist() for batch in open_data(data).batches(10, seed=6)]


def test_images_of_several_sizes_are_one_tensor_once_they_are_of_one_size() -> None:
    sizes = [(8, 6), (6, 9), (7, 7), (12, 6)]
    data = Table(image=[Image.new("RGB", sizes[number % 4], (number, 0, 0)) for number in range(12)], label=[0, 1] * 6)
    (batch,) = open_data(data, DataOptions(resize=6, crop=6)).batches(32)
    assert batch.inputs.shape == (12, 3, 6, 6)
    assert sorted((batch.inputs[:, 0, 0, 0] * 255).round().int().tolist()) == list(range(12))


def test_one_that_is_streamed_is_read_from_the_front() -> None:
    inputs, labels = read(Streamed())
    assert sorted(labels) == list(range(COUNT))
    assert inputs[:, 0].tolist() == list(range(COUNT))


def test_of_several_splits_one_is_to_be_given() -> None:
    for given in ({"train": table(), "test": table()}, lambda: {"train": table(), "test": Streamed()}):
        with pytest.raises(DataError, match="several data sets, train, test: give one of them"):
            list(open_data(given).batches(2))


class Numbers(IterableDataset):
    """Samples; what stands in `as_batches` says whether as batches of 10."""

    as_batches = False

    def __iter__(self) -> Iterator[Any]:
        for number in range(0, COUNT, 10 if self.as_batches else 1):
            if self.as_batches:
                yield torch.arange(number, number + 10).float()[:, None], torch.arange(number, number + 10)
            else:
                yield np.full((3, 2), number, np.float32), number


class Batches(Numbers):
    as_batches = True


def test_a_stream_of_samples_is_put_together_and_one_of_batches_is_not() -> None:
    inputs, labels = read(Numbers())
    assert inputs.shape == (COUNT, 3, 2)
    assert sorted(labels) == list(range(COUNT))
    inputs, labels = read(Batches())
    assert inputs[:, 0].tolist() == list(range(COUNT))


def mine(numbers: Any) -> Any:
    worker = get_worker_info()
    return numbers if worker is None else list(numbers)[worker.id :: worker.num_workers]


class Sharded(Numbers):
    def __iter__(self) -> Iterator[Any]:
        yield from ((torch.full((2,), float(number)), number) for number in mine(range(COUNT)))


class Around(IterableDataset):
    def __init__(self, inner: Any) -> None:
        self.stages = [inner]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.stages[0])


@pytest.mark.parametrize(
    ("data", "how", "left"),
    [
        (Numbers(), {}, 1),
        (Around(Numbers()), {}, 1),
        (Sharded(), {}, 0),
        (Around(Around(Sharded())), {}, 0),
        (Numbers(), {"worker_init_fn": print}, 0),
        (list(range(9)), {}, 0),
    ],
    ids=["reads all", "reads all within", "shards", "shards within", "started by its own", "by number"],
)
def test_workers_that_would_read_all_of_it_are_one(data: Any, how: dict[str, Any], left: int) -> None:
    loader = DataLoader(data, batch_size=4, num_workers=2, **how)
    read_by, left_out = without_copies(loader)
    assert (read_by.num_workers, left_out) == (2 - left, left)
    assert loader.num_workers == 2
    assert without_copies(DataLoader(Numbers(), num_workers=1))[1] == 0


@pytest.mark.parametrize("kind", [Numbers, Sharded])
def test_each_sample_is_read_once_whatever_the_workers(kind: type[Numbers]) -> None:
    source = open_data(DataLoader(kind(), batch_size=50, num_workers=2))
    labels = [label for batch in source.batches(32) for label in batch.labels.tolist()]
    assert sorted(labels) == list(range(COUNT))
    assert any("one of its 2 workers" in note.sentence for note in source.notes) == (kind is Numbers)
    gc.collect()
