"""BN604 (unlike calls), BN606 (padding), BN607 (a layer wrong by itself): what fires them, and what must not."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from digit_nets import (
    ARCH,
    SAMPLES,
    assert_healthy,
    codes,
    conv_net,
    dense_net,
    measure_statistics,
    norms,
    only,
    train,
)
from hand_built import effect, evidence, measured, task_effect, with_own
from torch import nn

import bncheck
from bncheck.evidence import CallDistances, CloserLook, FlatShare, Improvement, TrainingEvidence
from bncheck.rules import judge
from bncheck.rules.drift.bn604 import judge as unlike_calls
from bncheck.rules.drift.bn607 import judge as wrong_alone
from bncheck.rules.input.bn606 import judge as padded

# BN607 on networks


def test_the_tampered_sample_is_named_at_its_layer(held_out):
    report = bncheck.inspect(SAMPLES / "tampered_layer.safetensors.index.json", held_out, arch=ARCH)
    finding = only(report, "BN607")
    assert (finding.severity, finding.layer) == ("error", "blocks.1.bn")
    assert finding.evidence["others_up_to"] < 0.1 < 0.5 < finding.evidence["own_gaps"][0]
    assert finding.evidence["inherited_by"] == ["blocks.2.body.0.bn", "blocks.2.body.1.bn"]
    assert finding.evidence["output_change_alone"]["blocks.1.bn"] > 0.3
    verdicts = {layer.name: layer.codes for layer in report.layers}
    assert verdicts["blocks.1.bn"] == ("BN607",)
    assert verdicts["blocks.2.body.1.bn"] == ()


FAULTS = {
    "variance x 4": lambda norm: norm.running_var.mul_(4),
    "means off": lambda norm: norm.running_mean.add_(norm.running_var.sqrt()),
    "channels mixed up": lambda norm: [norm.get_buffer(f"running_{name}").copy_(
        norm.get_buffer(f"running_{name}").flip(0)) for name in ("mean", "var")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("layer", "fault"),
    [
        ("blocks.0.body.0.bn", "variance x 4"),
        ("blocks.0.body.0.bn", "channels mixed up"),
        ("blocks.0.body.1.bn", "means off"),
        ("blocks.0.body.1.bn", "channels mixed up"),
    ],
)
def test_whatever_is_wrong_with_an_inner_layer(healthy, held_out, layer, fault):
    FAULTS[fault](healthy.get_submodule(layer))
    assert only(bncheck.inspect(healthy, held_out), "BN607").layer == layer


def test_a_fault_that_costs_nothing_is_only_mentioned(healthy, held_out):
    healthy.blocks[2].body[1].bn.running_var.mul_(4)
    report = bncheck.inspect(healthy, held_out)
    assert_healthy(report)
    finding = only(report, "BN607")
    assert (finding.severity, finding.cost.harm) == ("info", "excluded")
    few = only(bncheck.inspect(healthy, held_out, limit=100), "BN607")
    assert (few.severity, few.cost.harm) == ("error", "not known")
    assert "The training loss falls from 0.0" in few.message  # which shows it where no decision changes
    assert only(bncheck.inspect(healthy, held_out[0], limit=100), "BN607").severity == "warning"


@pytest.mark.slow
def test_a_layer_fed_by_the_input_needs_training_data_that_disagree_too(healthy, training, held_out):
    healthy.stem.bn.running_mean.add_(healthy.stem.bn.running_var.sqrt())
    assert codes(bncheck.inspect(healthy, held_out)) == ["BN603"]
    finding = only(bncheck.inspect(healthy, held_out, train_data=training), "BN607")
    assert finding.layer == "stem.bn"
    assert "preprocessed as in training" in finding.fix


@pytest.mark.slow
def test_numbers_that_happen_to_fit_give_way_to_training_data_as_far_off(healthy, training, held_out):
    healthy.stem.bn.running_var.mul_(16)
    assert only(bncheck.inspect(healthy, held_out, train_data=training), "BN607").layer == "stem.bn"
    finding = only(bncheck.inspect(healthy, held_out), "BN601")
    assert "the statistics of stem.bn are wrong: train_data would tell" in finding.fix


@pytest.mark.slow
def test_a_shifted_input_is_no_wrong_layer_whoever_says_so(healthy, training, held_out):
    x, y = held_out
    for data in ((1 - x, y), (x + 0.5, y)):
        for train_data in (None, training):
            assert "BN607" not in codes(bncheck.inspect(healthy, data, train_data=train_data))


def test_of_two_layers_the_one_behind_may_be_wrong(training, held_out):
    torch.manual_seed(0)
    net = train(dense_net(), training)
    behind = norms(net)[1]
    behind.running_mean.add_(1.5 * behind.running_var.sqrt() * (-1.0) ** torch.arange(64))
    assert only(bncheck.inspect(net, held_out), "BN607").layer == "6"


@pytest.fixture(scope="module")
def flattening(training):
    """Convolution and norm, then a Linear over all positions and its norm."""
    torch.manual_seed(0)
    images = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2))
    vectors = nn.Sequential(nn.Flatten(), nn.Linear(256, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))
    return train(nn.Sequential(images, vectors), training)


@pytest.mark.slow
@pytest.mark.parametrize(
    "turn",
    [lambda x: x.flip(-2), lambda x: x.flip(-1), lambda x: x.rot90(1, (2, 3))],
    ids=["upside down", "mirrored", "turned"],
)
def test_images_turned_around_are_no_wrong_layer_behind_a_flatten(flattening, training, held_out, turn):
    x, y = held_out
    for data, train_data in (((turn(x), y), None), ((turn(x), y), training), (turn(x), None)):
        assert "BN607" not in codes(bncheck.inspect(flattening, data, train_data=train_data))


def test_behind_a_flatten_training_data_tell_a_wrong_layer(flattening, training, held_out):
    net = copy.deepcopy(flattening)
    norm = norms(net)[1]
    norm.running_mean.add_(2 * norm.running_var.sqrt() * (-1.0) ** torch.arange(64))
    assert codes(bncheck.inspect(net, held_out)) == ["BN603"]
    assert only(bncheck.inspect(net, held_out, train_data=training), "BN607").layer == "1.2"


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_data_of_a_few_classes_are_no_wrong_layer(healthy, held_out, classes):
    """The last layers see their features alone, and their own gaps grow."""
    x, y = (tensor[held_out[1] < classes] for tensor in held_out)
    for data in ((x, y), x):
        assert "BN607" not in codes(bncheck.inspect(healthy, data))


def test_statistics_that_are_stale_everywhere_are_no_wrong_layer(held_out):
    report = bncheck.inspect(SAMPLES / "stale_statistics.ckpt", held_out, arch=ARCH)
    assert codes(report) == ["BN603"]


# BN607 by hand

HARM = effect(stored=0.5, recalibrated=0.9)


def layers_of(*own):
    return [with_own(measured(gap, name=name), gap) for name, gap in zip("abcdefgh", own, strict=False)]


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ((0.02, 0.6, 0.02, 0.05), ["b"]),
        ((0.02, 0.6, 0.25, 0.15), []),
        ((0.02, 0.21, 0.02, 0.05), ["b"]),
        ((0.02, 0.19, 0.02, 0.02), []),
        ((0.6,), []),
        ((0.02, 0.6), ["b"]),
        ((0.14, 0.6), []),
        ((0.02, 0.7, 0.7, 0.02), ["b", "c"]),
        ((0.02, 0.7, 0.7, 0.7), []),
        ((0.02, 0.7, 0.9, 0.02, 0.02, 0.02, 0.02, 0.02), ["b", "c"]),
        ((0.9, 0.7, 0.9, 0.6, 0.5, 0.5, 0.6, 0.5), []),
        ((0.3, 0.3, 0.3, 0.3), []),
    ],
    ids=[
        "one",
        "not far out",
        "one, less far out",
        "too small",
        "no neighbour",
        "one neighbour",
        "one that hardly fits",
        "half of them",
        "most of them",
        "two of eight",
        "all off",
        "all alike",
    ],
)
def test_few_layers_stand_far_out_of_all_others(own, found):
    findings = list(wrong_alone(evidence(*layers_of(*own), effect=HARM)))
    assert sorted(name for finding in findings for name in finding.layers) == found


FALLS = Improvement(0.5, 0.49, 0.01, 0.002, 80, 20, 100)
"""A loss that is sure to fall, though by too little to be a cost by itself."""


def with_loss(samples, error):
    task = task_effect(0.9, 0.9, error)
    return effect(task=replace(task, score=replace(task.score, samples=samples), loss=FALLS), samples=samples)


@pytest.mark.parametrize(
    ("together", "cost", "severity"),
    [
        (None, None, "warning"),
        (None, HARM, "error"),
        (effect(predictions_changed=0.2), effect(), "error"),
        (effect(predictions_changed=0.06, samples=100), None, "warning"),
        (effect(predictions_changed=0.03), None, "warning"),
        (effect(predictions_changed=0.0), effect(), "info"),
        (effect(predictions_changed=0.0, samples=200), None, "warning"),
        (effect(stored=0.9, recalibrated=0.9), effect(), "info"),
        (effect(stored=0.9, recalibrated=0.9, gain_error=0.02), None, "warning"),
        (with_loss(100, 0.02), None, "error"),
        (with_loss(1000, 0.002), effect(), "info"),
        (effect(predictions_changed=0.0, samples=200), effect(), "info"),
    ],
    ids=[
        "not measured",
        "a cost of all layers",
        "predictions change",
        "perhaps by chance",
        "some predictions change",
        "none of many changes",
        "none of few changes",
        "no cost in accuracy",
        "too noisy to tell",
        "the loss falls",
        "the loss falls by nothing that matters",
        "all layers together change nothing",
    ],
)
def test_what_they_cost_decides_how_grave_it_is(together, cost, severity):
    layers, closer = layers_of(0.02, 0.6, 0.02, 0.05), CloserLook(wrong=("b",), together=together)
    (finding,) = wrong_alone(evidence(*layers, effect=cost, closer=closer))
    assert finding.severity == severity


def test_it_takes_confidence_and_an_input_that_fits():
    layers = layers_of(0.02, 0.6, 0.02, 0.05)
    layers[1] = with_own(measured(0.6, lower=0.09, name="b"), 0.6)
    assert not list(wrong_alone(evidence(*layers, effect=HARM)))
    for stem, found in ((0.29, 1), (0.31, 0)):
        layers, closer = layers_of(stem, 0.8, 0.02, 0.05), CloserLook(fed_by_input=frozenset("a"))
        assert len(list(wrong_alone(evidence(*layers, effect=HARM, closer=closer)))) == found


def test_a_layer_between_unlike_calls_is_not_wrong():
    layers = layers_of(0.02, 0.6, 0.02, 0.05)
    layers[1] = replace(layers[1], calls=2, call_gaps=(0.6, 0.6))
    for apart, found in ((0.1, 1), (0.3, 0)):
        closer = CloserLook(calls={"b": CallDistances(apart, apart, None)})
        assert len(list(wrong_alone(evidence(*layers, effect=HARM, closer=closer)))) == found


def test_layers_are_ranked_by_how_far_they_move_the_outputs():
    layers = layers_of(0.02, 0.7, 0.9, 0.02, 0.02, 0.02, 0.02, 0.02)
    moved = {"b": effect(output_change=0.5), "c": effect(output_change=0.1)}
    (finding,) = wrong_alone(evidence(*layers, effect=HARM, closer=CloserLook(alone=moved)))
    assert finding.evidence["layers"] == ["b", "c"]


@pytest.mark.parametrize(("lower", "found"), [(0.5, 1), (0.1, 0)])
def test_training_data_have_the_last_word(lower, found):
    layers = layers_of(0.02, 0.6, 0.02, 0.05)
    on_training = {"b": measured(0.6, lower=lower, name="b")}
    sampling = TrainingEvidence("train", 1000, 32, True, on_training, None, {}, {}, 0.05)
    assert len(list(wrong_alone(evidence(*layers, effect=HARM, training=sampling)))) == found


# BN604


class Siamese(nn.Module):
    """One branch for an image and for its copy, `factor` times as bright."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.branch = conv_net()[:8]
        self.rest = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rest(torch.cat([self.branch(x), self.branch(self.factor * x.flip(3))], 1))


