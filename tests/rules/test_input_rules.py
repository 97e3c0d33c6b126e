"""BN601 (input scaled): what fires it, in which words, and what must not."""

from __future__ import annotations

import dataclasses
import re
import warnings

import numpy as np
import pytest
import torch
from digit_nets import ARCH, SAMPLES, assert_healthy, codes, conv_net, norms, only, train
from hand_built import effect, evidence, measured, with_own
from torch import nn

import bncheck
from bncheck.data import DataOptions
from bncheck.evidence.probed import AffineMap, Condition, InputScaling, Mistake, Paired, Probed
from bncheck.probes.input.conventions import InputRange, mistake_of
from bncheck.results import Finding
from bncheck.rules import judge
from bncheck.vocabulary import argument

MNIST = 0.1307, 0.3081

FAULTS = {
    "not divided by 255": (lambda x: 255 * x, "0..255", "0..1"),
    "divided by 255 twice": (lambda x: x / 255, "0..1 divided by 255 again", "0..1"),
    "of another unit": (lambda x: 16 * x, "0..16", "0..1"),
    "centred": (lambda x: 2 * x - 1, "-1..1", "0..1"),
    "normalized": (lambda x: (x - MNIST[0]) / MNIST[1], "0..1 normalized by MNIST's mean and std", "0..1"),
    "standardized": (
        lambda x: (x - x.mean()) / x.std(),
        "values of mean 0 and standard deviation 1 per channel",
        "0..1",
    ),
    "inverted": (lambda x: 1 - x, "its inverse, bright for dark", "it as it was"),
    "times 37": (lambda x: 37 * x, "as given", None),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("labelled", [True, False], ids=["labels", "no labels"])
def test_what_was_done_to_the_input_is_named(healthy, held_out, fault, labelled):
    change, fed, expected = FAULTS[fault]
    x, y = held_out
    finding = only(bncheck.inspect(healthy, (change(x), y) if labelled else change(x)), "BN601")
    assert (finding.severity, finding.layer) == ("error", "stem.bn")
    assert (finding.evidence["fed"], finding.evidence["expected"]) == (fed, expected)
    assert finding.evidence["gap_before"] > 0.25 > 2 * finding.evidence["gap_after"]
    if labelled:
        assert finding.evidence["accuracy_after"] > 0.95 > finding.evidence["accuracy_before"]
    else:
        assert finding.evidence["accuracy_gain"] is None


@pytest.mark.parametrize("labelled", [True, False], ids=["labels", "no labels"])
def test_the_fix_that_is_named_works(held_out, labelled):
    data = held_out if labelled else held_out[0]
    finding = only(bncheck.inspect(SAMPLES / "unscaled_input.pickled.pt", data, trust_pickle=True), "BN601")
    assert finding.fix.startswith("Multiply the input by 16, as in training (to try it: scale 16).")
    assert finding.evidence["slope"] == [16.0]
    options = DataOptions(scale=16)
    report = bncheck.inspect(SAMPLES / "unscaled_input.pickled.pt", data, trust_pickle=True, data_options=options)
    assert_healthy(report)
    assert codes(report) == []


TOLD_BY_NOBODY = 0.45, 0.21
"""Mean and std that no library has."""


def flat_net() -> nn.Module:
    """Linear layers, each followed by BatchNorm1d."""
    layers = [layer for inputs in (64, 64) for layer in (nn.Linear(inputs, 64), nn.BatchNorm1d(64), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(64, 10))


@pytest.fixture(scope="module")
def normalized_net(training) -> nn.Module:
    """Trained on digits less their mean, by their standard deviation."""
    x, y = training
    torch.manual_seed(0)
    return train(conv_net(), ((x - 0.3) / 0.38, y))


@pytest.mark.parametrize(
    ("change", "slope", "intercept"),
    [
        (lambda x: x, 1 / 0.38, -0.3 / 0.38),
        (lambda x: (((x - 0.3) / 0.38) - 0.3) / 0.38, 0.38, 0.3),
        (lambda x: (255 * x - 0.3) / 0.38, 1 / 255, (0.3 / 255 - 0.3) / 0.38),
        (lambda x: 255 * x, 1 / (255 * 0.38), -0.3 / 0.38),
    ],
    ids=["not normalized", "twice", "before it was divided by 255", "bytes"],
)
def test_a_normalization_that_is_missing_or_too_much(normalized_net, held_out, change, slope, intercept):
    x, y = held_out
    finding = only(bncheck.inspect(normalized_net, (change(x), y)), "BN601")
    assert finding.severity == "error"
    assert finding.evidence["slope"] == pytest.approx([slope], rel=0.05)
    assert finding.evidence["intercept"] == pytest.approx([intercept], abs=0.05)


def test_what_is_to_be_given_as_mean_and_std_mends_it(normalized_net, held_out):
    finding = only(bncheck.inspect(normalized_net, held_out), "BN601")
    mean, std = re.search(r"mean (-?[\d.]+) std ([\d.]+\d)", finding.fix).groups()
    options = DataOptions(mean=(float(mean),), std=(float(std),))
    assert_healthy(bncheck.inspect(normalized_net, held_out, data_options=options))


def test_normalized_as_it_was_trained_it_is_healthy(normalized_net, held_out):
    x, y = held_out
    assert_healthy(bncheck.inspect(normalized_net, ((x - 0.3) / 0.38, y)))


@pytest.fixture(scope="module")
def nets_of_their_own(training) -> dict[str, nn.Module]:
    """Trained on digits normalized by constants that nobody has told."""
    x, y = training
    nets = {}
    for name, build in (("convolution", conv_net), ("linear", flat_net)):
        torch.manual_seed(0)
        nets[name] = train(build(), ((x - TOLD_BY_NOBODY[0]) / TOLD_BY_NOBODY[1], y))
    return nets


@pytest.mark.parametrize("first", ["convolution", "linear"])
@pytest.mark.parametrize("times", [0, 2], ids=["not normalized", "twice"])
@pytest.mark.parametrize("labelled", [True, False], ids=["labels", "no labels"])
def test_a_normalization_by_constants_that_nobody_has_told(nets_of_their_own, held_out, first, times, labelled):
    net, (x_held, y_held) = nets_of_their_own[first], held_out
    fed = x_held
    for _ in range(times):
        fed = (fed - 0.45) / 0.21
    finding = only(bncheck.inspect(net, (fed, y_held) if labelled else fed), "BN601")
    assert finding.severity == "error"
    mean, std = (-0.45 / 0.21, 1 / 0.21) if times else (0.45, 0.21)
    slope, intercept = finding.evidence["slope"][0], finding.evidence["intercept"][0]
    assert slope == pytest.approx(1 / std, rel=0.1)
    assert intercept == pytest.approx(-mean / std, abs=0.25)
    assert ("normalized once too often" if times else "expects the input normalized") in finding.message
    assert ": mean " in finding.fix


@pytest.mark.parametrize(
    "change",
    [lambda x: x, lambda x: 0.4 + 0.3 * x, lambda x: (1.5 * x - 0.2).clamp(0, 1), lambda x: x**3],
    ids=["as it is", "fog", "contrast", "gamma"],
)
def test_pictures_of_another_exposure_were_not_normalized_otherwise(nets_of_their_own, held_out, change):
    x, y = held_out
    mean, std = TOLD_BY_NOBODY
    report = bncheck.inspect(nets_of_their_own["convolution"], ((change(x) - mean) / std, y))
    assert "BN601" not in codes(report)


@pytest.mark.slow
def test_a_network_that_begins_with_a_norm(training, held_out):
    torch.manual_seed(0)
    net = train(nn.Sequential(nn.BatchNorm2d(1), conv_net()), training)
    x, y = held_out
    finding = only(bncheck.inspect(net, (255 * x, y)), "BN601")
    assert finding.layer == "0"
    assert finding.fix.startswith("Divide the input by 255, as in training (to try it: scale 0.00392157).")


@pytest.mark.slow
def test_an_onnx_model(healthy, held_out, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            healthy,
            (held_out[0][:2],),
            tmp_path / "net.onnx",
            dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}},
        )
    x, y = held_out
    finding = only(bncheck.inspect(tmp_path / "net.onnx", (16 * x, y)), "BN601")
    assert finding.evidence["fed"] == "0..16"


