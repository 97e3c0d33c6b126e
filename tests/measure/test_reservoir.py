"""The draw of samples that probes run: which they are, and that it does not matter who read them first."""

from __future__ import annotations

import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.data.batches import Batch
from bncheck.measure.reservoir import FEWEST, GROUP, SAMPLES, Reservoir
from bncheck.results import FewerSamplesKept
from bncheck.settings import SampleMemory
from bncheck.watch.keys import sample_keys


def batch(
    size: int, labels: torch.Tensor | None = None, shape: tuple[int, ...] = (1, 2, 2), start: int | None = None
) -> Batch:
    """Samples that hold their own number; they say where they stand if `start` is given."""
    numbers = torch.arange(size) + (start or 0)
    x = numbers.float().reshape(-1, *[1] * len(shape)).expand(size, *shape)
    return Batch(x, labels, size, None if start is None else numbers)


def values(reservoir: Reservoir) -> list[float]:
    drawn = reservoir.samples()
    return [] if drawn is None else drawn.inputs.flatten(1)[:, 0].tolist()


def test_the_samples_with_the_smallest_keys_are_drawn_in_their_order() -> None:
    reservoir = Reservoir(seed=3)
    for start in range(0, 1000, 50):
        reservoir.add(batch(50, start=start))
    assert values(reservoir) == [float(place) for place in sample_keys(3, range(1000)).argsort()[:SAMPLES]]


def test_samples_that_nobody_counted_are_counted_as_they_come() -> None:
    counted, uncounted = Reservoir(), Reservoir()
    for start in range(0, 600, 40):
        counted.add(batch(40, start=start))
        uncounted.add(Batch(batch(40, start=start).inputs, None, 40))
    assert values(counted) == values(uncounted)


def test_the_draw_is_even_over_the_data_and_another_under_another_seed() -> None:
    draws = []
    for seed in range(20):
        reservoir = Reservoir(seed)
        reservoir.add(batch(4 * SAMPLES, start=0))
        draws.append(values(reservoir))
    assert len({tuple(draw) for draw in draws}) == 20
    halves = [sum(value < 2 * SAMPLES for value in draw) / SAMPLES for draw in draws]
    assert sum(halves) / len(halves) == pytest.approx(0.5, abs=0.03)


def test_large_samples_are_kept_in_smaller_number() -> None:
    reservoir, side = Reservoir(), 256
    for start in range(0, 40, 8):
        reservoir.add(Batch(torch.zeros(8, 8, side, side), None, 8, torch.arange(start, start + 8)))
    assert reservoir.samples().size == SampleMemory().kept // (4 * 8 * side * side) == 24


def test_a_few_are_kept_however_large_and_whole_batches_where_their_size_is_fixed() -> None:
    for fixed, kept in ((0, FEWEST), (20, 20)):
        reservoir = Reservoir(least=fixed, memory=SampleMemory(1))
        reservoir.add(Batch(torch.zeros(40, 2**16), None, 40))
        assert reservoir.samples().size == kept
        assert reservoir.notes() == (FewerSamplesKept(kept),)


def test_nothing_is_said_where_all_are_kept_or_as_many_as_are_asked_for() -> None:
    for number in (5, 4 * SAMPLES):
        reservoir = Reservoir()
        reservoir.add(batch(number, start=0))
        assert reservoir.notes() == ()


