"""One inner layer wrong, in a model of every kind of task and given in every way; and the same model healthy.

No net is trained: weights are random, statistics are those of other samples, and labels are what the healthy net says,
so that it does its task perfectly and whatever a fault costs is the fault's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from digit_nets import assert_healthy, measure_statistics, norms
from hand_built import effect, evidence, measured
from torch import nn

import bncheck
from bncheck.errors import UnfitError
from bncheck.evidence import CloserLook
from bncheck.results.report import Report
from bncheck.rules.drift.bn603 import judge as drift

SAMPLES, WRONG, WIDTH = 320, 2, 12
Labels = Callable[[torch.Tensor], torch.Tensor]


def inputs(number: int, seed: int, *shape: int) -> torch.Tensor:
    """Samples (N, C, ...), each with its own level and size of noise, as recordings and photographs have."""
    generator = torch.Generator().manual_seed(seed)
    levels = torch.rand(number, shape[0], *[1] * (len(shape) - 1), generator=generator)
    return levels + torch.randn(number, *shape, generator=generator) * (0.5 + levels)


def net_of(outputs: int, *, pooled: bool, dims: int = 2) -> nn.Module:
    """Five convolutions with their norms, and a score for every sample or every position."""
    torch.manual_seed(3)
    conv, norm = (nn.Conv1d, nn.BatchNorm1d) if dims == 1 else (nn.Conv2d, nn.BatchNorm2d)
    layers: list[nn.Module] = []
    for channels in (2, *[WIDTH] * 4):
        layers += [conv(channels, WIDTH, 3, padding=1, bias=False), norm(WIDTH), nn.ReLU()]
    last = conv(WIDTH, outputs, 1)
    pool = [nn.AdaptiveAvgPool1d(1) if dims == 1 else nn.AdaptiveAvgPool2d(1), nn.Flatten()] if pooled else []
    net = nn.Sequential(*layers, last, *pool)
    with torch.no_grad():
        for one in norms(net):
            one.weight.uniform_(0.5, 1.5)
            one.bias.uniform_(-0.5, 0.5)
    measure_statistics(net, inputs(800, 1, 2, 8, 8) if dims == 2 else inputs(800, 1, 2, 40))
    return net


def centred(net: nn.Module, x: torch.Tensor, share: float) -> None:
    """Move the last layer's bias so that each score is above 0 in that share of all."""
    with torch.no_grad():
        scores = net(x).movedim(1, -1).flatten(0, -2)
        net.get_submodule("15").bias.sub_(scores.quantile(1 - share, 0))


def spread(net: nn.Module, x: torch.Tensor) -> None:
    """Standardize the scores, so that every class wins now and then."""
    with torch.no_grad():
        scores = net(x)
        last = net.get_submodule("15")
        last.bias.copy_((last.bias - scores.mean(0)) / scores.std(0))
        last.weight.div_(scores.std(0).reshape(-1, *[1] * (last.weight.dim() - 1)))


def broken(net: nn.Module) -> nn.Module:
    """A copy in which one inner layer's variances are 16 times too large."""
    copied = copy.deepcopy(net)
    norms(copied)[WRONG].running_var.mul_(16)
    return copied


