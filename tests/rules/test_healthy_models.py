"""Healthy models on held-out data of their own distribution: exit code 0 and no warning, however they are asked."""

from __future__ import annotations

import pytest
import torch
from digit_nets import BatchNorm, assert_healthy, codes, conv_net, dense_net, norms, train

import bncheck

SIZES = (100, 300, 597)


@pytest.mark.parametrize(
    ("size", "by_class", "labelled"),
    [(size, by_class, True) for size in SIZES for by_class in (True, False)]
    + [(100, False, False), (597, True, False)],
)
def test_at_any_size_in_any_order_with_or_without_labels(healthy, all_held_out, size, by_class, labelled):
    x, y = (tensor[:size] for tensor in all_held_out)
    order = y.argsort() if by_class else torch.arange(size)
    report = bncheck.inspect(healthy, (x[order], y[order]) if labelled else x[order])
    assert_healthy(report)
    # That they come sorted is mentioned, where there are enough groups to tell.
    assert codes(report) == (["BN605"] if by_class and size > 100 else [])


@pytest.mark.parametrize(("batch_size", "size"), [(1, 100), (7, 300), (512, 597)])
def test_at_any_batch_size(healthy, all_held_out, batch_size, size):
    report = bncheck.inspect(healthy, tuple(tensor[:size] for tensor in all_held_out), batch_size=batch_size)
    assert_healthy(report)
    assert codes(report) == []


def test_a_loader_that_gives_one_class_after_the_other_is_no_drift(healthy, held_out):
    x, y = held_out
    order = y.argsort()
    report = bncheck.inspect(healthy, list(zip(x[order].split(16), y[order].split(16), strict=True)))
    assert_healthy(report)
    assert codes(report) == ["BN605"]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_hundred_samples_are_drawn(healthy, held_out, seed):
    report = bncheck.inspect(healthy, held_out, limit=100, seed=seed)
    assert_healthy(report)
    assert codes(report) == []


TRAININGS = {
    "conv, norm after ReLU": (lambda: conv_net(norm_after_relu=True), {}),
    "conv, depthwise": (lambda: conv_net(depthwise=True), {"epochs": 10}),
    "conv, images shifted in training": (conv_net, {"shift": 1}),
    "conv, dropout": (lambda: conv_net(dropout=0.2), {"seed": 1}),
    "conv, batches of 8": (conv_net, {"batch": 8, "epochs": 2}),
    "conv, high rate": (conv_net, {"rate": 0.5}),
    "dense": (dense_net, {"seed": 1}),
    "dense, dropout": (lambda: dense_net(dropout=0.5), {"epochs": 15}),
    "dense, images shifted in training": (dense_net, {"shift": 1, "epochs": 12}),
    "dense, batches of 8": (dense_net, {"batch": 8, "epochs": 4, "seed": 2}),
    "dense, strong weight decay": (dense_net, {"decay": 0.05}),
    "dense, momentum 0.01": (lambda: slow(dense_net()), {"epochs": 30}),
}


def slow(net):
    """The net with the small momentum of long trainings."""
    for norm in norms(net):
        norm.momentum = 0.01
    return net


@pytest.fixture(scope="module", params=TRAININGS)
def trained(request, training) -> torch.nn.Module:
    build, options = TRAININGS[request.param]
    torch.manual_seed(options.get("seed", 0))
    return train(build(), training, **options)


@pytest.mark.slow
def test_however_it_was_trained(trained, held_out):
    assert any(isinstance(module, BatchNorm) for module in trained.modules())
    x, y = held_out
    for data in ((x[:100], y[:100]), x[:300], (x, y)):
        assert_healthy(bncheck.inspect(trained, data))
    assert codes(bncheck.inspect(trained)) == []
