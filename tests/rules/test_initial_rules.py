"""BN103 (warm-up forwards), BN104 (contradicting counter), BN105 (not burnt in): what fires them and what must not."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from digit_nets import assert_healthy, codes, conv_net, dense_net, norms, only, train
from hand_built import effect, evidence, layer, measured
from torch import nn

import bncheck
from bncheck.evidence import Evidence
from bncheck.rules import judge


def judged(*layers):
    return [(finding.code, finding.severity) for finding in judge(Evidence(layers), {"BN103", "BN104", "BN105"})]


@pytest.fixture
def save(tmp_path):
    def write(net):
        torch.save(net.state_dict(), tmp_path / "weights.pt")
        return tmp_path / "weights.pt"

    return write


# BN103


def after_warm_up(trained, forwards, momentum=0.1):
    """Trained weights over statistics that only forwards of zeros updated."""
    net = copy.deepcopy(trained)
    weights = {name: value.clone() for name, value in net.named_parameters()}
    for norm in norms(net):
        norm.reset_parameters()
        norm.momentum = momentum
    with torch.no_grad():
        for _ in range(forwards):
            net.train()(torch.zeros(2, 1, 8, 8))
    net.load_state_dict(weights, strict=False)
    return net.eval()


@pytest.mark.parametrize(("forwards", "momentum"), [(1, 0.1), (3, 0.1), (1, 0.03), (40, 0.01)])
def test_forwards_of_zeros_are_counted(healthy, save, forwards, momentum):
    net = after_warm_up(healthy, forwards, momentum)
    finding = only(bncheck.inspect(net), "BN103")
    assert (finding.severity, finding.layer, len(finding.evidence["layers"])) == ("warning", None, 6)
    assert finding.evidence["forwards"] == forwards
    assert finding.evidence["momentum"] == pytest.approx(momentum)
    assert finding.evidence["variance"] == pytest.approx((1 - momentum) ** forwards)
    alone = only(bncheck.inspect(save(net)), "BN103")
    assert (alone.evidence["forwards"], alone.evidence["momentum"]) == (forwards, pytest.approx(momentum))


def test_the_momentum_may_have_been_set_after_the_warm_up(healthy):
    net = after_warm_up(healthy, 1)
    for norm in norms(net):
        norm.momentum = 0.03
    assert only(bncheck.inspect(net), "BN103").evidence["momentum"] == 0.1


@pytest.mark.slow
def test_with_data_it_replaces_the_drift(healthy, held_out):
    net = after_warm_up(healthy, 2)
    report = bncheck.inspect(net, held_out)
    assert only(report, "BN103").severity == "error"
    assert report.summary.exit_code == 1


def test_one_layer_is_named(healthy):
    norm = healthy.blocks[1].bn
    norm.running_mean.zero_()
    norm.running_var.fill_(0.81)
    assert only(bncheck.inspect(healthy), "BN103").layer == "blocks.1.bn"


def test_a_new_network_that_only_saw_zeros_has_nothing_to_lose(save):
    net = conv_net().train()
    net(torch.zeros(2, 1, 8, 8))
    assert {float(norm.running_var[0]) for norm in norms(net)} == {float(np.float32(0.9))}
    assert codes(bncheck.inspect(net)) == []
    assert codes(bncheck.inspect(save(net))) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": np.array([0.0, 1e-30]), "var": np.full(2, 0.9)},
        {"mean": np.zeros(2), "var": np.array([0.9, 0.90001])},
        {"mean": np.zeros(2), "var": np.full(2, 0.87)},
        {"mean": np.zeros(2), "var": np.full(2, 0.9), "trainable_class": False},
        {"mean": np.zeros(2), "var": np.full(2, 0.999), "trainable_class": None, "updates": None, "eps": None},
        {"mean": np.zeros(2), "var": np.full(2, 1 - 1e-3), "eps": 1e-3},
        {"mean": np.zeros(2), "var": np.full(2, 1 - 1e-3), "eps": None, "momentum": None, "updates": 0},
        {"mean": np.zeros(2), "var": np.full(2, 1.1)},
        {"mean": np.zeros(2), "var": np.full(2, 0.9**101)},
        {"mean": np.zeros(2), "var": np.zeros(2)},
        {"mean": np.zeros(2), "var": np.full(2, 0.9), "bias": np.full(2, 0.1)},
    ],
)
def test_what_a_warm_up_does_not_leave(changes):
    assert judged(layer(**changes)) == []


def test_what_a_warm_up_leaves_by_hand():
    assert judged(layer(mean=np.zeros(2), var=np.full(2, 0.9))) == [("BN103", "warning")]
    unknown = {"momentum": None, "eps": None, "trainable_class": None}
    assert judged(layer(mean=np.zeros(2), var=np.full(2, 0.97), updates=1, **unknown)) == [("BN103", "warning")]
    assert judged(layer(mean=np.zeros(2), var=np.full(2, 0.9712), updates=1, **unknown)) == [("BN105", "warning")]


@pytest.mark.parametrize(("recalibrated", "severity"), [(0.95, "warning"), (0.80, "info")])
def test_recalibrating_is_advised_where_it_helps(recalibrated, severity):
    """Weights that were trained around such statistics, in eval mode, need them."""
    near_initial = {"mean": np.zeros(2), "var": np.full(2, 0.9)}
    stored = dataclasses.replace(measured(0.5), layer=layer(**near_initial))
    seen = evidence(stored, effect=effect(stored=0.90, recalibrated=recalibrated))
    (finding,) = judge(seen, {"BN103"})
    assert finding.severity == severity
    assert ("Leave the statistics as they are" in finding.fix) == (severity == "info")
    assert ("Recalibrate" in finding.fix) == (severity == "warning")


# BN104


@pytest.mark.parametrize("steps", [0, 1, 10])
def test_a_counter_that_was_reset_is_remarked_on(healthy, training, held_out, steps):
    for norm in norms(healthy):
        norm.num_batches_tracked.zero_()
    train(healthy, training, rate=0.005, steps=steps) if steps else None
    for data in (None, held_out):
        report = bncheck.inspect(healthy, data)
        assert_healthy(report)
        finding = only(report, "BN104")
        assert (finding.severity, finding.layer, finding.evidence["update_counts"]) == ("info", None, [steps])
        assert len(finding.evidence["layers"]) == 6


def test_a_state_dict_tells_a_counter_of_0_and_no_other(healthy, save):
    for norm in norms(healthy):
        norm.num_batches_tracked.zero_()
    assert codes(bncheck.inspect(save(healthy))) == ["BN104"]
    for norm in norms(healthy):
        norm.num_batches_tracked.fill_(10)
    assert codes(bncheck.inspect(save(healthy))) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"updates": None},
        {"updates": 0, "momentum": 0.0},
        {"updates": 0, "trainable_class": False},
        {"updates": 5, "momentum": 0.9},
        {"updates": 5, "momentum": None},
        {"updates": 29, "var": np.full(2, 0.01)},
        {"updates": 0, "mean": np.zeros(2), "var": np.full(2, 1 - 1e-5)},
        {"updates": 0, "mean": np.zeros(2), "var": np.ones(2), "bias": np.zeros(2)},
    ],
)
def test_counters_that_contradict_nothing(changes):
    assert judged(layer(**({"mean": np.full(2, 0.3), "var": np.full(2, 0.2)} | changes))) == []


def test_one_layer_shows_it_for_all_with_the_same_counter():
    layers = (layer("a", updates=10, var=np.full(2, 0.4)), layer("b", updates=10, var=np.full(2, 0.01)))
    assert judged(*layers) == [("BN104", "info")]
    assert judged(*layers[:1]) == [("BN105", "warning")]


# BN105


@pytest.mark.parametrize("build", [conv_net, dense_net])
@pytest.mark.parametrize("steps", [1, 10, 20])
def test_after_a_few_updates_the_initial_values_are_still_there(build, steps, training, held_out, save):
    torch.manual_seed(0)
    net = train(build(), training, steps=steps)
    finding = only(bncheck.inspect(net), "BN105")
    assert (finding.severity, finding.layer) == ("warning", None)
    assert (finding.evidence["updates"], finding.evidence["momentum_assumed"]) == (steps, False)
    assert finding.evidence["initial_share"] == pytest.approx(0.9**steps)
    assert f"{0.9**steps:.0%} of every value is still the initial one" in finding.message
    assert "44 updates" in finding.fix
    alone = only(bncheck.inspect(save(net)), "BN105")
    assert alone.evidence["momentum_assumed"] is True
    assert "0.1 (assumed)" in alone.message
    drift = bncheck.inspect(net, held_out, select=["BN603"]).findings[0]
    with_data = bncheck.inspect(net, held_out).findings[0]
    unless_shown = {"large": "error", "shown": "warning", "not known": "warning", "excluded": "info"}
    assert (with_data.code, with_data.severity) == ("BN105", unless_shown[drift.cost.harm])


def test_data_show_it_where_the_variances_alone_do_not(training, held_out):
    torch.manual_seed(0)
    net = train(conv_net(), training, steps=28)
    assert codes(bncheck.inspect(net)) == []
    assert only(bncheck.inspect(net, held_out), "BN105").severity in ("warning", "error")


@pytest.mark.parametrize(("lower", "found"), [(0.05, []), (0.5, ["BN105"])])
def test_data_that_fit_leave_the_counter_alone(lower, found):
    """The stored values are the data's with what the counter says is left, but no gap has shown with confidence."""
    seen, share = measured(0.2, lower), 0.9**28
    short = layer(updates=28, mean=(1 - share) * seen.mean, var=share + (1 - share) * seen.var)
    gathered = evidence(dataclasses.replace(seen, layer=short))
    assert [finding.code for finding in judge(gathered, {"BN105"})] == found


