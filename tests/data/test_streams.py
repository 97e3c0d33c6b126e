"""Streams of batches: order, mixing, limits, bounded memory."""

import itertools

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.data import Batch, mixing, open_data
from bncheck.settings import SampleMemory


def numbered(count, size):
    """Batches of `size` samples; the value of a sample is its number, and so is its label."""
    numbers = torch.arange(count)
    return [(chunk.float()[:, None], chunk) for chunk in numbers.split(size)]


def labels_of(batches):
    return [label for batch in batches for label in batch.labels.tolist()]


def test_given_batches_are_the_loaders_own():
    batches = list(open_data(numbered(10, 4)).given_batches(3))
    assert [batch.labels.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    limited = open_data(numbered(10, 4)).given_batches(3, limit=6)
    assert labels_of(limited) == [0, 1, 2, 3, 4, 5]


@settings(deadline=None, max_examples=50)
@given(count=st.integers(1, 50), size=st.integers(1, 9), batch_size=st.integers(1, 60), seed=st.integers(0, 2**32))
def test_batches_hold_every_sample_once(count, size, batch_size, seed):
    batches = list(open_data(numbered(count, size)).batches(batch_size, seed=seed))
    assert sorted(labels_of(batches)) == list(range(count))
    assert all(batch.size == batch_size for batch in batches[:-1])
    assert all(batch.inputs[:, 0].tolist() == batch.labels.tolist() for batch in batches)


@settings(deadline=None, max_examples=50)
@given(count=st.integers(1, 50), limit=st.integers(1, 60), seed=st.integers(0, 100))
def test_limit_draws_without_replacement_and_the_same_for_a_seed(count, limit, seed):
    source = open_data(numbered(count, 4))
    first, again = (labels_of(source.batches(7, seed=seed, limit=limit)) for _ in range(2))
    assert first == again
    assert len(first) == len(set(first)) == min(count, limit)


def test_a_sorted_stream_is_mixed():
    (first, *_) = open_data(numbered(4000, 50)).batches(100)
    assert np.histogram(first.labels, bins=4, range=(0, 4000))[0].min() >= 10


def test_a_limited_draw_from_a_sorted_stream_reaches_its_end():
    drawn = labels_of(open_data(numbered(20_000, 500)).batches(100, limit=400))
    assert np.histogram(drawn, bins=4, range=(0, 20_000))[0].min() >= 60


def test_a_draw_of_everything_is_mixed():
    drawn = labels_of(open_data(numbered(100, 10)).batches(10, limit=100))
    assert np.histogram(drawn[:50], bins=2, range=(0, 100))[0].min() >= 10


def test_every_sample_has_the_same_chance():
    source = open_data(numbered(8, 3))
    counts = np.bincount([label for seed in range(300) for label in labels_of(source.batches(2, seed=seed, limit=2))])
    assert counts.sum() == 600
    # 75 expected, standard deviation 7.5
    assert counts.min() > 45
    assert counts.max() < 105


def test_a_small_buffer_still_gives_every_sample_once(monkeypatch):
    monkeypatch.setattr(mixing, "BUFFER_SAMPLES", 10)
    drawn = labels_of(open_data(numbered(100, 7)).batches(8))
    assert sorted(drawn) == list(range(100))
    assert drawn != sorted(drawn)


def test_memory_bounds_the_buffer(monkeypatch):
    read = []

    def batches():
        for number in range(50):
            read.append(number)
            yield torch.zeros(1, 1000)

    monkeypatch.setattr(SampleMemory, "shuffled", 10 * 4000)
    next(iter(open_data(batches).batches(1)))
    assert len(read) == 11
    # A draw too large for the buffer takes the first samples to leave it.
    read.clear()
    assert len(list(open_data(batches).batches(1, limit=20))) == 20
    assert len(read) == 30


def test_an_endless_stream_can_be_drawn_from(monkeypatch):
    monkeypatch.setattr(mixing, "READ_AT_MOST", 100)

    def endless():
        while True:
            yield torch.zeros(10, 2)

    assert sum(batch.size for batch in open_data(endless).batches(4, limit=5)) == 5


def test_an_endless_stream_is_read_as_far_as_its_limit_needs():
    read = []

    def endless():
        for number in itertools.count():
            read.append(number)
            yield torch.full((10, 1), float(number))

    source = open_data(endless)
    drawn = [float(one) for batch in source.batches(5, limit=10) for one in batch.inputs]
    assert len(drawn) == 10
    assert len(read) == 64 + 1  # batches of ten: 64 samples for each that is drawn, and one look further
    assert max(drawn) > 30  # a draw, not the first
    (note,) = source.notes
    assert "drew from the first 640 samples of " in note.sentence
    assert sum(batch.size for batch in source.batches(5, limit=2000)) == 2000
    assert len(read) <= 65 + 6554  # never more than before

    def ending():
        yield from numbered(600, 10)

    source = open_data(ending)
    assert max(labels_of(source.batches(5, limit=10))) > 300
    assert source.notes == ()


def test_what_says_its_length_is_drawn_from_to_its_end():
    source = open_data(numbered(2000, 50))
    assert np.histogram(labels_of(source.batches(5, limit=20)), bins=2, range=(0, 2000))[0].min() >= 4
    assert source.notes == ()


def test_samples_in_the_buffer_do_not_keep_their_batch():
    given = [Batch(torch.zeros(100, 10), torch.zeros(100), 100)]
    sample = next(mixing._shuffled(mixing._Samples(iter(given)), np.random.default_rng(0), room=4 * 44))
    assert sample.inputs.untyped_storage().nbytes() == 4 * 40
    assert sample.labels.untyped_storage().nbytes() == 4 * 4


def test_shapes_that_differ_pass_as_they_come():
    batches = [torch.zeros(4, 5), torch.ones(2, 5), torch.zeros(3, 7), torch.zeros(2, 5)]
    shapes = [tuple(batch.inputs.shape) for batch in open_data(batches).batches(5)]
    assert shapes == [(5, 5), (1, 5), (3, 7), (2, 5)]
    limited = [tuple(batch.inputs.shape) for batch in open_data(batches).batches(5, limit=8)]
    assert limited == [(5, 5), (1, 5), (2, 7)]


def test_a_first_axis_that_is_not_shared_passes_as_it_comes():
    graphs = [{"nodes": torch.zeros(7, 2), "edges": torch.zeros(2, 9), "y": torch.tensor([1, 0])}] * 3
    batches = list(open_data(graphs).batches(4, limit=8))
    assert [(batch.size, batch.inputs["edges"].shape, len(batch.labels)) for batch in batches] == [(7, (2, 9), 2)] * 2


def test_dict_batches_are_mixed_by_name():
    batches = [{"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([10, 20]), "target": torch.tensor([5, 6])}] * 3
    (batch,) = open_data(batches).batches(100)
    assert list(batch.inputs) == ["a", "b"]
    assert (batch.inputs["a"] * 10).tolist() == batch.inputs["b"].tolist()
    assert (batch.inputs["a"] + 4).tolist() == batch.labels.tolist()


def test_of_the_loaders_batches_every_so_many_can_be_given():
    batches = open_data(numbered(10, 2)).given_batches(3, every=2)
    assert [batch.labels.tolist() for batch in batches] == [[0, 1], [4, 5], [8, 9]]


def test_who_makes_the_batches_is_told():
    assert open_data(numbered(10, 2)).own_batches
    assert not open_data(torch.zeros(10, 2)).own_batches