@cache
def of_task(task: str) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A healthy net, samples and labels."""
    x = inputs(SAMPLES, 2, 2, 8, 8)
    if task == "rare class":
        net = net_of(2, pooled=False)
        with torch.no_grad():
            rarely = net(x)[:, 1] - net(x)[:, 0]
            net.get_submodule("15").bias[0] += rarely.quantile(0.99)
            return net, x, net(x).argmax(1)
    if task == "one logit":
        net = net_of(1, pooled=False)
        centred(net, x, 0.01)
        return net, x, (net(x) > 0).long().detach()
    if task == "multi-label":
        net = net_of(5, pooled=True)
        centred(net, x, 0.2)
        return net, x, (net(x) > 0).float().detach()
    net = net_of(4, pooled=True)
    spread(net, x)
    outputs = net(x).detach()
    return net, x, outputs if task == "numbers" else outputs.argmax(1)


def dice(outputs: torch.Tensor, labels: torch.Tensor) -> float:
    """Dice of the rare class over all samples at once, as a user would write it."""
    says, true = outputs.argmax(1) == 1, labels == 1
    return float(2 * (says & true).sum() / (says.sum() + true.sum()))


def assert_named(report: Report, layer: str = "7") -> None:
    """The layer that is wrong, and no other, is named as such."""
    grave = [finding for finding in report.findings if finding.severity != "info"]
    assert [(one.code, one.severity, one.layers) for one in grave] == [("BN607", "error", (layer,))]
    assert report.summary.exit_code == 1


TASKS = {
    "rare class": "positions",
    "one logit": "yes-no",
    "multi-label": "yes-no",
    "numbers": "numbers",
    "classes": "classes",
}


@pytest.mark.parametrize("task", TASKS)
def test_a_wrong_layer_is_an_error_by_the_score_of_its_task(task: str) -> None:
    net, x, y = of_task(task)
    assert_healthy(bncheck.inspect(net, (x, y)))
    report = bncheck.inspect(broken(net), (x, y))
    assert_named(report)
    assert report.effect.task == TASKS[task]
    assert report.findings[0].cost.harm == "large"


def test_a_metric_of_the_user_decides_alike() -> None:
    net, x, y = of_task("rare class")
    assert_healthy(bncheck.inspect(net, (x, y), metric=dice))
    report = bncheck.inspect(broken(net), (x, y), metric=dice)
    assert_named(report)
    told = report.findings[0].cost
    assert (told.score, told.harm) == ("metric", "large")
    assert told.shipped < 0.6 < 0.8 < told.remedied


def test_right_pixels_would_not_have_shown_what_the_dice_shows() -> None:
    net, x, y = of_task("rare class")
    report = bncheck.inspect(broken(net), (x, y))
    assert report.effect.accuracy.stored > 0.97
    assert report.effect.score.stored < 0.85


def test_a_class_that_few_samples_have_is_an_error_where_they_lose_it() -> None:
    """One sample of thirty has the class at all; the others, and the background, are right as shipped."""
    net, x, _ = of_task("rare class")
    net = copy.deepcopy(net)
    with torch.no_grad():
        rarely = (net(x)[:, 1] - net(x)[:, 0]).flatten(1).amax(1)
        net.get_submodule("15").bias[0] += rarely.quantile(0.97)
        y = net(x).argmax(1)
    assert int(y.flatten(1).any(1).sum()) == 10
    assert_healthy(bncheck.inspect(net, (x, y), batch_sizes=(16,)))
    report = bncheck.inspect(broken(net), (x, y), batch_sizes=(16,))
    assert_named(report)
    assert report.effect.accuracy.stored > 0.999
    assert report.effect.score.stored == 0.5 < 0.9 < report.effect.score.recalibrated


def test_without_labels_the_predictions_that_change_tell() -> None:
    net, x, _ = of_task("classes")
    assert_healthy(bncheck.inspect(net, x))
    assert_named(bncheck.inspect(broken(net), x))


class Only(nn.Module):
    """A net that refuses all batches but those of one size, and says so nowhere."""

    def __init__(self, net: nn.Module, size: int) -> None:
        super().__init__()
        self.net, self.size = net, size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores."""
        if x.shape[0] != self.size:
            raise ValueError("another number of samples")
        return self.net(x)


def scripted(net: nn.Module, folder: Path) -> Path:
    """A TorchScript program that takes one sample."""
    path = folder / "one.pt"
    torch.jit.script(Only(net, 1)).save(path)
    return path


def exported(net: nn.Module, x: torch.Tensor, folder: Path) -> Path:
    """A program of torch.export that takes one sample."""
    path = folder / "one.pt2"
    torch.export.save(torch.export.export(net, (x[:1],)), path)
    return path


