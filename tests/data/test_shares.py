"""What each of several processes reads of a loader: its share, every sample once, and no other where it can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler, IterableDataset

from bncheck.data import Share, open_data

SAMPLES, SHARES = 103, 3


class Counted(Dataset[Any]):
    """Samples that say who asked for them."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        self.asked[number] += 1
        return torch.full((2,), float(number)), number


class Stream(IterableDataset[Any]):
    """The same from the front."""

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        yield from ((torch.full((2,), float(number)), number) for number in range(SAMPLES))


def own_collate(samples: list[tuple[torch.Tensor, int]]) -> dict[str, Any]:
    """What a model's own collating gives, here of every sample twice."""
    x, y = zip(*samples, strict=True)
    return {"x": torch.stack([*x, *x]), "label": torch.tensor([*y, *y])}


def share_of(source: object, index: int, limit: int | None = None) -> tuple[list[int], list[int], bool]:
    """Labels and positions of the samples in a share, and whether no others were read."""
    batches, is_share = open_data(source).shared(16, seed=1, limit=limit, share=Share(index, SHARES))
    read = list(batches)
    labels = [int(label) for batch in read for label in batch.labels.tolist()]
    return labels, [place for batch in read for place in batch.positions.tolist()], is_share


LOADERS: dict[str, Callable[[Counted], Any]] = {
    "in order": lambda data: DataLoader(data, batch_size=10),
    "shuffled": lambda data: DataLoader(data, batch_size=10, shuffle=True),
    "batches of one": lambda data: DataLoader(data, batch_size=1),
    "fewer batches than shares": lambda data: DataLoader(data, batch_size=60),
    "padded for several processes": lambda data: DataLoader(
        data, batch_size=10, sampler=DistributedSampler(data, num_replicas=SHARES, rank=1, shuffle=False)
    ),
    "padded and shuffled": lambda data: DataLoader(
        data, batch_size=10, sampler=DistributedSampler(data, num_replicas=SHARES, rank=1, seed=4)
    ),
}


@pytest.mark.parametrize("name", LOADERS)
def test_of_a_data_set_with_random_access_each_sample_is_read_once_by_one_process(name: str) -> None:
    held, places = list[int](), list[int]()
    data = Counted()
    for index in range(SHARES):
        labels, positions, is_share = share_of(LOADERS[name](data), index)
        assert is_share
        held += labels
        places += positions
    assert sorted(held) == sorted(places) == list(range(SAMPLES))
    assert set(data.asked.values()) == {1}
    whole = open_data(LOADERS[name](Counted()))
    if "padded" not in name:
        known = {
            int(label): place
            for batch in whole.batches(16, seed=1)
            for label, place in zip(batch.labels.tolist(), batch.positions.tolist(), strict=True)
        }
        assert dict(zip(held, places, strict=True)) == known  # as one process numbers them


def test_what_puts_batches_together_may_make_several_samples_of_one() -> None:
    places = [
        place
        for index in range(SHARES)
        for place in share_of(DataLoader(Counted(), batch_size=10, collate_fn=own_collate), index)[1]
    ]
    assert sorted(places) == list(range(2 * SAMPLES))


def test_worker_processes_read_a_share_too() -> None:
    labels, places, is_share = share_of(DataLoader(Counted(), batch_size=10, num_workers=1), 2)
    assert is_share
    assert sorted(labels) == sorted(places) == [*range(20, 30), *range(50, 60), *range(80, 90)]


def test_a_function_that_asks_gives_its_share() -> None:
    asked = list[tuple[int, int]]()

    def loader(rank: int, world_size: int) -> Iterator[Any]:
        asked.append((rank, world_size))
        for start in range(rank, SAMPLES, 8 * world_size):
            numbers = torch.arange(start, min(start + 8 * world_size, SAMPLES), world_size)
            yield numbers[:, None].float(), numbers

    held = [share_of(loader, index) for index in range(SHARES)]
    assert all(is_share for *_, is_share in held)
    assert sorted(label for labels, *_ in held for label in labels) == list(range(SAMPLES))
    assert all(sorted(labels) == sorted(places) for labels, places, _ in held)
    assert asked == [(0, 3), (1, 3), (2, 3)]
    alone = list(open_data(loader).batches(16))
    assert (sum(batch.size for batch in alone), asked[-1]) == (SAMPLES, (0, 1))


def test_a_function_with_a_rank_of_another_kind_is_not_told() -> None:
    assert share_of(lambda rank=7: [(torch.full((5, 2), 0.5), torch.full((5,), rank))], 1)[0] == [7] * 5


@pytest.mark.parametrize(
    "loader", [DataLoader(Stream(), batch_size=10), [(torch.zeros(10, 2), torch.arange(10))]], ids=["stream", "list"]
)
def test_what_can_only_be_read_whole_is_the_same_in_every_process(loader: Any) -> None:
    shares = [share_of(loader, index) for index in range(SHARES)]
    assert shares[0] == shares[1] == shares[2]
    assert not shares[0][2]


def test_a_limit_is_shared_out() -> None:
    shares = [share_of(DataLoader(Counted(), batch_size=10), index, limit=20) for index in range(SHARES)]
    held = [label for labels, *_ in shares for label in labels]
    assert (len(held), len(set(held))) == (20, 20)
    assert {len(share_of(DataLoader(Counted(), batch_size=10), index, limit=1)[0]) for index in range(3)} == {0, 1}
