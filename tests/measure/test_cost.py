"""What an inspection costs: samples run through the model, counted, by what they were run for."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import nn

import bncheck
from bncheck.results import Report
from bncheck.results.run import RunCost


class Counted(nn.Module):
    """Counts what is run through it."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.first, self.second = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.stem, self.inner, self.head = nn.Conv2d(channels, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        RAN["samples"] += len(x)
        return self.head(self.second(self.inner(torch.relu(self.first(self.stem(x))))).mean((2, 3)))


RAN: Counter[str] = Counter()
Data = tuple[torch.Tensor, torch.Tensor]


def labelled(samples: int) -> Data:
    random = torch.Generator().manual_seed(samples)
    x, levels = torch.randn(samples, 1, 7, 7, generator=random), torch.randn(samples, generator=random)
    return x + 0.5 * levels[:, None, None, None], (levels > -0.5).long() + (levels > 0.5).long()


def coloured(samples: int) -> Data:
    """Three channels, unlike in spread, that tell the classes apart in unlike ways: gaps tell their order."""
    random = torch.Generator().manual_seed(samples)
    x, levels = torch.randn(samples, 3, 7, 7, generator=random), torch.randn(samples, generator=random)
    spread, told = torch.tensor([1.0, 0.8, 1.3]), torch.tensor([0.5, 0.25, 1.0])
    x = spread[:, None, None] * x + (levels[:, None] * told)[:, :, None, None]
    return x, (levels > -0.5).long() + (levels > 0.5).long()


def pictures(samples: int) -> Data:
    """Values from black to white in three colours, whose hue tells the classes apart."""
    random = torch.Generator().manual_seed(samples)
    levels, light = (torch.randn(samples, *shape, generator=random) for shape in ((), (1, 1, 1)))
    x = 0.5 * (torch.randn(samples, 3, 9, 9, generator=random) + light) + torch.tensor([0.3, 0, -0.4])[:, None, None]
    x += (0.7 * levels[:, None] * torch.tensor([1.0, 0.3, -0.8]))[:, :, None, None]
    return x.sigmoid(), (levels > -0.5).long() + (levels > 0.5).long()


