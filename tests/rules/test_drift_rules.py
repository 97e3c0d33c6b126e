"""BN600 (above the limit) and BN603 (drift): what fires them, how grave it is, and what is said to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from digit_nets import ARCH, SAMPLES, assert_healthy, codes, conv_net, norms, only, train
from hand_built import effect, evidence, measured, task_effect, with_own
from torch import nn

import bncheck
from bncheck.evidence import Improvement
from bncheck.rules import judge
from bncheck.rules.drift.bn603 import judge as drift

# BN600


def test_each_layer_above_the_limit_is_an_error(healthy, held_out):
    report = bncheck.inspect(healthy, held_out, max_gap=0.05)
    assert codes(report) == ["BN600"]
    (finding,) = report.findings
    (layer,) = [layer for layer in report.layers if layer.gap is not None and layer.gap > 0.05]
    assert (finding.severity, finding.layer) == ("error", layer.name)
    assert finding.evidence == {"gap": layer.gap, "limit": 0.05}
    assert report.summary.exit_code == 1


def test_a_limit_that_is_kept_says_nothing(healthy, held_out):
    assert codes(bncheck.inspect(healthy, held_out, max_gap=0.25)) == []
    assert codes(bncheck.inspect(healthy, max_gap=0.0)) == []


def test_a_gap_that_equals_the_limit_passes():
    assert judge(evidence(measured(0.125), max_gap=0.125)) == ()


def test_a_gap_that_is_not_a_number_passes_no_limit(healthy, held_out):
    healthy.blocks[1].bn.running_var[0] = float("nan")
    report = bncheck.inspect(healthy, held_out, max_gap=1e9, select=["BN600"])
    assert [finding.layer for finding in report.findings] == [layer.name for layer in report.layers[3:]]
    assert report.findings[0].evidence["gap"] == "nan"
    assert report.summary.exit_code == 1


# BN603 on networks


def test_stale_statistics_are_an_error_that_recalibration_was_measured_to_mend(held_out):
    report = bncheck.inspect(SAMPLES / "stale_statistics.ckpt", held_out, arch=ARCH)
    finding = only(report, "BN603")
    assert (finding.severity, finding.layer) == ("error", None)
    assert "was measured to help here" in finding.fix
    assert finding.evidence["gap"] > finding.evidence["gap_lower_bound"] > finding.evidence["margin"]
    assert finding.evidence["accuracy_gain"] > 0.5
    assert set(finding.evidence["layers"]) <= {layer.name for layer in report.layers if layer.own_gap > 0.1}
    assert finding.evidence["worst_layer"] in finding.evidence["layers"]


def test_without_labels_the_predictions_that_change_decide(held_out):
    finding = only(bncheck.inspect(SAMPLES / "stale_statistics.ckpt", held_out[0], arch=ARCH), "BN603")
    assert finding.severity == "error"
    assert finding.evidence["predictions_changed"] > 0.5
    assert finding.evidence["accuracy_gain"] is None
    assert "Give labels" in finding.fix


def test_one_drifted_layer_is_named(healthy, held_out):
    last = norms(healthy)[-1]
    last.running_mean += last.running_var.sqrt()
    report = bncheck.inspect(healthy, held_out)
    assert only(report, "BN607").layer == "blocks.2.body.1.bn"
    assert report.layers[-1].codes == ("BN607",)
    assert only(bncheck.inspect(healthy, held_out, select=["BN603"]), "BN603").layer == "blocks.2.body.1.bn"


@pytest.mark.slow
def test_drift_whose_cost_nothing_shows_is_only_mentioned(healthy, held_out):
    x, y = held_out
    for data in ((1.3 * x, y), 1.3 * x, x + 0.15):
        report = bncheck.inspect(healthy, data)
        assert_healthy(report)
        finding = only(report, "BN603")
        assert finding.severity == "info"
        assert finding.evidence["gap_lower_bound"] > 0.25
        assert finding.evidence["predictions_changed"] < 0.05
        told = ("samples would show whether recalibrating", "Give labels", "which was measured to help")
        assert any(words in finding.fix for words in told)


def test_a_model_that_is_nearly_perfect_is_judged_by_its_errors(healthy, all_held_out):
    x, y = all_held_out
    report = bncheck.inspect(healthy, (x + 0.15, y))
    finding = only(report, "BN603")
    assert finding.severity == "warning"
    assert 1 - finding.cost.remedied < 0.3 * (1 - finding.cost.shipped) < 0.01


def test_where_recalibration_does_not_help_it_is_said(healthy, held_out):
    x, y = held_out
    report = bncheck.inspect(healthy, (x.rot90(1, (2, 3)), y))
    finding = only(report, "BN603")
    assert (finding.severity, report.summary.exit_code) == ("warning", 1)
    assert "Recalibrating does not help here" in finding.fix
    assert report.effect is not None
    assert report.effect.accuracy is not None
    assert report.effect.accuracy.stored is not None
    assert report.effect.accuracy.stored < 0.3
    assert finding.evidence["accuracy_gain"] < 0.01


def test_strong_augmentation_in_training_is_no_fault(training, held_out):
    """Recalibrated on images that were not shifted, the net would forget what it learned of shifted ones."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))
    train(net, training, epochs=12, shift=2)
    report = bncheck.inspect(net, held_out)
    assert_healthy(report)
    finding = only(report, "BN603")
    assert finding.evidence["predictions_changed"] > 0.2
    assert "makes the predictions worse" in finding.fix
    assert "Give labels" in only(bncheck.inspect(net, held_out[0]), "BN603").fix