@pytest.mark.slow
def test_a_norm_shared_by_unlike_inputs_is_named_with_what_it_costs(training, held_out):
    torch.manual_seed(0)
    net = train(Siamese(8.0), training, epochs=6)
    for data in (held_out, held_out[0]):
        report = bncheck.inspect(net, data)
        assert set(codes(report)) == {"BN604"}
        finding = report.findings[0]
        assert (finding.severity, finding.layer) == ("error", "branch.1")
        assert finding.evidence["calls"] == 2
        assert finding.evidence["gap_between_calls_lower_bound"] > 0.25
    assert finding.evidence["predictions_changed"] > 0.05


@pytest.mark.slow
def test_a_norm_shared_by_inputs_that_are_nearly_alike(training, held_out):
    torch.manual_seed(0)
    net = train(Siamese(1.2), training, epochs=6)
    for data in (held_out, held_out[0]):
        assert "BN604" not in codes(bncheck.inspect(net, data))


@pytest.mark.parametrize(
    ("lower", "cost", "found"),
    [
        (0.5, effect(predictions_changed=0.3), 1),
        (0.2, effect(predictions_changed=0.3), 0),
        (0.5, effect(predictions_changed=0.01), 0),
        (0.5, None, 0),
        (0.5, effect(predictions_changed=None, output_change=0.4), 1),
        (0.2, effect(stored=0.6, recalibrated=0.78), 1),
        (0.2, effect(stored=0.6, recalibrated=0.61), 0),
        (0.08, effect(stored=0.6, recalibrated=0.78), 0),
    ],
)
def test_calls_that_disagree_count_where_it_matters(lower, cost, found):
    closer = CloserLook(calls={"bn": CallDistances(0.6, lower, cost)})
    assert len(list(unlike_calls(evidence(measured(0.1), closer=closer)))) == found


