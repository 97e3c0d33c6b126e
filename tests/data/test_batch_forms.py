"""Every form in which loaders give batches, from what they hold to what a model is called with."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import bncheck
from bncheck.data import DataOptions, open_data
from bncheck.errors import DataError
from bncheck.results import InputsLeftOut, LabelsUnread

X = torch.arange(24, dtype=torch.float32).reshape(4, 3, 2)
Y = torch.tensor([0, 1, 1, 0])
PATHS = ["a.png", "b.png", "c.png", "d.png"]


class Sample(NamedTuple):
    """As collated named tuples come."""

    image: torch.Tensor
    label: torch.Tensor
    index: torch.Tensor


class Graph:
    """What PyTorch Geometric's `Data` is, as far as anybody can tell from outside."""

    def __init__(self, x: torch.Tensor, edge_index: torch.Tensor, y: torch.Tensor) -> None:
        self.x, self.edge_index, self.y = x, edge_index, y


def read(batch: Any, **options: Any) -> Any:
    (read,) = open_data([batch], DataOptions(**options)).given_batches(4)
    return read


def nested() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([torch.zeros(1), torch.zeros(2)])


def test_texts_are_left_out_of_a_dict_and_told() -> None:
    source = open_data([{"image": X, "path": PATHS, "label": Y}])
    (batch,) = source.given_batches(4)
    assert torch.equal(batch.inputs, X)
    assert batch.labels.tolist() == Y.tolist()
    assert source.notes == (InputsLeftOut(("path",)),)


def test_a_named_tuple_goes_by_its_names() -> None:
    batch = read(Sample(X, Y, torch.arange(4)), input=("image",))
    assert torch.equal(batch.inputs, X)
    assert batch.labels.tolist() == Y.tolist()


@pytest.mark.parametrize(
    ("options", "inputs", "labels"),
    [
        ({"input": ("0",), "label": "1"}, 1, [0, 1, 1, 0]),
        ({"label": "1"}, 1, [0, 1, 1, 0]),
        ({"label": "2"}, 2, [0, 1, 2, 3]),
        ({"input": ("0",), "label": "none"}, 1, None),
        ({"input": ("0", "2")}, 2, [0, 1, 1, 0]),
        ({"input": ("-1",), "label": "1"}, 1, [0, 1, 1, 0]),
    ],
)
def test_parts_of_a_triple_are_chosen(options: Any, inputs: int, labels: list[int] | None) -> None:
    batch = read((X, Y, torch.arange(4)), **options)
    assert len(batch.tensors) == inputs
    assert (None if batch.labels is None else batch.labels.tolist()) == labels


def test_a_triple_is_not_guessed_at() -> None:
    with pytest.raises(DataError, match=r"say which is what of 0 \(float32 \(4, 3, 2\)\), 1 \(int64 \(4,\)\)"):
        read((X, Y, torch.arange(4)))
    with pytest.raises(DataError, match=r"of 0 \(nested\), 1 \(tuple\), 2 \(NoneType\)"):
        read((nested(), (), None))
    with pytest.raises(DataError, match=r"label nine: there is none; there are 0 "):
        read((X, Y), label="nine")


def test_a_part_of_a_part() -> None:
    held = {"image": {"left": X, "right": X + 1}, "target": {"class": Y, "name": PATHS}}
    batch = read(held, input=("image.right",), label="target.class")
    assert torch.equal(batch.inputs, X + 1)
    assert batch.labels.tolist() == Y.tolist()


def test_lists_of_images_have_one_entry_a_sample() -> None:
    images = tuple(torch.zeros(3, 4 + size, 5) for size in range(3))
    boxes = tuple({"boxes": torch.zeros(size, 4)} for size in range(3))
    source = open_data([(images, boxes)])
    (batch,) = source.given_batches(4)
    assert (batch.size, batch.is_in_step, batch.labels) == (3, True, None)
    assert [one.shape[1] for one in batch.take(torch.tensor([2, 0])).inputs] == [6, 4]
    assert source.notes == (LabelsUnread("a tuple of dict"),)


@pytest.mark.parametrize(
    "labels",
    [PATHS, [torch.zeros(2, 5)] * 3 + [torch.zeros(0, 5)], {"names": PATHS}, [None] * 4, "text", [{"a": 1}] * 4],
)
def test_labels_of_no_task_do_not_end_the_run(labels: Any) -> None:
    assert read((X, labels)).labels is None


def test_fewer_labels_than_samples_still_do() -> None:
    with pytest.raises(DataError, match="a batch of 4 samples, but 3 labels"):
        read((X, Y[:3]))


def test_packed_sequences_are_not_taken_apart() -> None:
    packed = pack_sequence([torch.ones(3, 2), torch.ones(1, 2)])
    batch = read((packed, Y[:2]))
    assert isinstance(batch.inputs, PackedSequence)
    assert not batch.is_in_step
    assert list(batch.split(1)) == [batch]