def test_what_is_kept_takes_no_more_than_its_share_and_is_held_once() -> None:
    memory, size = SampleMemory(1), 4096
    reservoir = Reservoir(memory=memory)
    for start in range(0, 400, 20):
        labels = torch.arange(start, start + 20) % 4
        reservoir.add(Batch(torch.zeros(20, size // 4), labels, 20, torch.arange(start, start + 20)))
    drawn = reservoir.samples()
    assert drawn.size * size == memory.kept
    assert {one.inputs.data_ptr() for one in reservoir.singles()} == {one.data_ptr() for one in drawn.inputs}
    assert [len(samples) * size for samples in reservoir._by_label.values()] == [GROUP * size] * (
        memory.grouped // (GROUP * size)
    )


def test_what_is_kept_has_memory_of_its_own() -> None:
    x = torch.zeros(4, 1, 2, 2)
    reservoir = Reservoir()
    reservoir.add(Batch(x, torch.zeros(4).long(), 4))
    x += 1
    assert reservoir.samples().inputs.sum() == 0


def test_they_are_put_together_once_until_others_are_drawn() -> None:
    reservoir = Reservoir()
    reservoir.add(batch(3, start=0))
    before = reservoir.samples()
    assert reservoir.samples() is before
    reservoir.add(batch(2, start=3))
    assert sorted(values(reservoir)) == [0, 1, 2, 3, 4]
    assert before.size == 3


def test_of_several_forms_the_commonest_is_given_out() -> None:
    for order in ((3, 8), (8, 3)):
        reservoir = Reservoir()
        for size in order:
            reservoir.add(batch(size, shape=(1, size, size), start=10 * size))
        reservoir.add(Batch((torch.zeros(5, 2), torch.zeros(7, 2)), None, 5))  # nodes against graphs
        assert reservoir.samples().inputs.shape == (8, 1, 8, 8)


@pytest.mark.parametrize(
    ("labels", "each", "groups", "size"),
    [
        (4, 100, 4, 32),
        (10, 40, 10, 32),
        (10, 20, 10, 16),
        (10, 9, 10, 8),
        (10, 5, 0, 0),
        (16, 40, 16, 16),
        (1, 99, 0, 0),
    ],
)
def test_groups_are_of_one_label_and_of_equal_size(labels: int, each: int, groups: int, size: int) -> None:
    y = torch.arange(labels).repeat(each)
    reservoir = Reservoir()
    for part in y.split(7):
        reservoir.add(Batch(part.float().reshape(-1, 1), part, len(part)))
    found = reservoir.groups()
    assert [group.size for group in found] == [size] * groups
    assert len({int(group.labels[0]) for group in found}) == groups
    for group in found:
        assert len(set(group.labels.tolist())) == 1
        assert torch.equal(group.inputs[:, 0], group.labels.float())


@pytest.mark.parametrize(
    "labels",
    [None, torch.rand(64), torch.randint(2, (64, 3, 3)), torch.eye(64), torch.zeros(64, dtype=torch.complex64)],
    ids=["none", "reals", "maps", "one-hot", "complex"],
)
def test_labels_that_are_no_classes_make_no_groups(labels: torch.Tensor | None) -> None:
    reservoir = Reservoir()
    reservoir.add(batch(64, labels))
    assert reservoir.groups() == []


def test_no_more_labels_are_collected_than_there_is_room_for() -> None:
    reservoir = Reservoir()
    y = torch.arange(100).repeat(20)
    reservoir.add(Batch(torch.zeros(2000, 1), y, 2000))
    assert len(reservoir.groups()) == 256 // GROUP


def test_what_is_sent_to_another_process_takes_no_more_than_what_is_kept() -> None:
    reservoir = Reservoir(memory=SampleMemory(1))
    for start in range(0, 400, 20):
        reservoir.add(Batch(torch.zeros(20, 1024), torch.arange(20) % 4, 20, torch.arange(start, start + 20)))
    before = contents(reservoir)
    sent = pickle.dumps(reservoir)
    kept = (reservoir.room + sum(map(len, reservoir._by_label.values()))) * 4096
    assert len(sent) < 1.5 * kept
    assert contents(pickle.loads(sent)) == before


def contents(reservoir: Reservoir) -> tuple[list[float], list[list[float]]]:
    groups = reservoir.groups()
    return values(reservoir), [[float(group.labels[0]), *group.inputs[:, 0].tolist()] for group in groups]


@settings(derandomize=True, deadline=None, max_examples=15)
@given(
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=12),
    shards=st.lists(st.integers(0, 2), min_size=12, max_size=12),
    order=st.permutations(range(3)),
    classes=st.integers(1, 40),
)
def test_it_does_not_matter_who_read_which_samples_first(
    sizes: list[int], shards: list[int], order: list[int], classes: int
) -> None:
    whole, parts = Reservoir(5), [Reservoir(5) for _ in range(3)]
    start = 0
    for size, shard in zip(sizes, shards, strict=False):
        numbers = torch.arange(start, start + size)
        read = Batch(numbers.float()[:, None], numbers * 7 % classes, size, numbers)
        whole.add(read)
        parts[shard].add(read)
        start += size
    one, other, third = (parts[place] for place in order)
    assert contents(one.merge(other).merge(third)) == contents(one.merge(other.merge(third))) == contents(whole)
    assert contents(whole.merge(Reservoir(5))) == contents(Reservoir(5).merge(whole)) == contents(whole)
