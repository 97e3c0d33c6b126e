"""What probes are made of: ways of feeding pixels, layers fed by the input, what it all costs."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from counted import counting
from torch import nn

import bncheck
from bncheck.data import open_data
from bncheck.data.batches import Batch
from bncheck.evidence.probed import AffineMap
from bncheck.formats import from_module
from bncheck.measure.collect import measured_evidence
from bncheck.measure.observing import observe
from bncheck.measure.plan import Plan
from bncheck.probes.answers import Reader, gain
from bncheck.probes.case import Case, Subject
from bncheck.probes.input.conventions import InputRange, candidates
from bncheck.probes.input.inputs import floating_input, input_range, mapped, reordered
from bncheck.probes.input.known import CONVENTIONS
from bncheck.probes.questions.fed_by_input import FedByInput
from bncheck.probes.session import ProbeSession
from bncheck.progress import no_progress

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
def test_every_way_leads_to_every_other(pixels, fed) -> None:
    given = Batch(fed_as(fed, pixels), None, len(pixels))
    found = {(one.fed, one.expected): one.map for one in candidates(seen(given.inputs)) if one.expected is not None}
    maps = [by for (name, _), by in found.items() if name == fed.name] or list(found.values())
    for expected in COLOUR:
        if fed != expected:
            wanted = fed_as(expected, pixels)
            scale = float(wanted.abs().max())
            ways = (torch.allclose(mapped(given, by).inputs, wanted, atol=2e-4 * scale) for by in maps)
            assert any(ways), expected.name


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


def fed_by_input(model: nn.Module, x: torch.Tensor) -> frozenset[str]:
    source, plan = open_data(x), Plan(batch_size=8)
    opened = from_module(model)
    with opened.session("x", 0) as session:
        seen = observe(session, source, plan, no_progress)
        evidence = measured_evidence(opened, seen, plan, source_name="x", sizes=())
        case = Case(Subject(opened, source, plan, None, no_progress), seen, evidence, None)
        return FedByInput().answer(case, ProbeSession(session, Reader.of(plan), 8))


def test_layers_without_another_before_them_are_found() -> None:
    torch.manual_seed(0)
    assert fed_by_input(Branches(), torch.randn(40, 2, 6, 6)) == {"first", "bare"}


def test_what_rounding_does_to_a_large_offset_is_no_norm_before() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))
    assert fed_by_input(model, torch.randn(64, 1, 8, 8) + 200) == {"1"}


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


@pytest.mark.parametrize(("channels", "most"), [(1, 900), (3, 2200), (4, 3100)])
def test_healthy_models_hardly_pay_for_probes(monkeypatch, channels: int, most: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.Flatten(), nn.Linear(64, 10))
    x = torch.rand(4000, channels, 6, 6)
    net.train()(x)
    y = net.eval()(x).argmax(1)
    sizes = counting(monkeypatch)
    bncheck.inspect(net, (x, y))
    probing = sum(sizes)
    sizes.clear()
    monkeypatch.setattr("bncheck.api.reporting.running.run_probes", lambda session, subject, seen, evidence: evidence)
    bncheck.inspect(net, (x, y))
    assert sum(sizes) < probing <= sum(sizes) + most


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
    with from_module(nn.Sequential(nn.BatchNorm1d(3))).session("x", 0) as session:
        seen = ProbeSession(session, Reader(None, labelled=True), 8).stored(vanished)
    assert seen.gap() == pytest.approx(1.0, abs=0.01)