@pytest.mark.parametrize(
    ("won_by_calls", "won_by_recalibrating", "found"),
    [(0.17, 0.025, ["BN604"]), (0.17, 0.0, ["BN604"]), (0.1, 0.15, ["BN603", "BN604"]), (0.0, 0.1, ["BN603"])],
)
def test_the_drift_of_a_layer_whose_calls_disagree_is_theirs_where_their_own_statistics_win_more(
    won_by_calls, won_by_recalibrating, found
):
    closer = CloserLook(calls={"bn": CallDistances(0.3, 0.26, effect(stored=0.6, recalibrated=0.6 + won_by_calls))})
    recalibrating = effect(stored=0.6, recalibrated=0.6 + won_by_recalibrating, predictions_changed=0.3)
    seen = evidence(measured(1.0), closer=closer, effect=recalibrating)
    assert sorted(finding.code for finding in judge(seen)) == found


class Unrolled(nn.Module):
    """A residual loop whose steps share one convolution and one norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.BatchNorm2d(16))
        self.conv, self.norm, self.head = nn.Conv2d(16, 16, 3, 1, 1), nn.BatchNorm2d(16), nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        for _ in range(3):
            x = x + self.norm(self.conv(x)).relu()
        return self.head(x.mean((2, 3)))


@pytest.mark.slow
def test_the_steps_of_a_loop_that_share_a_norm_are_named(training, held_out):
    """They lie nearer than the usual margin, and what their own statistics win decides."""
    torch.manual_seed(0)
    net = train(Unrolled(), training, epochs=6)
    report = bncheck.inspect(net, held_out)
    finding = only(report, "BN604")
    assert finding.layer == "norm"
    assert finding.evidence["calls"] == 3
    assert finding.evidence["accuracy_gain"] > 0.05
    assert "BN603" not in codes(report)


# BN606


class Sequences(nn.Module):
    """Two convolutions with norms over sequences (N, 4, T)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Conv1d(4, 8, 3, padding=1, bias=False), nn.BatchNorm1d(8), nn.ReLU()),
            *(nn.Conv1d(8, 8, 3, padding=1, bias=False), nn.BatchNorm1d(8), nn.ReLU()),
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.net(x).mean(2))