def healthy(data: Callable[[int], Data] = labelled) -> Counted:
    torch.manual_seed(3)
    net = Counted(data(1)[0].shape[1])
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for step in range(150):
        x, y = data(64 + step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    return bncheck.recalibrate(net, data(2000)).eval()


def cost_of(report: Report) -> RunCost:
    assert report.run.cost is not None
    return report.run.cost


def test_every_sample_is_counted() -> None:
    net, data = healthy(), labelled(300)
    RAN.clear()
    cost = cost_of(bncheck.inspect(net, data))
    assert cost.samples == RAN["samples"] == sum(stage.samples for stage in cost.stages)
    names = [stage.name for stage in cost.stages]
    assert names[:3] == ["batch statistics", "stored statistics", "recalibrated statistics"]
    assert len(set(names)) == len(names)
    assert "layers fed by the input" in names
    assert 0 < sum(stage.seconds for stage in cost.stages) <= cost.seconds


def test_the_training_sampling_and_the_reference_count() -> None:
    net, data = healthy(), labelled(300)
    RAN.clear()
    cost = cost_of(bncheck.inspect(net, data, train_data=labelled(500), reference=healthy()))
    assert {"training data", "outputs beside the reference's"} <= {stage.name for stage in cost.stages}


def test_an_audit_costs_nothing() -> None:
    assert bncheck.inspect(healthy()).run.cost is None


def test_the_limit_holds_in_every_stage() -> None:
    data = labelled(400)
    stages = cost_of(bncheck.inspect(healthy(), data, limit=32)).stages
    once = {stage.name: stage.samples for stage in stages if stage.name in ("stored statistics", "order of the data")}
    assert once["stored statistics"] == 32
    assert once.get("order of the data", 0) <= 32


def test_a_cost_survives_its_report() -> None:
    report = bncheck.inspect(healthy(), labelled(100))
    read, made = Report.from_dict(report.to_dict()).run.cost, cost_of(report)
    assert read is not None
    assert (read.samples, len(read.stages)) == (made.samples, len(made.stages))
    assert "seconds" not in str(report.to_dict()["run"]["cost"])  # the same command gives the same bytes


def test_the_compiler_is_not_imported_for_a_model_that_needs_none() -> None:
    code = (
        "import sys, torch, bncheck\n"
        "bncheck.inspect(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)), torch.randn(40, 2))\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Late(nn.Module):
    """Compiles itself at its first forward."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.compiled = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.compiled is None:
            self.compiled = torch.compile(self.norm, backend="eager")
        return self.compiled(x)


def test_a_model_that_compiles_itself_is_measured_as_others_are() -> None:
    x = labelled(200)[0]
    gaps = [layer.gap for net in (Late(), nn.Sequential(nn.BatchNorm2d(1))) for layer in bncheck.inspect(net, x).layers]
    assert len(gaps) == 2
    assert gaps[0] == pytest.approx(gaps[1], rel=1e-6)


BUDGETS = {100: 8.0, 1000: 3.2, 5000: 2.3, 50_000: 1.25}


@pytest.fixture(scope="module")
def net() -> Counted:
    return healthy()


@pytest.mark.parametrize("samples", BUDGETS)
def test_a_healthy_model_is_run_on_no_more_samples_than_budgeted(net: Counted, samples: int) -> None:
    report = bncheck.inspect(net, labelled(samples))
    assert not [finding for finding in report.findings if finding.severity != "info"]
    assert cost_of(report).samples <= BUDGETS[samples] * samples


@pytest.fixture(scope="module", params=[coloured, pictures])
def in_colour(request: pytest.FixtureRequest) -> tuple[Counted, Callable[[int], Data]]:
    return healthy(request.param), request.param


@pytest.mark.parametrize("samples", [100, 1000, 5000])  # of more no more is asked
def test_three_colours_have_the_budget_of_one(in_colour: tuple[Counted, Callable[[int], Data]], samples: int) -> None:
    """Their order and their scale are asked about too, of as few samples as show that nothing is wrong."""
    net, data = in_colour
    RAN.clear()
    report = bncheck.inspect(net, data(samples))
    assert not [finding for finding in report.findings if finding.severity != "info"]
    ran = {stage.name: stage.samples for stage in cost_of(report).stages}
    assert 6 * 16 <= ran["forms of the input"] <= 384  # every order was looked at
    assert RAN["samples"] == cost_of(report).samples <= BUDGETS[samples] * samples


@pytest.mark.parametrize("samples", [100, 1000, 5000])
def test_a_fault_adds_two_thousand_samples_at_most(net: Counted, samples: int) -> None:
    broken = copy.deepcopy(net)
    broken.second.running_var.mul_(16)  # type: ignore[union-attr]
    report = bncheck.inspect(broken, labelled(samples))
    assert "BN607" in [finding.code for finding in report.findings]
    assert cost_of(report).samples <= BUDGETS[samples] * samples + 2000


def test_what_was_not_compared_is_said_and_can_be(net: Counted) -> None:
    data = labelled(3000)
    some, whole = bncheck.inspect(net, data), bncheck.inspect(net, data, exhaustive=True)
    assert "of the 3,000 samples, which decide it; exhaustive takes all" in " ".join(some.run.notes)
    assert not any("which decide it" in note for note in whole.run.notes)
    ran = {stage.name: stage.samples for stage in cost_of(whole).stages}
    assert ran["batch statistics"] == 3000
    assert 3000 < ran["recalibrated statistics"] <= 3000 + 512 + 64  # some twice, to see the statistics' own noise
    for one, other in zip(some.layers, whole.layers, strict=True):
        assert one.gap == other.gap  # what every sample is run for
        assert one.own_gap == pytest.approx(other.own_gap, abs=0.05)


def test_looks_go_on_until_they_decide(net: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    """All samples, look after look, come to what all of them at once come to."""
    data = labelled(6000)
    whole = bncheck.inspect(net, data, exhaustive=True)
    monkeypatch.setattr("bncheck.api.reporting.running.is_decided", lambda evidence, findings: False)
    looked = bncheck.inspect(net, data)
    assert not any("which decide it" in note for note in looked.run.notes)
    assert [layer.own_gap for layer in looked.layers] == pytest.approx([layer.own_gap for layer in whole.layers])
    assert looked.effect is not None
    assert whole.effect is not None
    assert looked.effect.score is not None
    assert whole.effect.score is not None
    assert looked.effect.score.stored == pytest.approx(whole.effect.score.stored)
    assert looked.effect.score.recalibrated == pytest.approx(whole.effect.score.recalibrated, abs=0.01)


def test_a_loader_is_compared_whole_since_what_comes_first_may_be_alike(net: Counted) -> None:
    x, y = labelled(2000)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=100)
    ran = {stage.name: stage.samples for stage in cost_of(bncheck.inspect(net, loader)).stages}
    assert ran["batch statistics"] == 2000


def test_fast_runs_every_sample_once_and_says_what_it_left_out(net: Counted) -> None:
    data = labelled(300)
    report, whole = bncheck.inspect(net, data, fast=True), bncheck.inspect(net, data)
    assert cost_of(report).samples == 300
    assert [layer.gap for layer in report.layers] == [layer.gap for layer in whole.layers]
    assert all(layer.own_gap is None for layer in report.layers)
    assert report.effect is not None
    assert whole.effect is not None
    assert report.effect.accuracy is not None
    assert whole.effect.accuracy is not None
    assert report.effect.accuracy.stored == whole.effect.accuracy.stored
    assert any("run as shipped alone (fast)" in note for note in report.run.notes)
    assert report.summary.exit_code == 0


def test_fast_finds_what_is_far_off_and_calls_no_cost_harmless(net: Counted) -> None:
    broken = copy.deepcopy(net)
    broken.second.running_var.mul_(64)  # type: ignore[union-attr]
    report = bncheck.inspect(broken, labelled(300), fast=True)
    assert report.summary.exit_code == 1
    assert "second" in [name for finding in report.findings for name in finding.layers]
    assert not [finding for finding in report.findings if finding.cost and finding.cost.harm == "excluded"]


def test_fast_and_exhaustive_say_the_opposite(net: Counted) -> None:
    with pytest.raises(bncheck.UsageError, match="fast and exhaustive say the opposite"):
        bncheck.inspect(net, labelled(60), fast=True, exhaustive=True)
