"""Moments that stay on an accelerator until a forward has ended; tensors of the CPU are taken for an accelerator's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bncheck.data.batches import Batch
from bncheck.errors import UnfitError
from bncheck.formats import from_module
from bncheck.watch import BATCH, STORED, Given, MomentsElsewhere, Policy, Recorder, Site, sample_moments, sent
from bncheck.watch import Batch as ByBatch


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many values each copy to the host has, of layers' inputs on what is taken for an accelerator."""
    copies: list[int] = []

    def fetched(values: torch.Tensor) -> torch.Tensor:
        copies.append(values.numel())
        return values.clone()

    monkeypatch.setattr("bncheck.formats.programs.tap.lies_elsewhere", lambda x: True)
    monkeypatch.setattr("bncheck.watch.elsewhere.fetched", fetched)
    return copies


class Net(nn.Module):
    """Layers of several kinds, one called twice, and frames that are rows of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.twice = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.by_instance = nn.InstanceNorm2d(4, track_running_stats=True)
        self.flat = nn.BatchNorm1d(4)
        for layer in (self.twice, self.by_instance, self.flat):
            layer.running_mean.normal_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.twice(self.twice(self.conv(x.flatten(0, 1))).relu())
        return self.flat(self.by_instance(x).mean((2, 3)))


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture
def videos() -> Batch:
    """Six of two frames."""
    return Batch(torch.randn(6, 2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 + 5, None, 6)


def watched(net: nn.Module, batch: Batch, policy: Policy) -> tuple[torch.Tensor, Recorder]:
    recorder = Recorder(per_sample=True, errors=True)
    with from_module(net).session("x", 0) as session:
        output = session.run(batch, policy, recorder)
    return output, recorder


def policies(net: nn.Module, batch: Batch) -> Iterator[Policy]:
    yield STORED
    yield BATCH
    yield Given(watched(net, batch, STORED)[1].statistics())


def test_what_is_seen_and_answered_is_as_on_the_host(
    net: nn.Module, videos: Batch, monkeypatch: pytest.MonkeyPatch, elsewhere: list[int]
) -> None:
    for policy in policies(net, videos):
        with monkeypatch.context() as here:
            here.setattr("bncheck.formats.programs.tap.lies_elsewhere", lambda x: False)
            expected, known = watched(net, videos, policy)
        elsewhere.clear()
        output, recorder = watched(net, videos, policy)
        assert len(elsewhere) == 1  # one copy a forward, of all calls of all layers
        torch.testing.assert_close(output, expected, atol=1e-4, rtol=1e-4)
        assert list(recorder.sites) == list(known.sites)
        for site, entry in recorder.sites.items():
            other = known.sites[site]
            assert (entry.moments.count, entry.alone) == (other.moments.count, other.alone)
            for mine, its in ((entry.moments, other.moments), (entry.groups, other.groups)):
                np.testing.assert_allclose(mine.mean, its.mean, atol=1e-5)
                np.testing.assert_allclose(mine.variance, its.variance, rtol=1e-5, atol=1e-9)
            np.testing.assert_allclose(entry.instances.variance, other.instances.variance, rtol=1e-5, atol=1e-9)
            tables = entry.table(), other.table()
            assert tables[0] is not None
            assert tables[1] is not None
            np.testing.assert_allclose(tables[0].mean, tables[1].mean, atol=1e-5)


def test_a_forward_that_fails_leaves_nothing_behind(net: nn.Module, videos: Batch, elsewhere: list[int]) -> None:
    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError(self.net(x).shape)

    recorder = Recorder(per_sample=True)
    with from_module(Fails().eval()).session("x", 0) as session, pytest.raises(UnfitError):
        session.run(videos, STORED, recorder)
    assert elsewhere == []
    assert all(entry.moments.count == 0 for entry in recorder.sites.values())


def test_a_forward_that_ends_early_has_seen_what_it_was_run_for(
    net: nn.Module, videos: Batch, elsewhere: list[int]
) -> None:
    recorder = Recorder(per_sample=False)
    with from_module(net).session("x", 0) as session:
        session.look(videos, recorder, [Site("twice", 1)])
    assert list(recorder.sites) == [Site("twice", 0), Site("twice", 1)]
    assert all(entry.moments.count == 12 * 36 for entry in recorder.sites.values())


def test_layers_normalized_with_other_processes_go_by_all_moments(
    net: nn.Module, videos: Batch, elsewhere: list[int]
) -> None:
    alone = watched(net, videos, BATCH)[0]
    asked: list[Site] = []

    def twice(site: Site, moments: Any) -> Any:
        asked.append(site)
        return moments + moments

    torch.testing.assert_close(watched(net, videos, ByBatch(twice))[0], alone)
    assert asked == [Site("twice", 0), Site("twice", 1), Site("flat", 0)]


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 7), (5, 3, 4, 6), (5, 3, 1, 1), (0, 3, 2, 2)])
def test_moments_are_those_of_the_host(kind: torch.dtype, shape: tuple[int, ...]) -> None:
    x = (torch.randn(shape, generator=torch.Generator().manual_seed(1)) + 3).to(kind)
    seen, expected = MomentsElsewhere.of(x), sample_moments(x).pooled()
    moments = seen.moments()
    assert moments.count == expected.count
    if shape[0]:
        np.testing.assert_allclose(moments.mean, expected.mean, rtol=1e-5)
        np.testing.assert_allclose(moments.m2, expected.m2, rtol=1e-5, atol=1e-9)
        mean, variance = seen.statistics()
        np.testing.assert_allclose(mean.numpy(), expected.mean, rtol=1e-5)
        np.testing.assert_allclose(variance.numpy(), expected.variance, rtol=1e-5, atol=1e-9)


def test_what_is_sent_is_a_copy_in_the_type_that_is_asked_for() -> None:
    x = torch.arange(4)
    for kind in (None, torch.float32):
        copy = sent(x, torch.device("cpu"), kind)
        assert copy.dtype == (kind or x.dtype)
        assert copy.data_ptr() != x.data_ptr()
        assert copy.tolist() == x.tolist()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_a_forward_waits_for_nothing_but_its_end(net: nn.Module, videos: Batch) -> None:
    expected, known = watched(net, videos, STORED)
    recorder = Recorder(per_sample=True)
    with from_module(net, device="cuda").session("x", 0) as session:
        session.run(videos, STORED, recorder)  # what is looked at once a layer
        waits = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(Recorder, "arrive", lambda self, *, ended=True: None)
                output = session.run(videos, STORED, recorder)
        finally:
            torch.cuda.set_sync_debug_mode(waits)
        recorder.arrive()
    torch.testing.assert_close(output.cpu(), expected, rtol=1e-3, atol=1e-3)
    for site, entry in recorder.sites.items():
        np.testing.assert_allclose(entry.moments.mean, known.sites[site].moments.mean, atol=1e-3)
