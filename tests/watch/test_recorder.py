"""What recorders of shards hold together: what one recorder over all of them would."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bncheck.watch.recorder
from bncheck.core.layers import BATCH_NORM, INSTANCE_NORM, NormLayer
from bncheck.watch.keys import sample_keys
from bncheck.watch.recorder import Recorder
from bncheck.watch.sites import Site

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=40)
FIRST, SECOND, INSTANCES = Site("one", 0), Site("one", 1), Site("other", 0)
LAYERS = {
    FIRST: NormLayer("one", BATCH_NORM, 2, None, None, eps=1e-5),
    SECOND: NormLayer("one", BATCH_NORM, 2, None, None, eps=1e-5),
    INSTANCES: NormLayer("other", INSTANCE_NORM, 3, None, None, eps=1e-5),
}
Forward = tuple[int, int]
"""The number of the first sample, and how many there are."""


def recorder(forwards: list[Forward]) -> Recorder:
    """What these samples show; what a sample is fed follows from its number alone."""
    seen = Recorder(per_sample=True, errors=True, seed=7)
    for start, size in forwards:
        positions = torch.arange(start, start + size) * 11  # the reading goes through the source in another order
        seen.expect(positions, start)
        for site, layer in LAYERS.items():
            numbers = torch.arange(start, start + size, dtype=torch.float64)
            shape = (size, layer.channels, 5)
            grid = torch.arange(layer.channels * 5, dtype=torch.float64).reshape(1, layer.channels, 5)
            x = torch.sin(numbers[:, None, None] * 1.7 + grid + site.call).expand(shape)
            seen.record(site, layer, x, size)
    return seen


def assert_alike(one: Recorder, other: Recorder) -> None:
    assert set(one.sites) == set(other.sites)
    for site, calls in one.sites.items():
        others = other.sites[site]
        for name in ("moments", "instances", "groups"):
            mine, theirs = getattr(calls, name), getattr(others, name)
            assert mine.count == theirs.count
            np.testing.assert_allclose(mine.mean, theirs.mean, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(calls.moments.m2, others.moments.m2, rtol=1e-10)
        table, known = calls.table(), others.table()
        assert (table is None) == (known is None)
        if table is not None and known is not None:
            np.testing.assert_array_equal(table.mean, known.mean)
            np.testing.assert_array_equal(table.m2, known.m2)


def forwards(sizes: list[int]) -> list[Forward]:
    starts = np.cumsum([0, *sizes])
    return [(int(start), size) for start, size in zip(starts, sizes, strict=False)]


@REPEATABLE
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=10),
    shards=st.lists(st.integers(0, 2), min_size=10, max_size=10),
    order=st.permutations(range(3)),
    room=st.sampled_from([0, 300, 1500, 10**9]),
)
def test_merging_is_associative_commutative_and_has_a_neutral_element(
    sizes: list[int], shards: list[int], order: list[int], room: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bncheck.watch.recorder, "TABLE_BYTES", room)
        read = forwards(sizes)
        whole = recorder(read).settled()
        parts = [recorder([one for one, shard in zip(read, shards, strict=False) if shard == k]) for k in range(3)]
        one, other, third = (pickle.loads(pickle.dumps(parts[place])) for place in order)
        assert_alike(one.merge(other).merge(third), whole)
        assert_alike(one.merge(other.merge(third)), whole)
        assert_alike(whole.merge(Recorder(per_sample=True, errors=True, seed=7)), whole)
        assert_alike(Recorder(per_sample=True, errors=True, seed=7).merge(whole), whole)


def test_merging_leaves_what_is_merged_alone() -> None:
    one, other = recorder([(0, 4)]), recorder([(4, 4)])
    one.merge(other)
    assert_alike(one, recorder([(0, 4)]))
    assert_alike(other, recorder([(4, 4)]))


def test_the_samples_with_the_smallest_keys_are_kept_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three calls take 2 x 8 bytes for each of 2 + 2 + 3 channels: 112 bytes a sample."""
    monkeypatch.setattr(bncheck.watch.recorder, "TABLE_BYTES", 10 * 112 + 50)
    seen = recorder([(start, 6) for start in range(0, 60, 6)]).settled()
    kept = np.sort(sample_keys(7, 11 * np.arange(60)).argsort()[:10])
    monkeypatch.setattr(bncheck.watch.recorder, "TABLE_BYTES", 10**9)
    full = recorder([(start, 6) for start in range(0, 60, 6)])
    for site, calls in seen.sites.items():
        np.testing.assert_array_equal(calls.table().mean, full.sites[site].table().mean[kept])
        assert calls.moments.count == 60 * 5


def test_memory_stays_near_its_bound_while_samples_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bncheck.watch.recorder, "TABLE_BYTES", 2000)
    seen = Recorder(per_sample=True)
    for _ in range(200):
        seen.record(FIRST, LAYERS[FIRST], torch.randn(8, 2, 3), 8)
        held = sum(int(rows.bytes.sum()) for calls in seen.sites.values() for rows in calls.rows)
        assert held <= bncheck.watch.recorder.SLACK * 2000
    assert held > 1000


def test_rows_that_are_no_samples_go_with_the_samples_they_come_from() -> None:
    """Seven regions of three images: they can neither be joined to one row a sample, nor taken for samples."""
    seen = Recorder(per_sample=True)
    seen.expect(torch.tensor([5, 6, 7]), 0)
    x = torch.arange(7.0)[:, None, None].expand(7, 2, 3)
    seen.record(FIRST, LAYERS[FIRST], x, 3)
    (rows,) = seen.sites[FIRST].rows
    assert rows.numbers.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert seen.sites[FIRST].table().mean[:, 0].tolist() == list(range(7))


@REPEATABLE
@given(st.integers(0, 2**63), st.lists(st.integers(0, 2**62), unique=True, max_size=50))
def test_no_two_samples_share_a_key(seed: int, positions: list[int]) -> None:
    assert len(set(sample_keys(seed, positions).tolist())) == len(positions)


def test_keys_are_the_same_for_ever() -> None:
    """A report that is to be repeated, or merged with one of another machine, depends on them."""
    assert sample_keys(0, [0, 1]).tolist() == [5881026201139979077, 13841651662067664841]
