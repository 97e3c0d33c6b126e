"""What probes are made of: samples kept, ways of feeding pixels, layers fed by the input, what it all costs."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import bncheck
from bncheck.data.batches import Batch
from bncheck.evidence.probed import AffineMap, Probed
from bncheck.formats import from_module
from bncheck.formats.programs.instrument import TorchInstrument, instrument
from bncheck.measure.reservoir import GROUP, VALUES, Kept
from bncheck.probes.answers import Reader, gain
from bncheck.probes.bench import Bench
from bncheck.probes.input.conventions import CONVENTIONS, InputRange, candidates
from bncheck.probes.input.inputs import floating_input, input_range, mapped, reordered


def batch(size: int, labels: torch.Tensor | None = None, shape: tuple[int, ...] = (1, 2, 2)) -> Batch:
    return Batch(torch.arange(size).float().reshape(-1, 1, 1, 1).expand(size, *shape), labels, size)


# Samples kept


def test_the_first_samples_are_kept_and_no_more() -> None:
    kept = Kept()
    for _ in range(6):
        kept.add(batch(50))
    samples = kept.samples()
    assert samples is not None
    assert samples.size == len(samples.inputs) == 256
    assert torch.equal(samples.inputs[:100, 0, 0, 0], torch.arange(50).float().repeat(2))


def test_large_samples_are_kept_in_smaller_number() -> None:
    kept = Kept()
    side = 512
    kept.add(Batch(torch.zeros(8, 8, side, side), None, 8))
    kept.add(Batch(torch.zeros(8, 8, side, side), None, 8))
    samples = kept.samples()
    assert samples is not None
    assert samples.size == VALUES // (8 * side * side) == 8


def test_what_is_kept_has_memory_of_its_own() -> None:
    x = torch.zeros(4, 1, 2, 2)
    kept = Kept()
    kept.add(Batch(x, torch.zeros(4).long(), 4))
    x += 1
    assert kept.samples().inputs.sum() == 0


def test_samples_of_another_form_are_left_out() -> None:
    kept = Kept()
    kept.add(batch(3))
    kept.add(batch(3, shape=(1, 4, 4)))
    kept.add(Batch((torch.zeros(5, 2), torch.zeros(7, 2)), None, 5))  # nodes against graphs
    assert kept.samples().size == 3


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
    kept = Kept()
    for part in y.split(7):
        kept.add(Batch(part.float().reshape(-1, 1), part, len(part)))
    found = kept.groups()
    assert [group.size for group in found] == [size] * groups
    for group in found:
        assert len(set(group.labels.tolist())) == 1
        assert torch.equal(group.inputs[:, 0], group.labels.float())


@pytest.mark.parametrize(
    "labels",
    [None, torch.rand(64), torch.randint(2, (64, 3, 3)), torch.eye(64)],
    ids=["none", "reals", "maps", "one-hot"],
)
def test_labels_that_are_no_classes_make_no_groups(labels: torch.Tensor | None) -> None:
    kept = Kept()
    kept.add(batch(64, labels))
    assert kept.groups() == []


def test_no_more_labels_are_collected_than_there_is_room_for() -> None:
    kept = Kept()
    y = torch.arange(100).repeat(20)
    kept.add(Batch(torch.zeros(2000, 1), y, 2000))
    assert len(kept.groups()) == 256 // GROUP


# Ways of feeding pixels


def seen(x: torch.Tensor) -> InputRange:
    found = input_range(x)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    x = torch.rand(40, 3, 6, 6, generator=torch.Generator().manual_seed(0)) ** 2
    x[0, :, 0, 0], x[0, :, 0, 1] = 0.0, 1.0
    return x


def fed_as(convention, x: torch.Tensor) -> torch.Tensor:
    slope, intercept = (torch.tensor(values).reshape(-1, 1, 1) for values in (convention.slope, convention.intercept))
    return (x * slope + intercept).float()


COLOUR = [one for one in CONVENTIONS if one.fits(3) and "MNIST" not in one.name]


@pytest.mark.parametrize("fed", COLOUR, ids=lambda one: one.name)
@pytest.mark.parametrize("expected", COLOUR, ids=lambda one: one.name)
def test_every_way_leads_to_every_other(pixels, fed, expected) -> None:
    if fed == expected:
        return
    given = Batch(fed_as(fed, pixels), None, len(pixels))
    wanted = fed_as(expected, pixels)
    found = {(one.fed, one.expected): one.map for one in candidates(seen(given.inputs)) if one.expected is not None}
    maps = [by for (name, _), by in found.items() if name == fed.name] or list(found.values())
    scale = float(wanted.abs().max())
    assert any(torch.allclose(mapped(given, by).inputs, wanted, atol=2e-4 * scale) for by in maps)


def test_the_range_of_the_data_rules_most_ways_out(pixels) -> None:
    ways = {one.fed for one in candidates(seen(255 * pixels))}
    assert "0..255" in ways
    assert not ways & {"0..1", "-1..1", "0..16"}
    assert {one.fed for one in candidates(seen(1.3 * pixels + 0.2))} == {"its inverse, bright for dark"}


def test_features_have_no_pixels_conventions() -> None:
    generator = torch.Generator().manual_seed(0)
    raw = 50 + 10 * torch.randn(100, 5, generator=generator)
    assert [one.expected for one in candidates(seen(raw))] == ["standardized features"]
    assert list(candidates(seen(torch.randn(100, 5, generator=generator) + 0.5))) == []


def test_values_that_are_not_finite_have_no_range() -> None:
    assert input_range(torch.tensor([[1.0, float("nan")]])) is None


def test_maps_and_orders_change_the_one_floating_input() -> None:
    x, tokens = torch.ones(4, 3, 2, 2), torch.arange(4)
    both = Batch({"x": x * torch.arange(3.0)[:, None, None], "tokens": tokens}, None, 4)
    by = AffineMap((2.0, 3.0, 4.0), (1.0,))
    assert mapped(both, by).inputs["x"][0, :, 0, 0].tolist() == [1.0, 4.0, 9.0]
    assert reordered(both, (2, 0, 1)).inputs["x"][0, :, 0, 0].tolist() == [2.0, 0.0, 1.0]
    assert mapped(both, by).inputs["tokens"] is tokens
    assert floating_input(both) is both.inputs["x"]
    assert floating_input(Batch((x, x), None, 4)) is None
    assert floating_input(Batch(tokens, None, 4)) is None


# Layers fed by the input


class Branches(nn.Module):
    """Two norms see the input, behind a convolution and bare; two see what these give."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.first, self.bare = nn.BatchNorm2d(4), nn.BatchNorm2d(2)
        self.second, self.third = nn.BatchNorm2d(4), nn.BatchNorm2d(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = self.first(torch.relu(self.conv(x))), self.bare(x)
        return self.third(torch.cat([self.second(torch.relu(a)), b], 1)).mean((2, 3))


def test_layers_without_another_before_them_are_found() -> None:
    torch.manual_seed(0)
    x = torch.randn(40, 2, 6, 6)
    with instrument(from_module(Branches()), "x", 0) as watched:
        found = Bench(watched, Reader(None, labelled=True), 8).fed_by_input(Batch(x, None, 40))
    assert set(found) == {"first", "bare"}


def test_accuracy_won_is_judged_sample_by_sample() -> None:
    read = Reader(None, labelled=True)
    labels = torch.tensor([0, 0, 1, 1])
    before = read([torch.tensor([[1.0, 0.0]] * 4)], labels)
    after = read([torch.eye(2)[labels]], labels)
    assert (before.accuracy, after.accuracy) == (0.5, 1.0)
    won, error = gain(before, after)
    assert won == 0.5
    assert error == pytest.approx(np.std([0, 0, 1, 1], ddof=1) / 2)


# What they cost, and leave alone


def counting(monkeypatch) -> list[int]:
    sizes: list[int] = []

    def counted(original):
        def run(self, batch, *how):
            sizes.append(batch.size)
            return original(self, batch, *how)

        return run

    for method in (TorchInstrument.run, TorchInstrument.look):
        monkeypatch.setattr(TorchInstrument, method.__name__, counted(method))
    return sizes


@pytest.mark.parametrize(("channels", "share"), [(1, 0.05), (3, 0.15), (4, 0.2)])
def test_healthy_models_hardly_pay_for_probes(monkeypatch, channels: int, share: float) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.Flatten(), nn.Linear(64, 10))
    x = torch.rand(4000, channels, 6, 6)
    net.train()(x)
    y = net.eval()(x).argmax(1)
    sizes = counting(monkeypatch)
    bncheck.inspect(net, (x, y))
    probing = sum(sizes)
    sizes.clear()
    monkeypatch.setattr("bncheck.measure.passes.run_probes", lambda *_: Probed())
    bncheck.inspect(net, (x, y))
    assert sum(sizes) < probing <= (1 + share) * sum(sizes)


def test_probes_leave_the_model_and_the_data_alone() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 10)).eval()
    x, y = 255 * torch.rand(200, 3, 6, 6), torch.randint(10, (200,))
    state, given = copy.deepcopy(net.state_dict()), x.clone()
    report = bncheck.inspect(net, (x, y))
    assert report.findings
    assert torch.equal(x, given)
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


def test_a_model_that_refuses_the_size_of_a_probe_is_inspected_all_the_same() -> None:
    class Exactly64(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) % 64:
                raise RuntimeError("whole batches only")
            return self.norm(x)

    report = bncheck.inspect(Exactly64(), torch.randn(256, 3) + 5)
    assert [finding.code for finding in report.findings] == ["BN603"]


def test_an_input_that_vanishes_has_a_gap() -> None:
    """Below eps no channel has a gap in its spread: dividing by enough takes most gaps away, and explains none."""
    vanished = Batch(1e-6 * torch.randn(32, 3), None, 32)
    with instrument(from_module(nn.Sequential(nn.BatchNorm1d(3))), "x", 0) as watched:
        seen = Bench(watched, Reader(None, labelled=True), 8).stored(vanished)
    assert seen.gap() == pytest.approx(1.0, abs=0.01)