def test_outputs_that_are_no_classes(healthy, held_out):
    healthy.head = nn.Linear(32, 1)
    finding = only(bncheck.inspect(healthy, 4 * held_out[0]), "BN601")
    assert finding.evidence["predictions_changed"] is None
    assert "the outputs move by" in finding.message


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x + 1,
        lambda x: (x + 0.3).clamp(0, 1),
        lambda x: x**0.4,
        lambda x: 0.6 * x,
        lambda x: 3 * x,
        lambda x: 0.3 + 0.4 * x,
        lambda x: x + 0.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)),
        lambda x: x.rot90(1, (2, 3)),
        lambda x: nn.functional.avg_pool2d(x, 5, 1, 2),
    ],
    ids=["brighter", "brighter, clipped", "gamma", "darker", "lighter", "less contrast", "noise", "rotated", "blurred"],
)
@pytest.mark.parametrize("labelled", [True, False], ids=["labels", "no labels"])
def test_other_drift_is_not_called_a_scale(healthy, held_out, change, labelled):
    x, y = held_out
    report = bncheck.inspect(healthy, (change(x), y) if labelled else change(x))
    assert set(codes(report)) <= {"BN603"}


@pytest.mark.slow
def test_statistics_that_are_wrong_are_not_blamed_on_the_input(healthy, held_out):
    for norm in norms(healthy)[:2]:
        norm.running_mean.copy_(norm.running_mean.flip(0))
        norm.running_var.copy_(norm.running_var.flip(0))
    assert codes(bncheck.inspect(healthy, held_out)) == ["BN603"]
    assert codes(bncheck.inspect(SAMPLES / "stale_statistics.ckpt", held_out, arch=ARCH)) == ["BN603"]


