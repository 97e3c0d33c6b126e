"""Passes that several processes share: what each of them runs, and how their accumulators meet."""

from __future__ import annotations

import multiprocessing
import pickle
from functools import reduce

import torch
from torch import nn

from bncheck.data import DataOptions, open_data
from bncheck.data.batches import Source
from bncheck.formats import from_module
from bncheck.measure.observation import BatchPass, Observation, StoredPass
from bncheck.measure.passes import Passes
from bncheck.measure.plan import Plan
from bncheck.measure.processes.portions import Shard
from bncheck.progress import no_progress

PLAN = Plan(batch_size=16, seed=3, large_batch=20)


def network() -> nn.Module:
    """A classifier in float64, so that a batch's size does not show in a sample's last digits; off in one layer."""
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.ReLU()),
        *(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.Flatten(), nn.Linear(16, 3)),
    ).double()
    net.train()(torch.randn(300, 1, 6, 6, dtype=torch.float64))
    net[4].running_mean += 0.7
    return net.eval()


def data(samples: int = 430) -> Source:
    """As many labelled samples, in two slices."""
    x = torch.randn(samples, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return open_data((x, x.mean((1, 2, 3)).argsort().argsort() * 3 // samples), DataOptions(by=side))


def side(inputs: torch.Tensor, labels: torch.Tensor) -> list[str]:
    """The slice that each sample belongs to."""
    return ["bright" if value > 0 else "dark" for value in inputs[:, 0, 0, 0].tolist()]


def batch_pass(shard: Shard, plan: Plan = PLAN) -> bytes:
    """What the batch pass over a shard collects, pickled."""
    with from_module(network()).session("data", plan.seed) as session:
        return pickle.dumps(Passes(session, data(), plan, no_progress, shard=shard).batch_pass())


def stored_pass(shard: Shard, measured: bytes, plan: Plan = PLAN) -> bytes:
    """What the stored pass over a shard collects, pickled; `measured` comes from all shards."""
    with from_module(network()).session("data", plan.seed) as session:
        return pickle.dumps(Passes(session, data(), plan, no_progress, shard=shard).stored_pass(pickle.loads(measured)))


def shared(shards: int, *, in_processes: bool = False, backwards: bool = False) -> Observation:
    """What both passes see, shared out over so many."""
    shares = [Shard(index, shards) for index in range(shards)]
    if in_processes:
        with multiprocessing.get_context("spawn").Pool(shards) as pool:
            measured = merged_batch(pool.map(batch_pass, shares), backwards)
            stored = pool.starmap(stored_pass, [(share, pickle.dumps(measured)) for share in shares])
    else:
        measured = merged_batch([batch_pass(share) for share in shares], backwards)
        stored = [stored_pass(share, pickle.dumps(measured)) for share in shares]
    parts: list[StoredPass] = [pickle.loads(part) for part in (stored[::-1] if backwards else stored)]
    return Observation.of(measured, reduce(StoredPass.merge, parts), data())


def merged_batch(parts: list[bytes], backwards: bool) -> BatchPass:
    """The batch pass over all shards."""
    loaded: list[BatchPass] = [pickle.loads(part) for part in (parts[::-1] if backwards else parts)]
    return reduce(BatchPass.merge, loaded)
