"""BN608 (lag) and BN611 (dropout before a norm): what fires them, and what must not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from digit_nets import ARCH, SAMPLES, assert_healthy, codes, conv_net, dense_net, norms, only, train
from hand_built import effect, evidence, layer, measured, task_effect
from torch import nn

import bncheck
from bncheck.core import compare
from bncheck.core.layers import BATCH_NORM
from bncheck.evidence import CloserLook, DropoutGap, Improvement, MeasuredLayer
from bncheck.rules.drift.bn608 import fit_lag
from bncheck.rules.drift.bn608 import judge as lag
from bncheck.rules.drift.bn611 import judge as dropout_before

DRIFT = ["BN603", "BN607", "BN608"]
"""What data show. Where the counter tells the same from the file alone, BN105 stands instead."""

# BN608


def with_averages_begun_anew(net, x, *, updates, momentum):
    """Forwards in train mode over batches of 32, nothing trained."""
    for norm in norms(net):
        norm.reset_running_stats()
        norm.momentum = momentum
    net.train()
    generator = torch.Generator().manual_seed(updates)
    with torch.no_grad():
        for _ in range(updates):
            net(x[torch.randint(0, len(x), (32,), generator=generator)])
    return net.eval()


@pytest.mark.parametrize(
    ("updates", "momentum", "labelled"), [(2, 0.1, True), (10, 0.1, False), (10, 0.1, True), (100, 0.01, False)]
)
def test_averages_on_their_way_tell_how_far_they_have_come(healthy, training, held_out, updates, momentum, labelled):
    with_averages_begun_anew(healthy, training[0], updates=updates, momentum=momentum)
    expected = 1 - (1 - momentum) ** updates
    finding = only(bncheck.inspect(healthy, held_out if labelled else held_out[0], select=DRIFT), "BN608")
    assert (finding.severity, finding.layer) == ("error", None)
    assert finding.evidence["fraction"] == pytest.approx(expected, abs=0.01)
    assert finding.evidence["fraction_by_counter"] == pytest.approx(expected)
    assert finding.evidence["explained"] > 0.99
    assert "as their momentum and number of updates say" in finding.message


def test_a_short_training_with_a_small_momentum(training, held_out):
    torch.manual_seed(0)
    net = conv_net()
    for norm in norms(net):
        norm.momentum = 0.01
    finding = only(bncheck.inspect(train(net, training, epochs=2), held_out, select=DRIFT), "BN608")
    assert finding.evidence["fraction"] == pytest.approx(1 - 0.99**74, abs=0.02)


def test_a_counter_that_tells_it_from_the_file_alone_goes_first(healthy, training, held_out):
    with_averages_begun_anew(healthy, training[0], updates=5, momentum=0.1)
    assert codes(bncheck.inspect(healthy, held_out)) == ["BN105"]


def test_a_counter_that_says_otherwise_is_told(healthy, training, held_out):
    with_averages_begun_anew(healthy, training[0], updates=5, momentum=0.1)
    for norm in norms(healthy):
        norm.num_batches_tracked.fill_(5000)
    assert (
        "although their momentum and number of updates say 100%"
        in only(bncheck.inspect(healthy, held_out), "BN608").message
    )


def test_a_lag_that_is_nearly_made_up_for_is_no_fault(healthy, training, held_out):
    with_averages_begun_anew(healthy, training[0], updates=50, momentum=0.1)
    assert_healthy(bncheck.inspect(healthy, held_out))


def test_statistics_of_an_earlier_epoch_lie_on_no_such_line(held_out):
    report = bncheck.inspect(SAMPLES / "stale_statistics.ckpt", held_out, arch=ARCH)
    assert codes(report) == ["BN603"]


def test_averages_that_never_began_are_bn102(held_out):
    report = bncheck.inspect(SAMPLES / "never_updated.torchscript.pt", held_out)
    assert codes(report) == ["BN102"]


def lagging(fraction, channels=8, seed=0):
    """A layer at `fraction` of the way from (0, 1) to means and variances drawn at random."""
    generator = np.random.default_rng(seed)
    mean, var = generator.normal(0, 3, channels), generator.uniform(0.1, 20, channels)
    stored_mean, stored_var = fraction * mean, (1 - fraction) + fraction * var
    gap = compare(mean, var, stored_mean, stored_var, 1e-5)
    stored = replace(layer(f"bn{seed}"), channels=channels, mean=stored_mean, var=stored_var, weight=None, bias=None)
    return MeasuredLayer(stored, 1, None, mean, var, gap, gap, np.full(channels, 0.01), 1.0, 0.0)


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.7, 0.95])
def test_the_fraction_is_exact_on_the_segment(fraction):
    found = fit_lag([lagging(fraction), lagging(fraction, seed=1)])
    assert found is not None
    assert found.fraction == pytest.approx(fraction)
    assert found.explained == pytest.approx(1.0)


def test_layers_that_have_come_differently_far_have_no_fraction_in_common():
    assert fit_lag([lagging(0.1), lagging(0.9, seed=1)]) is None


def test_a_layer_that_has_arrived_speaks_against_a_lag_of_the_others():
    """As where the input is scaled: the first layer is far off, so far that the others hardly count in the sum."""
    first, second = lagging(0.08), lagging(1.0, seed=1)
    assert fit_lag([first]) is not None
    assert fit_lag([first, second]) is None


def test_a_few_channels_fit_anything():
    assert fit_lag([lagging(0.5, channels=7)]) is None
    assert fit_lag([]) is None


@pytest.mark.parametrize(
    ("fraction", "harmful", "found"), [(0.5, True, 1), (0.5, False, 0), (0.01, True, 0), (0.99, True, 0)]
)
def test_a_lag_counts_where_it_matters(fraction, harmful, found):
    seen = evidence(lagging(fraction), effect=effect(predictions_changed=0.5 if harmful else 0.0))
    assert len(list(lag(seen))) == found


def test_a_lag_whose_cost_too_few_samples_leave_open_is_a_warning():
    """Ten of 50 predictions change: that may be chance, and one fraction that explains every channel is not."""
    few = effect(predictions_changed=0.2, changed_by_noise=0.04, samples=50, predictions=50)
    (finding,) = lag(evidence(lagging(0.75), effect=few))
    assert (finding.severity, finding.cost.harm) == ("warning", "not known")
    assert finding.fix.startswith("Give more samples, and labels")
    assert finding.command == "inspect"
    labelled = effect(stored=0.9, recalibrated=0.88, gain_error=0.03, predictions_changed=0.04)
    assert not list(lag(evidence(lagging(0.75), effect=labelled)))  # recalibrating does not seem to win


@pytest.mark.parametrize(
    ("saved", "advice", "command"),
    [(0.08, "Recalibrate, or run more batches", "repair"), (0.05, "samples would show whether recalib", "inspect")],
    ids=["the loss is sure to fall", "it may be chance"],
)
def test_a_lag_whose_cost_is_open_is_recalibrated_where_the_loss_falls(saved, advice, command):
    task = task_effect(0.757, 0.77, 0.02)
    seen = effect(task=replace(task, loss=Improvement(0.65, 0.65 - saved, saved, 0.03, 700, 300, 1000)))
    (finding,) = lag(evidence(lagging(0.75), effect=seen))
    assert (finding.severity, finding.cost.harm) == ("warning", "not known")
    assert advice in finding.fix
    assert finding.command == command


@pytest.mark.parametrize(
    ("fraction", "recalibrated", "found"),
    [(0.88, 0.79, ["warning"]), (0.88, 0.75, []), (0.93, 0.79, [])],
    ids=["a shown loss", "no loss", "a gap too small to explain it"],
)
def test_a_lag_counts_from_the_nearer_margin(fraction, recalibrated, found):
    """12 % that are lacking leave a gap of 0.14: other drift of that size counts only where more is lost for sure."""
    seen = evidence(lagging(fraction), effect=effect(stored=0.757, recalibrated=recalibrated, gain_error=0.012))
    seen = replace(seen, measured={name: replace(one, lower=one.gap) for name, one in seen.measured.items()})
    assert [finding.severity for finding in lag(seen)] == found


# BN611


def disharmony(rate):
    """Dropout right before each norm."""

    def block(inputs):
        return [nn.Dropout2d(rate), nn.Conv2d(inputs, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]

    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), *block(16), *block(16), *block(16), *head)


@pytest.mark.slow
def test_dropout_before_norms_is_told_from_drift(training, held_out):
    torch.manual_seed(1)
    net = train(disharmony(0.5), training, epochs=8, seed=1)
    for data in (held_out, held_out[0]):
        finding = only(bncheck.inspect(net, data), "BN611")
        assert finding.severity in ("warning", "error")
        on, off = finding.evidence["gaps_dropout_on"], finding.evidence["gaps_dropout_off"]
        assert max(on) < 0.15 < 0.25 < max(off)
        assert "dropout off" in finding.fix


@pytest.mark.slow
@pytest.mark.parametrize("build", [lambda: conv_net(dropout=0.2), lambda: dense_net(dropout=0.3)])
def test_dropout_that_costs_nothing_is_no_fault(training, held_out, build):
    torch.manual_seed(0)
    net = train(build(), training, epochs=6)
    report = bncheck.inspect(net, held_out)
    assert_healthy(report)
    assert "BN611" not in codes(report)


@pytest.mark.slow
def test_dropout_does_not_explain_what_lies_elsewhere(training, held_out):
    torch.manual_seed(0)
    net = train(conv_net(dropout=0.2), training)
    x, y = held_out
    report = bncheck.inspect(net, (1 - x, y))
    assert report.summary.exit_code == 1
    assert "BN611" not in codes(report)


@pytest.mark.parametrize(
    ("off", "on", "found"), [(0.8, 0.1, 1), (0.8, 0.5, 0), (0.8, 0.9, 0)], ids=["explained", "in part", "not at all"]
)
def test_dropout_must_explain_the_gap(off, on, found):
    closer = CloserLook(dropout={"bn": DropoutGap(off, on)})
    seen = evidence(measured(off), effect=effect(predictions_changed=0.5), closer=closer)
    assert len(list(dropout_before(seen))) == found


def test_a_drifted_layer_that_was_not_asked_leaves_it_open():
    layers = measured(0.8, name="a"), measured(0.8, name="b")
    seen = evidence(
        *layers, effect=effect(predictions_changed=0.5), closer=CloserLook(dropout={"a": DropoutGap(0.8, 0.0)})
    )
    assert not list(dropout_before(seen))
    assert layers[0].layer.kind == BATCH_NORM


def test_the_worst_layer_must_be_explained_too():
    gaps = {"a": DropoutGap(0.8, 0.5)} | {name: DropoutGap(0.79, 0.0) for name in "bcde"}
    layers = [measured(0.8, name=name) for name in gaps]
    seen = evidence(*layers, effect=effect(predictions_changed=0.5), closer=CloserLook(dropout=gaps))
    assert not list(dropout_before(seen))