def test_forty_updates_are_enough(training, held_out):
    torch.manual_seed(0)
    net = train(dense_net(), training, steps=40)
    for data in (None, held_out):
        assert codes(bncheck.inspect(net, data)) == []


@pytest.fixture(scope="module")
def wide(training):
    """A healthy net fed 0..16, with no variance below 0.16."""
    torch.manual_seed(0)
    net = train(dense_net(), (16 * training[0], training[1]))
    assert min(float(norm.running_var.min()) for norm in norms(net)) > 0.9**20
    return net


@pytest.mark.slow
@pytest.mark.parametrize("steps", [20, 28])
def test_a_counter_that_was_reset_over_large_variances(wide, training, held_out, steps):
    """No value contradicts the counter, and still the statistics are good; on other data they drift for that reason."""
    net = copy.deepcopy(wide)
    for norm in norms(net):
        norm.num_batches_tracked.zero_()
    x, y = held_out
    train(net, (16 * training[0], training[1]), rate=0.002, steps=steps)
    assert codes(bncheck.inspect(net)) == []
    assert codes(bncheck.inspect(net, (16 * x, y))) == []
    for other in (64 * x, 4 * x, 16 - 16 * x):
        found = codes(bncheck.inspect(net, (other, y)))
        assert found
        assert not {"BN104", "BN105"} & set(found)


