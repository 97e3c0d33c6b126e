"""Pixels that were not normalized, fed to a model of every kind of task: judged by the task's score, mended by flags.

The nets are those of `test_every_task`: random weights, fitting statistics, and labels that the healthy net gives.
"""

from __future__ import annotations

import copy
import re
from functools import cache

import pytest
import torch
from digit_nets import assert_healthy, codes, measure_statistics, norms, only
from test_every_task import SAMPLES, centred, inputs, net_of, spread
from torch import nn

import bncheck
from bncheck.data import DataOptions
from bncheck.predictions.effect import PredictionEffect

MEAN, STD = 0.5, 0.25
TASKS = {
    "classes": "accuracy",
    "positions": "Dice",
    "yes-no": "F1",
    "one logit": "balanced accuracy",
    "numbers": "relative squared error",
    "embeddings": "agreement of neighbours",
}


def pixels(number: int, seed: int) -> torch.Tensor:
    """Pictures of two colours, each with its own brightness and contrast."""
    generator = torch.Generator().manual_seed(seed)
    levels = torch.rand(number, 2, 1, 1, generator=generator)
    return (levels + 0.35 * torch.randn(number, 2, 8, 8, generator=generator) * (0.5 + levels)).clamp(0, 1)


def normalized(x: torch.Tensor) -> torch.Tensor:
    """As the nets take them."""
    return (x - MEAN) / STD


@cache
def of_task(task: str) -> tuple[nn.Module, torch.Tensor]:
    """A net that expects normalized pixels, and the labels that it gives to them."""
    x = normalized(pixels(SAMPLES, 2))
    outputs = {"positions": 3, "yes-no": 5, "one logit": 1, "embeddings": 6}.get(task, 4)
    net = measure_statistics(net_of(outputs, pooled=task != "positions"), normalized(pixels(800, 1)))
    with torch.no_grad():
        if task in ("yes-no", "one logit"):
            centred(net, x, 0.3)
            says = (net(x) > 0).float()
            return net, says if task == "yes-no" else says.squeeze(1)
        if task == "positions":
            last, scores = net.get_submodule("15"), net(x)
            last.bias.copy_((last.bias - scores.mean((0, 2, 3))) / scores.std((0, 2, 3)))
            last.weight.div_(scores.std((0, 2, 3)).reshape(-1, 1, 1, 1))
            return net, net(x).argmax(1)
        spread(net, x)
        if task != "embeddings":
            return net, net(x) if task == "numbers" else net(x).argmax(1)
        directions = torch.randn(14, 6, generator=torch.Generator().manual_seed(3))
        rows = nn.functional.normalize(net(x), dim=1) @ nn.functional.normalize(directions, dim=1).T
        return net, rows.argmax(1)  # more labels than the outputs are wide


@pytest.mark.parametrize("task", TASKS)
def test_pixels_that_were_not_normalized_are_named_by_the_tasks_score_and_the_flags_mend_it(task: str) -> None:
    model, y = of_task(task)
    data = ((255 * pixels(SAMPLES, 2)).round(), y)
    report = bncheck.inspect(model, data, batch_sizes=(16,))
    finding = only(report, "BN601")
    assert (finding.severity, codes(report)) == ("error", ["BN601"])
    assert (finding.cost.score, finding.cost.harm) == (TASKS[task], "large")
    names = {"bncheck": bncheck, "DataOptions": DataOptions, "model": model, "data": data}
    assert_healthy(eval(report.summary.next, names))  # the report's own command, as the user types it
    options = report.summary.next[report.summary.next.index("DataOptions") : -1]
    assert eval(options, names).mean == pytest.approx((255 * MEAN,), rel=0.05)
    assert eval(options, names).std == pytest.approx((255 * STD,), rel=0.05)


@pytest.mark.parametrize("task", ["embeddings", "one logit"])
def test_pictures_of_less_contrast_are_no_other_scale(task: str) -> None:
    model, y = of_task(task)
    assert_healthy(bncheck.inspect(model, (normalized(pixels(SAMPLES, 2)), y), batch_sizes=(16,)))
    report = bncheck.inspect(model, (normalized(0.8 * pixels(SAMPLES, 2) + 0.1), y), batch_sizes=(16,))
    assert "BN601" not in codes(report)


def test_logits_that_lie_in_0_to_1_as_shipped_are_no_probabilities() -> None:
    """With the right statistics they would not: whether they are is asked of both."""
    labels = torch.tensor([0, 1] * 20)
    squeezed, right = 0.1 + 0.2 * labels[:, None], 4.0 * labels[:, None] - 2
    effect = PredictionEffect(None, None)
    effect.add_recalibrated(squeezed, right, labels)
    found = effect.result()
    assert (found.task.score.shipped, found.task.score.other) == (0.5, 1.0)
    assert (found.accuracy.stored, found.accuracy.recalibrated) == (0.5, 1.0)
    assert found.task.loss.gain > 0.5
    effect = PredictionEffect(None, None)
    effect.add_recalibrated(0.3 + 0.4 * labels[:, None], 0.1 + 0.8 * labels[:, None], labels)
    assert effect.result().task.score.shipped == 1.0


CONSTANTS = torch.tensor([[0.2, 0.9], [0.15, 0.4]]).reshape(2, 1, 2, 1, 1)
"""Mean and standard deviation of two channels, so unlike that no one slope will do."""


def standard(x: torch.Tensor) -> torch.Tensor:
    """Values of mean 0 and standard deviation 1 per channel, of which no range tells anything."""
    return (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)


@cache
def of_standardized() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A net that expects such values, some of them, and its labels."""
    net = measure_statistics(net_of(4, pooled=True), standard(inputs(800, 1, 2, 8, 8)))
    z = standard(inputs(SAMPLES, 2, 2, 8, 8))
    spread(net, z)
    return net, z, net(z).argmax(1).detach()


@pytest.mark.parametrize("labelled", [True, False], ids=["labels", "no labels"])
def test_values_of_no_known_range_standardized_twice_are_found_by_their_own_moments(labelled: bool) -> None:
    net, z, y = of_standardized()
    mean, std = CONSTANTS
    twice = (z - mean) / std
    finding = only(bncheck.inspect(net, (twice, y) if labelled else twice), "BN601")
    assert (finding.severity, finding.layers) == ("error", ("1",))
    assert finding.evidence["expected"] == "values of mean 0 and standard deviation 1 per channel"
    assert finding.evidence["slope"] == pytest.approx(std.flatten().tolist(), rel=0.05)
    told = re.search(r"mean (\S+) std (\S+\d)\.", finding.fix)
    assert told is not None
    means, stds = (tuple(map(float, one.split(","))) for one in told.groups())
    assert_healthy(bncheck.inspect(net, (twice, y), data_options=DataOptions(mean=means, std=stds)))


def test_what_brighter_pictures_or_the_layer_itself_may_be_is_not_undone_by_standardizing() -> None:
    net, z, y = of_standardized()
    brighter = 1.6 * z + 0.8
    assert "BN601" not in codes(bncheck.inspect(net, (brighter, y)))
    first = copy.deepcopy(net)
    norms(first)[0].running_var[::2].div_(64)
    report = bncheck.inspect(first, (brighter, y))
    assert report.layers[0].gap > 2
    assert "BN601" not in codes(report)