def assert_measured_in_turn(healthy: Report, report: Report, layer: str) -> None:
    """No batch could be normalized by itself, and yet the layer is named and what it costs is measured."""
    assert_healthy(healthy)
    grave = [finding for finding in report.findings if finding.severity != "info"]
    assert [(one.code, one.severity, one.layers) for one in grave] == [("BN603", "error", (layer,))]
    assert grave[0].cost.harm == "large"
    assert grave[0].cost.shipped < 0.6 < 0.8 < grave[0].cost.remedied
    assert "Recalibrate the statistics, which was measured to help" in grave[0].fix


def test_a_program_that_refuses_all_but_one_sample_is_measured_one_by_one(tmp_path: Path) -> None:
    net, x, y = of_task("classes")
    reports = [bncheck.inspect(str(scripted(one, tmp_path)), (x[:120], y[:120])) for one in (net, broken(net))]
    assert_measured_in_turn(*reports, "net.7")
    assert any("batches of exactly 1" in note for note in reports[1].run.notes)


def test_a_module_that_takes_its_loaders_size_alone_is_run_by_it() -> None:
    net, x, y = of_task("classes")
    batches = list(zip(x.split(32), y.split(32), strict=True))
    assert_healthy(bncheck.inspect(Only(net, 32), batches))
    assert_named(bncheck.inspect(Only(broken(net), 32), batches), layer="net.7")


def test_a_model_that_takes_a_sample_for_a_batch_is_not_run_by_it() -> None:
    """Images without their channel, one of which looks like a batch of one without an axis for samples."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(0), nn.Linear(144, 4), nn.Unflatten(0, (4, 1)))
    with pytest.raises(UnfitError, match=r"given \(10, 8, 8\)"):
        bncheck.inspect(nn.Sequential(net, nn.BatchNorm1d(1)).eval(), torch.randn(20, 8, 8))


@pytest.mark.slow
def test_an_exported_program_of_one_sample_is_measured_one_by_one(tmp_path: Path) -> None:
    net, x, y = of_task("classes")
    reports = [bncheck.inspect(str(exported(one, x, tmp_path)), (x[:120], y[:120])) for one in (net, broken(net))]
    assert_measured_in_turn(*reports, "7")


@cache
def of_sequences() -> tuple[nn.Module, list[tuple[torch.Tensor, torch.Tensor]]]:
    """A healthy net, and recordings of unlike lengths, one in each batch."""
    net = net_of(4, pooled=True, dims=1)
    spread(net, inputs(200, 2, 2, 40))
    sequences = [inputs(1, 100 + number, 2, 20 + number % 30) for number in range(90)]
    return net, [(one, net(one).argmax(1)) for one in sequences]


def test_sequences_of_unlike_lengths_are_measured_one_by_one() -> None:
    net, data = of_sequences()
    assert_measured_in_turn(*(bncheck.inspect(one, data) for one in (net, broken(net))), "7")


def test_too_few_sequences_to_measure_a_cost_ask_for_more_and_for_no_labels() -> None:
    net, data = of_sequences()
    report = bncheck.inspect(broken(net), data[:12])
    assert "could not be measured" in report.findings[0].message
    assert "More samples would show" in report.findings[0].fix
    assert "labels" not in report.findings[0].fix


def test_of_layers_off_in_their_turn_those_that_are_hardly_so_are_not_named() -> None:
    """What was given other statistics because of a healthy gap inherits the rest of its drift."""
    layers = (measured(0.9, name="wrong"), measured(0.8, name="behind"))
    for behind, named in ((0.12, ("wrong",)), (0.5, ("wrong", "behind"))):
        closer = CloserLook(in_turn={"wrong": 0.9, "behind": behind})
        (finding,) = drift(evidence(*layers, effect=effect(stored=0.5, recalibrated=0.9), closer=closer))
        assert finding.layers == named
