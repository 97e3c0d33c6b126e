"""Forwards of several processes in step, here of several threads: a batch is all of theirs together, and none waits."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
import pytest
import torch
from sharing import PLAN, data, network
from torch import nn

from bncheck.data import DataOptions, open_data
from bncheck.data.batches import Source
from bncheck.errors import BncheckError, UnfitError
from bncheck.formats import from_module
from bncheck.formats.programs.backend import ProgramBackend
from bncheck.measure.observation import BatchPass, Observation, StoredPass
from bncheck.measure.observing import observe
from bncheck.measure.passes import Passes
from bncheck.measure.plan import Plan
from bncheck.measure.processes.portions import JointShard, Shard, portions_of
from bncheck.measure.processes.ranks import JobRanks
from bncheck.measure.processes.step import LockStep, StoppedByAnotherError, others_answering
from bncheck.progress import no_progress


class Meeting:
    """Where threads bring a tensor each and take those of all."""

    def __init__(self, count: int) -> None:
        self.brought: list[Any] = [None] * count
        self._all_here = threading.Barrier(count, timeout=120)

    def gathered(self, rank: int, mine: torch.Tensor) -> torch.Tensor:
        with others_answering():
            self.brought[rank] = mine
            self._all_here.wait()
            found = torch.stack(self.brought)
            self._all_here.wait()
        return found


class InThreads(LockStep):
    """As `LockStep`, in threads."""

    def __init__(self, rank: int, count: int, meeting: Meeting) -> None:
        super().__init__(rank, count)
        self._meeting = meeting

    def _gathered(self, mine: torch.Tensor) -> torch.Tensor:
        return self._meeting.gathered(self.rank, mine)


@pytest.fixture(autouse=True)
def own_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program prints is moved for the whole process, which threads must not do at once."""
    monkeypatch.setattr(ProgramBackend, "prints_to", lambda self: contextlib.nullcontext())


def in_step(
    count: int, plan: Plan, make: Callable[[int], nn.Module], source: Callable[[int], Source]
) -> list[Future[tuple[BatchPass, Passes]]]:
    """The batch pass of as many threads, each of its part of every half batch."""
    meeting, nets = Meeting(count), [make(rank) for rank in range(count)]

    def run(rank: int) -> tuple[BatchPass, Passes]:
        own = replace(plan, ranks=JobRanks(rank, count, InThreads(rank, count, meeting)))
        with from_module(nets[rank]).session("data", plan.seed) as session:
            passes = Passes(session, source(rank), own, no_progress, shard=JointShard(rank, count))
            return passes.batch_pass(), passes

    with ThreadPoolExecutor(count) as pool:
        return [pool.submit(run, rank) for rank in range(count)]


@pytest.mark.parametrize(("count", "batch"), [(2, 20), pytest.param(3, 12, marks=pytest.mark.slow)])
def test_batches_of_all_are_one_batch(count: int, batch: int) -> None:
    plan = replace(PLAN, batch_size=8, large_batch=count * batch, exhaustive=True)
    with from_module(network()).session("data", plan.seed) as session:
        alone = observe(session, data(), plan, no_progress)
    own = replace(plan, large_batch=batch)
    done = [each.result() for each in in_step(count, own, lambda rank: network(), lambda rank: data())]
    measured = reduce(BatchPass.merge, [collected for collected, _ in done])
    stored = []
    for rank in range(count):
        with from_module(network()).session("data", plan.seed) as session:
            passes = Passes(session, data(), own, no_progress, shard=JointShard(rank, count))
            stored.append(passes.stored_pass(measured))
    together = Observation.of(measured, reduce(StoredPass.merge, stored), data())
    assert together.samples == alone.samples
    assert together.folds is not None
    assert alone.folds is not None
    for mine, its in zip((together.stored, *together.folds), (alone.stored, *alone.folds), strict=True):
        for site, entry in mine.sites.items():
            other = its.sites[site]
            assert entry.moments.count == other.moments.count
            np.testing.assert_allclose(entry.moments.mean, other.moments.mean, atol=1e-10)
            np.testing.assert_allclose(entry.moments.variance, other.moments.variance, rtol=1e-10)
            tables = entry.table(), other.table()
            if tables[0] is not None and tables[1] is not None:  # in the order of one process' reading
                np.testing.assert_allclose(tables[0].mean, tables[1].mean, atol=1e-10)
    effects = together.effect.result(), alone.effect.result()
    assert effects[0] is not None
    assert effects[1] is not None
    assert effects[0].accuracy == effects[1].accuracy
    # Each by itself would have been another thing: batches of a part of the samples.
    apart = [pytest.approx(entry.moments.mean, abs=1e-6) for entry in by_itself(own, count).folds[0].sites.values()]
    assert [entry.moments.mean for entry in measured.folds[0].sites.values()][1:] != apart[1:]