def sequences(shortest: int, longest: int) -> torch.Tensor:
    """300 sequences of noise, padded with zeros to 64 steps."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((300, 4, 64), generator=generator)
    lengths = torch.randint(shortest, longest + 1, (300, 1, 1), generator=generator)
    return x * (torch.arange(64) < lengths)


@pytest.mark.parametrize(("lengths", "found"), [((4, 20), ["BN606"]), ((40, 64), []), ((64, 64), [])])
def test_padding_that_outweighs_the_sequences_is_mentioned(lengths, found):
    torch.manual_seed(0)
    x = sequences(*lengths)
    net = measure_statistics(Sequences(), x)
    report = bncheck.inspect(net, x)
    assert codes(report) == found
    assert_healthy(report)
    if found:
        assert only(report, "BN606").evidence["layers"] == ["net.1", "net.4"]


@pytest.mark.parametrize(
    ("share", "lopsided", "found"), [(0.6, 0.9, 1), (0.5, 0.9, 0), (0.9, 0.3, 0)], ids=["padding", "little", "around"]
)
def test_a_background_on_all_sides_is_no_padding(share, lopsided, found):
    closer = CloserLook(flat={"bn": FlatShare(share, lopsided)})
    assert len(list(padded(evidence(measured(0.1), closer=closer)))) == found


def test_digits_have_a_background_and_no_padding(healthy, held_out):
    assert norms(healthy)
    assert codes(bncheck.inspect(healthy, held_out)) == []


def test_what_was_measured_to_be_worse_is_neither_an_error_by_its_loss_nor_advised():
    task = task_effect(0.9, 0.87, 0.005)
    worse = effect(task=replace(task, score=replace(task.score, samples=250), loss=FALLS), samples=250)
    layers, closer = layers_of(0.02, 0.6, 0.02, 0.05), CloserLook(wrong=("b",), together=worse)
    (finding,) = wrong_alone(evidence(*layers, effect=None, closer=closer))
    assert finding.severity == "warning"
    assert "recalibrate" not in finding.fix
    assert "cannot be seen" not in finding.message


@pytest.mark.parametrize(
    ("moved", "is_named"),
    [
        (effect(predictions_changed=0.5), True),
        (effect(predictions_changed=0.1, samples=50, predictions=50), False),  # may be chance
        (effect(), False),  # nothing is to be won
        (effect(stored=0.5, recalibrated=0.9), True),
        (effect(stored=0.9, recalibrated=0.9, gain_error=0.05), False),
    ],
)
def test_recalibrating_the_layer_is_named_only_where_that_was_measured_to_help(moved, is_named):
    layers = (with_own(measured(1.0, name="wrong"), 1.0), *(with_own(measured(0.05, name=f"{n}"), 0.05) for n in "abc"))
    (finding,) = wrong_alone(evidence(*layers, effect=moved))
    assert ("or recalibrate it" in finding.fix) is is_named