def test_outputs_that_are_no_classes_are_judged_by_how_far_they_move(healthy, held_out):
    healthy.head = nn.Linear(32, 1)
    finding = only(bncheck.inspect(healthy, held_out[0] + 1), "BN603")
    assert finding.severity == "warning"
    assert finding.evidence["predictions_changed"] is None
    assert finding.evidence["output_change"] > 0.1


def test_a_weight_that_is_not_finite_is_named(healthy, held_out):
    with torch.no_grad():
        healthy.blocks[1].conv.weight[3, 2, 0, 0] = float("nan")
    finding = only(bncheck.inspect(healthy, held_out), "BN603")
    assert (finding.severity, finding.layer) == ("error", "blocks.1.bn")
    assert "blocks.1.conv.weight holds NaN or infinity." in finding.message
    assert "checkpoint from before" in finding.fix
    assert finding.evidence["tensors_not_finite"] == ["blocks.1.conv.weight"]


def test_scores_that_are_not_numbers_are_no_right_predictions(held_out):
    x, y = held_out[0], torch.zeros_like(held_out[1])  # argmax of NaN would be class 0

    class Nowhere(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / 0 * 0

    net = nn.Sequential(Nowhere(), conv_net()).eval()
    report = bncheck.inspect(net, (x, y))
    finding = only(report, "BN603")
    assert (finding.severity, finding.layer, finding.evidence["gap"]) == ("error", "1.1", None)
    accuracy = report.effect.accuracy
    assert (accuracy.stored, accuracy.batch, accuracy.recalibrated) == (0.0, None, None)
    one_score = nn.Sequential(Nowhere(), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, 1)).eval()
    assert bncheck.inspect(one_score, (x, y)).effect.accuracy.stored == 0.0


def test_layers_that_overflow_on_finite_data_are_not_blamed_on_them(held_out):
    class Overflows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(torch.exp(1000 * (x + 1)))

    finding = only(bncheck.inspect(Overflows().eval(), held_out[0]), "BN603")
    assert finding.evidence["tensors_not_finite"] == []
    assert "The data are finite" in finding.fix
    assert "The data are finite: look for overflow" in finding.fix


# BN603, how grave: by hand

DRIFTED = measured(0.5)