def test_a_forward_in_training_mode_before_any_training(held_out, save):
    net = conv_net().train()
    net(held_out[0])
    assert codes(bncheck.inspect(net)) == []
    assert codes(bncheck.inspect(save(net))) == []


def test_norms_without_gamma_and_beta_cannot_show_that_they_were_trained(training):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32, affine=False), nn.Linear(32, 10))
    assert only(bncheck.inspect(train(net, training, steps=5)), "BN105").layer == "2"


@pytest.mark.parametrize(
    "changes",
    [
        {"updates": 29},
        {"updates": 5, "momentum": 0.9},
        {"updates": 5, "momentum": 0.0},
        {"updates": None},
        {"updates": 5, "trainable_class": False},
        {"updates": 5, "bias": np.full(2, 0.1)},
        {"updates": 5, "var": np.array([0.6, np.nan])},
        {"updates": 5, "var": np.full(2, 3.0)},
        {"updates": 200, "momentum": None, "var": np.full(2, 0.9)},
    ],
)
def test_what_does_not_show_a_short_training(changes):
    assert judged(layer(**({"mean": np.full(2, 0.3), "var": np.full(2, 0.7)} | changes))) == []


def test_a_short_training_by_hand():
    short = {"mean": np.full(2, 0.3), "var": np.full(2, 0.7), "updates": 5}
    assert judged(layer(**short)) == [("BN105", "warning")]
    assert judged(layer("backbone"), layer("head", **short)) == [("BN105", "warning")]


@pytest.mark.parametrize(("near", "found"), [(3, []), (5, [("BN105", "warning")])])
def test_a_crowd_of_variances_just_above_the_share_shows_it(near, found):
    """Of 12 channels; over good statistics under a counter that was reset up to 0.23 lay there."""
    var = np.where(np.arange(12) < near, 1.5 * 0.9**5, 5.0)
    short = {"mean": np.full(12, 0.3), "var": var, "bias": np.linspace(-1, 1, 12), "weight": np.ones(12)}
    assert judged(layer(updates=5, **short)) == found
