"""The monitor for plain loops: the numbers of `inspect`, a training it does not change, statistics it renews."""

from __future__ import annotations

import copy
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, WeightedRandomSampler
from torch.utils.tensorboard import SummaryWriter
from trained_digits import digits, loader, same_states, small_net, weights

import bncheck
from bncheck.errors import DataError, ModelError, UsageError
from bncheck.integrations.monitor import GapMonitor
from bncheck.integrations.samples import source_of

TRAIN, HELD_OUT = digits("train"), digits("eval")


def train(net: nn.Module, monitor: GapMonitor | None = None, *, epochs: int = 2, recalibrate: bool = False) -> None:
    """A plain loop that measures after each epoch."""
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    batches = loader(TRAIN, shuffle=True)
    for epoch in range(epochs):
        net.train()
        for x, y in batches:
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()
        if monitor is not None:
            if recalibrate:
                monitor.recalibrate(batches)
            monitor.measure(epoch)


def built(**options: float) -> nn.Sequential:
    torch.manual_seed(1)
    return small_net(**options)


def test_its_numbers_are_those_of_inspect():
    net = built()
    monitor = GapMonitor(net, HELD_OUT, samples=200)
    train(net)
    report = bncheck.inspect(net, HELD_OUT, limit=200)
    values = monitor.measure()
    assert values["bncheck/gap"] == report.summary.gap
    assert values["bncheck/own_gap"] == report.summary.own_gap
    assert monitor.read().layers == {layer.name: layer.gap for layer in report.layers}
    assert monitor.read().smallest_detectable_gap == report.summary.smallest_detectable_gap


def test_layers_over_the_margin_are_counted():
    net = built().eval()
    assert GapMonitor(net, HELD_OUT).measure()["bncheck/layers_over_margin"] == 2
    fresh = bncheck.recalibrate(net, HELD_OUT)
    assert GapMonitor(fresh, HELD_OUT).measure()["bncheck/layers_over_margin"] == 0


def test_activations_that_are_not_finite_are_no_small_gap():
    net = built().eval()
    with torch.no_grad():
        net[0].weight.fill_(torch.nan)
    values = GapMonitor(net, HELD_OUT).measure()
    assert not values["bncheck/gap"] <= 1e9
    assert values["bncheck/layers_over_margin"] == 2


@pytest.mark.parametrize("form", ["arrays", "loader"])
def test_training_is_the_same_with_and_without(form):
    plain, watched = built(), built()
    train(plain)
    states = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())
    train(watched, GapMonitor(watched, HELD_OUT if form == "arrays" else loader(HELD_OUT, shuffle=True)))
    assert same_states(plain, watched)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()


def test_every_evaluation_sees_the_same_samples():
    net = built()
    monitor = GapMonitor(net, loader(HELD_OUT, shuffle=True), samples=100)
    assert monitor.measure() == monitor.measure()
    assert monitor.read().samples == 100


def test_a_loader_in_the_middle_of_an_epoch_goes_on():
    class Counting(torch.utils.data.RandomSampler):
        epochs = 0

        def __iter__(self):
            self.epochs += 1
            return super().__iter__()

    sampler = Counting(range(len(HELD_OUT[1])))
    batches = DataLoader(TensorDataset(*HELD_OUT), batch_size=32, sampler=sampler)
    torch.manual_seed(0)
    expected = [y for _, y in batches]
    torch.manual_seed(0)
    running = iter(batches)
    seen = [next(running)[1]]
    GapMonitor(built(), batches).measure()
    seen += [y for _, y in running]
    assert all(torch.equal(one, other) for one, other in zip(seen, expected, strict=True))
    assert sampler.epochs == 2


def test_a_sampler_that_weighs_the_samples_is_kept():
    weighing = WeightedRandomSampler((HELD_OUT[1] == 3).double().tolist(), 64)
    batches = DataLoader(TensorDataset(*HELD_OUT), batch_size=16, sampler=weighing)
    labels = torch.cat([batch.labels for batch in source_of(batches, 64).batches(64, seed=0, limit=64)])
    assert set(labels.tolist()) == {3}


def test_of_an_endless_stream_only_the_beginning_is_read():
    class Endless(IterableDataset):
        read = 0

        def __iter__(self):
            while True:
                for x, y in zip(*HELD_OUT, strict=True):
                    self.read += 1
                    yield x, y

    endless = Endless()
    monitor = GapMonitor(built(), DataLoader(endless, batch_size=8), samples=100)
    assert monitor.read().samples == 100
    assert endless.read <= 1000


def test_a_tensorboard_file_holds_what_was_measured(tmp_path: Path):
    net = built()
    with SummaryWriter(str(tmp_path)) as writer:
        monitor = GapMonitor(net, HELD_OUT, writer=writer)
        train(net, monitor)
        last = monitor.measure(2)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert events.Tags()["scalars"] == ["bncheck/gap", "bncheck/own_gap", "bncheck/layers_over_margin"]
    for name, value in last.items():
        written = events.Scalars(name)
        assert [event.step for event in written] == [0, 1, 2]
        assert written[-1].value == pytest.approx(value, rel=1e-6)


def test_any_function_of_values_and_step_is_a_writer():
    seen = []
    values = GapMonitor(built(), HELD_OUT, writer=lambda *told: seen.append(told)).measure(step=7)
    assert seen == [(values, 7)]


def test_recalibration_renews_statistics_and_leaves_the_training_alone():
    plain, renewed = built(momentum=0.01), built(momentum=0.01)
    train(plain, epochs=1)
    monitor = GapMonitor(renewed, HELD_OUT)
    train(renewed, monitor, epochs=1, recalibrate=True)
    assert all(torch.equal(value, weights(plain)[name]) for name, value in weights(renewed).items())
    assert renewed[1].num_batches_tracked == plain[1].num_batches_tracked
    assert bncheck.inspect(renewed, HELD_OUT).summary.exit_code == 0
    assert monitor.measure()["bncheck/gap"] < 0.2 * GapMonitor(plain, HELD_OUT).measure()["bncheck/gap"]
    expected = bncheck.recalibrate(plain, TRAIN)
    assert torch.allclose(renewed[1].running_mean, expected[1].running_mean, atol=0.01)


def test_frozen_layers_keep_their_statistics():
    net = built()
    monitor = GapMonitor(net, HELD_OUT)
    net.train()
    net[1].eval()
    before = copy.deepcopy(net[1].state_dict())
    net(TRAIN[0][:64])
    assert monitor.recalibrate(TRAIN) == ("5",)
    assert all(torch.equal(value, before[name]) for name, value in net[1].state_dict().items())
    assert monitor.recalibrate(TRAIN) == ()


def test_what_cannot_be_measured_is_an_error():
    with pytest.raises(UsageError, match="No layer of Sequential that stores running statistics was reached"):
        GapMonitor(nn.Sequential(nn.Linear(3, 3)), torch.randn(20, 3)).measure()
    with pytest.raises(DataError, match="cannot be run on"):
        GapMonitor(built(), torch.randn(20, 3)).measure()
    with pytest.raises(UsageError, match="A list is no writer"):
        GapMonitor(built(), HELD_OUT, writer=[])
    with pytest.raises(UsageError, match="at least 1"):
        GapMonitor(built(), HELD_OUT, samples=0)
    net = built()
    net.loss = net(TRAIN[0][:8]).sum()
    with pytest.raises(ModelError, match="cannot be copied"):
        GapMonitor(net, HELD_OUT).measure()