class TwoInputs(nn.Module):
    """Scores from the sum of two images."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return self.net(left + right)


def test_of_several_inputs_none_is_scaled(healthy, held_out):
    x, y = held_out
    report = bncheck.inspect(TwoInputs(healthy), {"left": 8 * x, "right": 8 * x, "y": y})
    assert codes(report) == ["BN603"]


def test_what_bncheck_was_told_to_do_once_too_often(normalized_net, held_out):
    x, y = held_out
    options = DataOptions(mean=(0.3,), std=(0.38,))
    finding = only(bncheck.inspect(normalized_net, ((x - 0.3) / 0.38, y), data_options=options), "BN601")
    assert "normalized by mean and std; the network expects them as they are read, without" in finding.message
    assert finding.fix.startswith("Leave out mean and std (or preset)")
    assert finding.evidence["slope"] == pytest.approx([0.38])
    report = bncheck.inspect(normalized_net, (x, y), data_options=options)
    assert_healthy(report)
    assert codes(report) == []


# By hand


def scaling(before: float, after: float, *, factor: float = 255.0, expected: str | None = "0..1", **seen) -> Probed:
    gain = seen.pop("gain", None)
    values = {
        "layers": ("bn",),
        "samples": 256,
        "before": Condition(before, seen.pop("everywhere", before), None if gain is None else 0.5, 1.0),
        "after": Condition(after, after, None if gain is None else 0.5 + gain, seen.pop("information", 1.0)),
        "gain": gain,
        "gain_error": None if gain is None else 0.01,
        "predictions_changed": 0.5,
        "output_change": 0.5,
    }
    return Probed(scaling=InputScaling(AffineMap((factor,)), "0..255", expected, Paired(**(values | seen))))


@pytest.mark.parametrize(
    ("probed", "found"),
    [
        (scaling(1.0, 0.1, gain=0.04), ["error"]),
        (scaling(1.0, 0.1), ["error"]),
        (scaling(0.24, 0.01, gain=0.4), []),
        (scaling(1.0, 0.26, gain=0.4), []),
        (scaling(237.0, 0.32, gain=0.4), ["error"]),  # another domain besides: seen on PaddleOCR's classifier
        (scaling(237.0, 0.32, gain=0.01), ["info"]),
        (scaling(237.0, 0.32), ["error"]),  # no picture makes such a gap, labelled or not
        (scaling(4.9, 0.24, everywhere=0.4), []),
        (scaling(237.0, 0.32, everywhere=0.5), []),
        (scaling(237.0, 0.32, gain=0.4, expected=None), []),
        (scaling(6.0, 0.32, gain=0.4), []),
        (scaling(0.4, 0.21, gain=0.4), []),
        (scaling(0.8, 0.21, gain=0.4, factor=2.0), []),
        (scaling(0.8, 0.19, gain=0.4, factor=2.0), ["error"]),
        (scaling(0.8, 0.13, gain=0.4, expected=None), []),
        (scaling(0.8, 0.11, gain=0.4, expected=None, samples=4096), []),
        (scaling(0.8, 0.09, gain=0.4, expected=None), ["error"]),
        (scaling(1.0, 0.1, gain=0.03), ["info"]),
        (scaling(1.0, 0.1, gain=-0.02), []),
        (scaling(1.0, 0.1, predictions_changed=0.04), ["info"]),
        (scaling(1.0, 0.1, information=0.1), ["error"]),  # saturated outputs look surer: that excuses nothing
        (scaling(370.0, 0.1, information=0.1, expected=None), ["error"]),
        (scaling(1.0, 0.1, everywhere=0.15), []),
        (scaling(1.0, 0.1, predictions_changed=None, output_change=0.26), ["error"]),
        (scaling(1.0, 0.1, predictions_changed=None, output_change=0.24), ["info"]),
    ],
)
def test_gap_and_predictions_both_decide(probed, found):
    seen = evidence(measured(0.1), effect=effect(predictions_changed=0.0), probed=probed)
    assert [finding.severity for finding in judge(seen)] == found


def test_without_a_sure_gain_it_is_as_grave_as_the_drift():
    seen = evidence(measured(1.0), effect=effect(predictions_changed=0.1), probed=scaling(1.0, 0.1, gain=0.03))
    assert [(finding.code, finding.severity) for finding in judge(seen)] == [("BN601", "warning")]


@pytest.mark.parametrize(
    ("gap", "recalibrated", "found"), [(1.0, 0.82, ["warning"]), (0.5, 0.82, ["info"]), (1.0, 0.70, ["info"])]
)
def test_a_map_that_takes_a_far_gap_away_counts_where_the_cost_is_not_known(gap, recalibrated, found):
    seen = effect(stored=0.80, recalibrated=recalibrated, gain_error=0.03)
    probed = scaling(gap, 0.05, gain=0.02, expected=None)
    told = judge(evidence(measured(gap), effect=seen, probed=probed), codes=["BN601"])
    assert [finding.severity for finding in told] == found


def test_what_is_left_is_said():
    left = scaling(9.0, 0.1, gain=0.4)
    seen = dataclasses.replace(left.scaling.seen, after=Condition(0.1, 0.8, 0.9, 1.0))
    (finding,) = judge(evidence(probed=Probed(scaling=dataclasses.replace(left.scaling, seen=seen))))
    assert finding.fix.endswith("Then inspect again: a gap of 0.8 over all layers is left.")


@pytest.mark.parametrize(
    ("after", "gain", "expected", "found"),
    [
        (0.4, 0.485, "0..1", ["BN601"]),
        (0.51, 0.485, "0..1", []),
        (0.4, 0.47, "0..1", []),
        (0.4, 0.485, None, []),
    ],
)
def test_a_map_that_does_as_well_as_recalibration_may_leave_a_gap(after, gain, expected, found):
    probed = scaling(1.0, after, gain=gain, expected=expected)
    seen = evidence(effect=effect(stored=0.5, recalibrated=0.99), probed=probed)
    assert [finding.code for finding in judge(seen)] == found


@pytest.mark.parametrize(
    ("own", "left", "found"), [(0.03, 0.16, ["BN601"]), (0.2, 0.16, []), (None, 0.16, []), (0.03, 0.26, [])]
)
def test_a_solved_map_may_leave_a_gap_where_the_input_alone_is_off(own, left, found):
    """As a multilayer perceptron on Fashion-MNIST left 0.17 of 1.2 where mean and std were missing."""
    behind = measured(0.1, name="behind")
    behind = behind if own is None else with_own(behind, own)
    probed = scaling(1.0, left, gain=0.485, expected=None)
    probed = Probed(scaling=dataclasses.replace(probed.scaling, map=AffineMap((4.0,), (-2.2,)), constant=False))
    whole = evidence(measured(0.1), behind, effect=effect(stored=0.5, recalibrated=0.99), probed=probed)
    assert [finding.code for finding in judge(whole)] == found


def solved(slope: float, intercept: float, mistake: Mistake | None) -> Finding:
    """What is found of a map that was solved for."""
    probed = scaling(5.0, 0.05, gain=0.4, expected=None)
    by = AffineMap((slope,), (intercept,))
    probed = Probed(scaling=dataclasses.replace(probed.scaling, map=by, constant=False, mistake=mistake))
    (finding,) = judge(evidence(measured(0.1), probed=probed))
    assert finding.evidence["mistake"] == (None if mistake is None else mistake.value)
    return finding


def test_an_input_normalized_twice_by_unknown_constants_is_called_so():
    finding = solved(0.212, 0.16, Mistake.TWICE)
    assert "normalized once too often" in finding.message
    assert "by mean 0.16 and standard deviation 0.212 each time" in finding.message
    assert finding.fix.startswith("Look for a normalization that is done twice (to try what fits these data: ")
    assert f"{argument('mean')} -0.7547 {argument('std')} 4.717)" in finding.fix


def test_an_input_that_is_spread_too_wide_is_not_said_to_be_normalized_twice():
    finding = solved(0.212, 0.16, None)
    assert "4.72 times as wide as it expects: 0.212 x +0.16 in place of x. Which step" in finding.message
    assert "is not known" in finding.message
    raw = solved(0.0105, -0.827, Mistake.RAW)
    assert raw.message.startswith(
        "The data are pixels as they are stored, and the network expects the input normalized"
    )
    unscaled = solved(1 / 255, -0.79, Mistake.UNSCALED)
    assert "255 times as wide as the network expects, with black where it should be" in unscaled.message
    assert unscaled.fix.startswith("Divide by 255 before the normalization")


class Prepared(nn.Module):
    """Takes pixels normalized by a mean and a standard deviation of each colour; the net gets the brightest colour."""

    def __init__(self, net: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.net = net
        self.mean, self.std = (torch.tensor(values).view(1, -1, 1, 1) for values in (mean, std))

    def normalized(self, x: torch.Tensor) -> torch.Tensor:
        """What it expects of pixels."""
        return (x - self.mean) / self.std

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.net((z * self.std + self.mean).amax(1, keepdim=True))


@pytest.mark.parametrize(
    ("mean", "std", "fed"),
    [
        ((0.5,), (0.5,), "0..1 normalized by mean 0.5 and std 0.5 twice"),
        ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616), "0..1 normalized by CIFAR-10's mean and std twice"),
        ((0.7, 0.4, 0.2), (0.4, 0.2, 0.3), "as given"),
    ],
    ids=["-1..1", "known constants", "constants of each colour that nobody has told"],
)
@pytest.mark.parametrize("labelled", [True, False], ids=["labels", "no labels"])
def test_an_input_normalized_twice(healthy, all_held_out, mean, std, fed, labelled):
    x, y = all_held_out
    net = Prepared(healthy, mean, std).eval()
    tints = torch.rand((len(x), len(mean), 1, 1), generator=torch.Generator().manual_seed(0))
    once = net.normalized(x * tints / tints.amax(1, keepdim=True))
    assert codes(bncheck.inspect(net, once[:200])) == []
    twice = net.normalized(once)
    finding = only(bncheck.inspect(net, (twice, y) if labelled else twice), "BN601")
    assert (finding.severity, finding.evidence["fed"]) == ("error", fed)
    assert finding.evidence["mistake"] == "normalized twice"
    assert finding.evidence["slope"] == pytest.approx(std, rel=0.05)
    assert finding.evidence["intercept"] == pytest.approx(mean, abs=0.05)
    assert "Leave out a step" in finding.fix or "Look for a normalization that is done twice" in finding.fix


@pytest.mark.parametrize(
    ("low", "high", "slope", "intercept", "found"),
    [
        (-3.0, 1.0, 0.5, 0.5, Mistake.TWICE),
        (-12.3, 10.2, 0.21, 0.45, Mistake.TWICE),
        (-2.0, 2.0, 0.5, 0.0, None),  # twice the contrast, about gray
        (-2.0, 1.0, 0.7, 0.2, None),
        (0.0, 255.0, 0.0105, -0.827, Mistake.RAW),
        (0.0, 0.8, 3.0, -1.0, Mistake.RAW),
        (-2.1, 1212.0, 1 / 255, -2.09, Mistake.UNSCALED),
        (-2.14, -2.12, 255.0, 543.6, Mistake.UNSCALED),
        (-300.0, 1212.0, 1 / 255, -1.0, None),  # black was moved too
        (-1.0, 1.0, 0.9, 0.4, None),
    ],
)
def test_the_range_of_the_data_tells_which_step_is_wrong(low, high, slope, intercept, found):
    ends = (np.array([end]) for end in (low, high, (low + high) / 2, (high - low) / 4))
    assert mistake_of(InputRange(*ends, is_image=True), AffineMap((slope,), (intercept,))) == found


@pytest.mark.parametrize(("constant", "found"), [(True, ["BN601"]), (False, [])])
def test_a_map_taken_from_the_data_has_to_do_as_well_as_recalibration(constant, found):
    probed = scaling(1.0, 0.05, gain=0.1, everywhere=0.9)
    probed = Probed(scaling=dataclasses.replace(probed.scaling, constant=constant))
    seen = evidence(effect=effect(stored=0.5, recalibrated=0.99), probed=probed)
    assert [finding.code for finding in judge(seen)] == found