@pytest.mark.parametrize(
    ("measured_effect", "severity"),
    [
        (None, "info"),
        (effect(predictions_changed=0.05), "info"),
        (effect(predictions_changed=0.06), "info"),
        (effect(predictions_changed=0.07), "warning"),
        (effect(predictions_changed=0.16, changed_by_noise=0.06), "info"),
        (effect(predictions_changed=0.21), "error"),
        (effect(predictions_changed=None, output_change=0.25), "info"),
        (effect(predictions_changed=None, output_change=0.26), "warning"),
        (effect(predictions_changed=None, output_change=0.46, output_change_by_noise=0.11), "info"),
        (effect(stored=0.90, recalibrated=0.913), "info"),
        (effect(stored=0.90, recalibrated=0.914), "warning"),
        (effect(stored=0.90, recalibrated=0.95, gain_error=0.03), "info"),
        (effect(stored=0.99, recalibrated=0.999), "warning"),
        (effect(stored=0.99, recalibrated=0.995), "info"),
        (effect(stored=0.295, recalibrated=0.466), "error"),
        (effect(stored=0.90, recalibrated=0.98), "error"),
        (effect(stored=0.60, recalibrated=0.69), "warning"),
        (effect(stored=0.90, recalibrated=0.90, predictions_changed=0.2), "info"),
        (effect(stored=0.20, recalibrated=0.20, predictions_changed=0.21), "warning"),
        (effect(stored=0.90, recalibrated=0.50, predictions_changed=0.45, lost=0.4), "info"),
        (effect(stored=0.30, recalibrated=0.20, predictions_changed=0.45, lost=0.2), "warning"),
        (effect(stored=0.38, recalibrated=0.31, predictions_changed=0.51, lost=0.35, classes=3), "warning"),
        (effect(stored=0.70, recalibrated=0.31, predictions_changed=0.51, lost=0.45, classes=3), "info"),
    ],
)
def test_the_cost_decides_how_grave_drift_is(measured_effect, severity):
    (finding,) = drift(evidence(DRIFTED, effect=measured_effect))
    assert finding.severity == severity


@pytest.mark.parametrize(
    ("measured_effect", "gap", "severity"),
    [
        (None, 0.61, "warning"),
        (None, 0.59, "info"),
        (effect(predictions_changed=0.03), 5.0, "warning"),
        (effect(predictions_changed=0.0), 5.0, "info"),
        (effect(stored=0.80, recalibrated=0.82, gain_error=0.03), 0.7, "warning"),
        (effect(stored=0.80, recalibrated=0.78, gain_error=0.03), 0.7, "info"),
        (effect(stored=0.80, recalibrated=0.80), 0.7, "info"),
    ],
    ids=[
        "not measured",
        "not far",
        "without labels",
        "nothing changes",
        "labels cannot tell",
        "recalibrating wins nothing",
        "excluded",
    ],
)
def test_a_gap_far_beyond_healthy_counts_where_its_cost_is_not_known(measured_effect, gap, severity):
    (finding,) = drift(evidence(measured(gap), effect=measured_effect))
    assert finding.severity == severity
    assert severity == "info" or finding.cost is None or finding.cost.harm == "not known"


@pytest.mark.parametrize(
    ("gain", "error", "saved", "severity", "advice"),
    [
        (-0.02, 0.06, 0.4, "warning", "samples would show whether recalibrating"),
        (-0.02, 0.06, -0.1, "info", "samples would show whether recalibrating"),
        (-0.20, 0.06, 0.4, "info", "was measured and makes the predictions worse"),
    ],
    ids=["the loss falls", "nothing is better", "less for sure"],
)
def test_a_decision_or_two_of_few_samples_excuse_no_far_gap(gain, error, saved, severity, advice):
    task = task_effect(0.82, 0.82 + gain, error)
    score = replace(task.score, samples=50)
    loss = Improvement(0.9, 0.9 - saved, saved, 0.25, 40, 10, 50)
    seen = effect(task=replace(task, score=score, loss=loss), predictions_changed=0.2)
    (finding,) = drift(evidence(measured(3.0), effect=seen))
    assert (finding.severity, finding.cost.harm) == (severity, "not known")
    assert advice in finding.fix