class Takes(torch.nn.Module):
    """A layer, and a forward of the kind to be tried; what it was called with stays there."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(3)
        self.seen: list[Any] = []


class OneImage(Takes):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.seen.append(image.shape)
        return self.norm(image)


class WholeBatch(Takes):
    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.norm(batch["image"]) * batch["weight"][:, None, None]


class Images(Takes):
    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        return [{"boxes": self.norm(image.flatten(1).T)[:1]} for image in images]


class OnGraph(Takes):
    def forward(self, data: Any) -> torch.Tensor:
        return self.norm(data.x).index_add(0, data.edge_index[0], data.x[data.edge_index[1]])


class ByNames(Takes):
    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        return self.norm(x)[edge_index[0]]


class Packed(Takes):
    def forward(self, sequences: PackedSequence) -> torch.Tensor:
        return self.norm(sequences.data)


def graphs() -> Iterator[Graph]:
    torch.manual_seed(3)
    for nodes in (20, 31, 24, 40, 26):
        yield Graph(torch.randn(nodes, 3), torch.randint(nodes, (2, 50)), torch.randint(2, (nodes,)))


def images(number: int) -> tuple[torch.Tensor, ...]:
    return tuple(torch.randn(3, 4 + place % 3, 5) for place in range(number))


def data_for(kind: str) -> Any:
    torch.manual_seed(5)
    x, y = torch.randn(40, 3, 2), torch.randint(2, (40,))
    return {
        "one image": [{"image": x[:20], "index": torch.arange(20), "label": y[:20]}] * 2,
        "whole batch": [{"image": x[:20], "weight": torch.rand(20), "path": ["p"] * 20}] * 2,
        "images": [(images(6), [{"boxes": torch.zeros(1, 4)}] * 6) for _ in range(5)],
        "graph": list(graphs()),
        "graph by names": list(graphs()),
        "packed": [(pack_sequence([torch.randn(5, 3), torch.randn(4, 3)]), y[:2]) for _ in range(6)],
    }[kind]


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("one image", OneImage()),
        ("whole batch", WholeBatch()),
        ("images", Images()),
        ("graph", OnGraph()),
        ("graph by names", ByNames()),
        ("packed", Packed()),
    ],
)
def test_the_model_is_called_as_it_wants_and_the_data_stay_as_they_are(kind: str, model: Takes) -> None:
    batches = data_for(kind)
    before = copy.deepcopy(batches)
    report = bncheck.inspect(model.eval(), data=batches)
    (layer,) = report.layers
    assert layer.gap < 0.5  # fresh statistics, data like them
    with torch.no_grad():
        model.norm.running_var.mul_(16)
    assert bncheck.inspect(model, data=batches).layers[0].gap > 0.6
    assert str(before) == str(batches) if kind not in ("graph", "graph by names") else True
    if kind == "one image":
        assert InputsLeftOut(("index",)) in report.run.noted


def test_two_and_a_half_batches_that_cannot_be_cut() -> None:
    """Each fold gets whole batches; the last may stand alone."""
    report = bncheck.inspect(ByNames().eval(), data=list(graphs())[:3])
    assert report.data.samples == 20 + 31 + 24


def within(value: Any, depth: int) -> Any:
    for number in range(depth):
        value = {"in": value, "n": X} if number % 2 else [value, X]
    return value


def test_parts_within_parts_have_an_end() -> None:
    for odd in (within(X, 900), within({"a": X}, 901), [within(X, 900), X]):
        with pytest.raises(DataError, match="more than 16 deep"):
            read({"x": X, "z": odd})
        assert read((X, {"a": odd})).labels is None
        _read_or_refuse((odd, Y), DataOptions())
        _read_or_refuse(odd, DataOptions())


ODD: tuple[Any, ...] = (
    *(X, None, "a", PATHS, [], {}, {"a": 1}, X.to_sparse(), torch.tensor(1.0), [X, X], 3, object()),
    *([torch.zeros(2), torch.zeros(3)], [[1, 2], [3]], [{"boxes": X}] * 4, [nested()], [1, X], X.to("meta"), range(4)),
)


@pytest.mark.parametrize("first", range(len(ODD)))
def test_whatever_a_loader_gives_is_a_batch_or_an_error_that_says_why(first: int) -> None:
    one = ODD[first]
    for other in (*ODD, nested()):
        named = {"x": X, "t": {"u": one, "v": other}}
        for batch in ((one, other), {"x": one, "y": other}, (one, other, X), ((one, other), Y), (X, (one, other))):
            _read_or_refuse(batch, DataOptions())
        _read_or_refuse(named, DataOptions(label="t.u"))
        _read_or_refuse((X, one, other), DataOptions(input=("0", "1"), label="2"))


def _read_or_refuse(batch: Any, options: DataOptions) -> None:
    with contextlib.suppress(DataError):
        for read in open_data([batch], options).batches(2):
            assert read.size == sum(part.size for part in read.split(1))


def test_parts_that_a_model_does_not_know_by_their_names_are_to_be_chosen():
    """What an operator says ends where it lists the calls that it knows."""
    net = torch.nn.Sequential(torch.nn.Conv1d(3, 2, 1), torch.nn.BatchNorm1d(2))
    with pytest.raises(DataError, match="cannot be run on") as caught:
        bncheck.inspect(net, [{"pixels": X, "kinds": Y}])
    assert "but expected one of" not in str(caught.value)
    assert str(caught.value).endswith("input chooses among pixels, kinds, label what the labels are.")
