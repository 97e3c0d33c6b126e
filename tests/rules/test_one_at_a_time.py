"""A model that runs its images one at a time: each of its layers' calls in a forward sees another sample."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from kinds_of_task import Net, blocks, drawn
from torch import nn

import bncheck
from bncheck.core.layers import BATCH_NORM, NormLayer
from bncheck.watch.call_moments import together
from bncheck.watch.recorder import Recorder
from bncheck.watch.sites import Site

SIZE, BATCHES, WRONG = 16, 6, 4


class LoopingDetector(Net):
    """Images of several sizes in, one dict for each out, one after the other."""

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        said = [self.head(self.pooled(image[None]))[0] for image in images]
        return [{"boxes": one[None], "scores": one[:1].sigmoid()} for one in said]


def images(generator: torch.Generator) -> list[torch.Tensor]:
    return [drawn(1, 3, 6 + number % 3, 8)(generator)[0] for number in range(SIZE)]


@pytest.fixture(scope="module")
def fitting() -> tuple[nn.Module, list[object]]:
    """A network whose statistics are those of such images, and batches of others."""
    torch.manual_seed(0)
    net, other = LoopingDetector(blocks(3, depth=3)), torch.Generator().manual_seed(1)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        for _ in range(2 * BATCHES):
            net(images(other))
    for norm in norms:
        norm.momentum = 0.1
        norm.num_batches_tracked.fill_(1000)
    data = torch.Generator().manual_seed(2)
    return net.eval(), [(images(data), [{"boxes": 1}] * SIZE) for _ in range(BATCHES)]


@pytest.mark.slow
def test_a_wrong_layer_is_named_and_a_right_one_is_not(fitting: tuple[nn.Module, list[object]]) -> None:
    net, batches = fitting
    report = bncheck.inspect(net, batches, batch_size=SIZE)
    assert [one.code for one in report.findings if one.severity != "info"] == []
    wrong = copy.deepcopy(net)
    with torch.no_grad():
        wrong.trunk[WRONG].running_var.mul_(16)
    found = bncheck.inspect(wrong, batches, batch_size=SIZE)
    assert [(one.code, one.layers) for one in found.findings if one.severity != "info"] == [("BN607", ("trunk.4",))]
    assert {layer.calls for layer in found.layers} == {SIZE}


LAYER = NormLayer("bn", BATCH_NORM, 2, np.zeros(2), np.ones(2))


def fed(forwards: list[list[torch.Tensor]], samples: list[int]) -> Recorder:
    """A recorder of forwards, each of which calls the layer on these inputs, one after the other."""
    recorder = Recorder(per_sample=True)
    start = 0
    for calls, size in zip(forwards, samples, strict=True):
        recorder.expect(torch.arange(start, start + size), start)
        for call, x in enumerate(calls):
            recorder.record(Site("bn", call), LAYER, x, size)
        start += size
    return recorder


def test_one_row_in_each_of_as_many_calls_as_samples_is_a_sample() -> None:
    x = torch.randn(7, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    looped = fed([[*x[:4].split(1)], [*x[4:].split(1)]], [4, 3])
    table = together(looped.by_layer()["bn"]).table()
    np.testing.assert_allclose(table.mean, x.mean((2, 3)), rtol=1e-5, atol=1e-7)
    again = together(Recorder.merged([Recorder.of(looped.remembered())]).by_layer()["bn"]).table()
    np.testing.assert_array_equal(again.mean, table.mean)


def test_rows_of_fewer_calls_or_of_whole_batches_are_pooled_as_before() -> None:
    x = torch.randn(8, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    twice = together(fed([[*x[:2].split(1)], [*x[2:4].split(1)]], [4, 4]).by_layer()["bn"]).table()
    np.testing.assert_allclose(twice.mean, x[:4].mean((2, 3)).reshape(2, 2, 2).mean(1), rtol=1e-5, atol=1e-7)
    whole = together(fed([[x[:2], x[2:4]], [x[4:6], x[6:]]], [2, 2]).by_layer()["bn"]).table()
    pairs = torch.stack([x[[0, 1, 4, 5]], x[[2, 3, 6, 7]]]).mean((0, 3, 4))
    np.testing.assert_allclose(whole.mean, pairs, rtol=1e-5, atol=1e-7)