@pytest.mark.parametrize(
    ("recalibrated", "told"),
    [(0.90, "wins at most 0.4% (95 %)"), (0.897, "wins at most 0.3% (95 %)"), (0.73, "makes the predictions worse")],
    ids=["as before", "less by chance", "less for sure"],
)
@pytest.mark.parametrize("stored_changed", [0.0, 0.6], ids=["leave it", "look elsewhere"])
def test_what_recalibrating_was_measured_to_do_is_told(recalibrated, told, stored_changed):
    seen = effect(stored=0.90, recalibrated=recalibrated, predictions_changed=stored_changed)
    (finding,) = drift(evidence(DRIFTED, effect=seen))
    assert (
        f"it was measured and {told}. C" in finding.fix or f"recalibrating was measured and {told}. If" in finding.fix
    )


@pytest.mark.parametrize(("lower", "found"), [(0.25, 0), (0.251, 1), (float("nan"), 0)])
def test_a_gap_counts_where_its_lower_bound_lies_above_the_margin(lower, found):
    harmful = effect(predictions_changed=1.0)
    assert len(list(drift(evidence(measured(1.0, lower), effect=harmful)))) == found


def test_many_drifted_layers_are_counted_few_are_named():
    few = [measured(1.0, name=name) for name in "abc"]
    (finding,) = drift(evidence(*few))
    assert "statistics of a, b, c do" in finding.message
    (finding,) = drift(evidence(*few, measured(2.0, name="d")))
    assert "statistics of 4 layers do" in finding.message
    assert "2.00 in d" in finding.message


@pytest.mark.parametrize(
    ("lower", "recalibrated", "found"),
    [(0.2, 0.94, ["warning"]), (0.2, 0.92, []), (0.09, 0.99, [])],
    ids=["a sure loss", "a small loss", "a gap too small to explain it"],
)
def test_a_smaller_gap_counts_where_accuracy_is_sure_to_suffer(lower, recalibrated, found):
    lagging = measured(0.24, lower=lower)
    findings = drift(evidence(lagging, effect=effect(stored=0.90, recalibrated=recalibrated)))
    assert [finding.severity for finding in findings] == found


@pytest.mark.parametrize(("error", "is_small"), [(0.002, False), (0.0145, True)])
def test_a_gain_that_may_be_too_small_to_count_is_called_so_and_its_power_is_not_denied(error, is_small):
    helped = task_effect(0.960, 0.985, error)
    (finding,) = drift(evidence(measured(0.5), effect=effect(task=helped, predictions_changed=0.03)))
    assert "was measured to help here" in finding.fix
    assert ("by enough to count, these samples do not show" in finding.fix) is is_small
    assert "cannot be seen" not in finding.message


@pytest.mark.parametrize(("stem", "named"), [(237.0, ["stem"]), (0.7, ["stem", "bn"])])
def test_behind_a_large_own_gap_a_small_one_is_no_cause(stem, named):
    layers = (with_own(measured(stem, name="stem"), stem), with_own(measured(0.8), 0.15))
    (finding,) = drift(evidence(*layers, effect=effect(stored=0.5, recalibrated=0.8)))
    assert sorted(finding.evidence["layers"]) == sorted(named)


@pytest.mark.parametrize(
    ("recalibrated", "error", "advice"),
    [
        (0.9, 0.01, "Recalibrate the statistics, which was measured to help"),
        (0.6, 0.01, "makes the predictions worse"),
        (0.9, None, "Give more samples to see"),
    ],
)
def test_a_metric_is_called_so_and_was_measured(recalibrated, error, advice):
    task = replace(task_effect(0.7, recalibrated, error), score_name="metric", task="metric", has_scale=False)
    (finding,) = drift(evidence(measured(0.5), effect=effect(task=task, predictions_changed=0.5)))
    assert f"The metric is 0.7 as shipped and {recalibrated:.1f} with statistics" in finding.message
    assert advice in finding.fix
    assert "Give labels" not in finding.fix