def by_itself(plan: Plan, count: int) -> BatchPass:
    """The batch passes of as many shards that normalize apart."""
    parts = []
    for index in range(count):
        with from_module(network()).session("data", plan.seed) as session:
            parts.append(Passes(session, data(), plan, no_progress, shard=Shard(index, count)).batch_pass())
    return reduce(BatchPass.merge, parts)


@pytest.mark.parametrize("total", [1, 7, 64, 100, 430])
@pytest.mark.parametrize("fixed", [None, 8])
def test_every_sample_is_in_one_part(total: int, fixed: int | None) -> None:
    parts = [list(portions_of(total, 8, JointShard(index, 3), fixed)) for index in range(3)]
    held = [number for own in parts for one in own for span in one.spans for number in range(*span)]
    assert len(held) == len(set(held)) >= total - (total % (6 * 8) if fixed else 0)
    assert set(held) <= set(range(total))
    assert len({tuple((one.number, one.is_large) for one in own) for own in parts}) == 1  # all run the same ones
    for own in zip(*parts, strict=True):
        for half in range(2):
            sizes = {one.spans[half][1] - one.spans[half][0] for one in own}
            assert max(sizes) - min(sizes) <= 1 or fixed
            assert min(sizes) > 0 or not own[0].is_large


class Fails(nn.Module):
    """Raises in one of its forwards, between two layers that all run."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        if self.left == 0:
            raise ValueError("the disk is full")
        return x


class Chooses(nn.Module):
    """Runs one of two layers, as the samples would have it."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.first, self.a, self.b = first, nn.BatchNorm2d(1).double(), nn.BatchNorm2d(1).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a(x) if self.first else self.b(x)


def errors(futures: list[Future[Any]]) -> list[BaseException | None]:
    return [each.exception() for each in futures]


@pytest.mark.parametrize("scripted", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_one_that_fails_ends_all(scripted: bool) -> None:
    def make(rank: int) -> nn.Module:
        net = network()
        others = torch.jit.trace(net, torch.randn(4, 1, 6, 6, dtype=torch.float64)) if scripted else net
        if rank == 1:
            net[2] = Fails(3)
            return net
        return others

    own, failed, other = errors(in_step(3, PLAN, make, lambda rank: data()))
    assert isinstance(failed, UnfitError)
    assert "the disk is full" in str(failed)
    for each in (own, other):
        assert isinstance(each, StoppedByAnotherError)
        assert str(each) == "Process 1 of the job (from 0) has failed."


def test_one_that_runs_other_layers_ends_all() -> None:
    for each in errors(in_step(2, PLAN, lambda rank: Chooses(rank == 0), lambda rank: data())):
        assert isinstance(each, StoppedByAnotherError)
        assert "came to different layers in one forward" in str(each)


def test_one_with_fewer_samples_ends_the_reading_for_all() -> None:
    def source(rank: int) -> Source:
        def loader(rank: int, world_size: int) -> list[torch.Tensor]:
            held = 120 if rank == 0 else 400
            return list(torch.randn(held, 1, 6, 6, dtype=torch.float64).split(20))

        return open_data(loader)

    passes = [each.result()[0] for each in in_step(2, PLAN, lambda rank: network(), source)]
    assert [sum(each.samples) for each in passes] == [120, 120]


def test_a_part_that_is_left_out_leaves_out_its_batch_alone() -> None:
    def source(rank: int) -> Source:
        x = torch.randn(430, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        order = np.random.default_rng(PLAN.seed).permutation(430)
        start, stop = list(portions_of(430, 18, JointShard(0, 2)))[1].spans[0]
        x[order[start:stop]] = torch.nan
        return open_data(x, DataOptions(skip_bad_samples=True))

    passes = [each.result()[0] for each in in_step(2, PLAN, lambda rank: network(), source)]
    assert sum(sum(each.samples) for each in passes) == 430 - 36  # the part, and the others' of the same half batch


def test_whoever_is_alone_is_told_so() -> None:
    with pytest.raises(BncheckError, match="sync normalizes by what several processes see together"):
        Plan().ranks.in_step()
