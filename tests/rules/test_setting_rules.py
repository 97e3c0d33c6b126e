"""BN301 (momentum), BN302 (eps), BN303 (no statistics by configuration): what fires them, and what must not."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from digit_nets import assert_healthy, build_digits_net, codes, conv_net, measure_statistics, norms, only, train
from hand_built import layer
from torch import nn

import bncheck
from bncheck.evidence import Evidence
from bncheck.evidence.probed import Condition, OtherEps, Paired
from bncheck.rules import judge


def judged(*layers, **evidence):
    found = judge(Evidence(layers, **evidence), {"BN301", "BN302", "BN303"})
    return [(finding.code, finding.severity) for finding in found]


def scripted(net, folder):
    torch.jit.script(net).save(str(folder / "net.pt"))
    return folder / "net.pt"


def exported(net, folder):
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(net, (torch.rand(2, 1, 8, 8),), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / "net.pt2")
    return folder / "net.pt2"


def decomposed(net, folder):
    program = torch.export.export(net, (torch.rand(4, 1, 8, 8),)).run_decompositions()
    torch.export.save(program, folder / "net.pt2")
    return folder / "net.pt2"


def onnx(net, folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keep = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
        torch.onnx.export(net, (torch.rand(4, 1, 8, 8),), folder / "net.onnx", dynamo=False, **keep)
    return folder / "net.onnx"


# BN301


@pytest.mark.parametrize(("momentum", "meant"), [(0.9, "0.1 for 0.9"), (0.99, "0.01 for 0.99"), (0.0, "0.1 for 0")])
def test_another_conventions_momentum_is_a_remark(healthy, held_out, tmp_path, momentum, meant):
    fresh = conv_net().eval()
    for norm in norms(healthy) + norms(fresh):
        norm.momentum = momentum
    for model, data in ((healthy, None), (healthy, held_out), (scripted(fresh, tmp_path), None)):
        report = bncheck.inspect(model, data)
        assert_healthy(report)
        finding = only(report, "BN301")
        assert (finding.severity, finding.layer, finding.evidence["momenta"]) == ("info", None, [momentum])
        assert meant in finding.fix


def test_before_further_training_it_is_a_warning():
    assert judged(layer(momentum=0.99), training_planned=True) == [("BN301", "warning")]
    assert judged(layer(momentum=0.1), training_planned=True) == []


def test_momenta_of_both_kinds_are_one_finding():
    (finding,) = judge(Evidence((layer("a", momentum=0.0), layer("b", momentum=0.9), layer("c"))), {"BN301"})
    assert finding.evidence["layers"] == ["a", "b"]
    assert "Momentum 0 in a:" in finding.message
    assert "Momentum 0.9 in b," in finding.message


@pytest.mark.parametrize(
    "changes",
    [
        {"momentum": 0.5},
        {"momentum": None},
        {"momentum": 0.99, "trainable_class": None},
        {"momentum": 0.99, "trainable_class": False},
        {"momentum": 0.0, "mean": np.zeros(2), "var": np.full(2, 1 - 1e-5)},
    ],
)
def test_momenta_that_are_likely_or_never_read(changes):
    assert judged(layer(**changes)) == []


@pytest.mark.parametrize("save", [exported, onnx])
def test_an_export_never_reads_its_momentum(healthy, tmp_path, save):
    for norm in norms(healthy):
        norm.momentum = 0.9
    assert codes(bncheck.inspect(save(healthy, tmp_path))) == []


# BN302


def test_an_eps_above_the_variances_is_a_remark_on_the_file(healthy):
    healthy.stem.bn.eps = 0.1
    finding = only(bncheck.inspect(healthy), "BN302")
    assert (finding.severity, finding.layer) == ("info", "stem.bn")
    assert finding.evidence["eps"] == {"stem.bn": 0.1}
    assert finding.evidence["common_eps"] == 1e-5
    assert finding.evidence["median_variance"]["stem.bn"] < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("place", "eps"), [(0, 0.1), (1, 1.0), (2, 1.0)])
def test_a_wrong_eps_is_the_cause_of_the_drift_behind_it(healthy, all_held_out, place, eps):
    norms(healthy)[place].eps = eps
    drift = only(bncheck.inspect(healthy, all_held_out, select=["BN603"]), "BN603")
    finding = only(bncheck.inspect(healthy, all_held_out), "BN302")
    assert finding.severity in ("warning", "error")
    assert finding.layer not in drift.layers
    assert finding.evidence["explains_the_drift"]


@pytest.mark.parametrize("labelled", [True, False])
def test_a_wrong_eps_in_all_layers(healthy, held_out, labelled):
    for norm in norms(healthy):
        norm.eps = 0.3
    finding = only(bncheck.inspect(healthy, held_out if labelled else held_out[0]), "BN302")
    assert finding.severity == "error"
    assert "With 1e-05 in its place, the gap over all layers falls from" in finding.message
    assert finding.fix.startswith("Build these layers with eps=1e-05")
    assert finding.evidence["model_gap_after"] < 0.1 < finding.evidence["model_gap_before"]
    if labelled:
        assert finding.evidence["accuracy_before"] < 0.95 < finding.evidence["accuracy_after"]


@pytest.mark.slow
def test_an_eps_too_small_is_found_by_the_usual_one(training, held_out):
    """Trained as in Keras; the variances are as small as its eps, which the conversion lost."""
    torch.manual_seed(0)
    net = conv_net()
    for norm in norms(net):
        norm.eps = 1e-3
    (x, y), (x_held, y_held) = training, held_out
    train(net, (0.02 * x, y))
    faint = 0.02 * x_held, y_held
    assert_healthy(bncheck.inspect(net, faint))
    for norm in norms(net):
        norm.eps = 1e-5
    finding = only(bncheck.inspect(net, faint), "BN302")
    assert (finding.severity, finding.evidence["eps_tried"]) == ("error", 1e-3)
    assert finding.fix.startswith("Build these layers with eps=0.001")


@pytest.mark.parametrize(
    ("after", "gain", "explains"), [(0.09, 0.1, True), (0.11, 0.1, False), (0.09, 0.02, False), (0.09, None, True)]
)
def test_gaps_and_predictions_must_both_speak_for_another_eps(after, gain, explains):
    error = None if gain is None else 0.01
    conditions = Condition(0.5, 0.5, None, 1.0), Condition(after, after, None, 1.0)
    assert OtherEps(1e-5, ("bn",), Paired(("bn",), 256, *conditions, gain, error, 0.5, 0.5)).explains is explains


@pytest.mark.slow
def test_a_model_trained_with_that_eps_is_right(training, held_out):
    torch.manual_seed(0)
    net = conv_net()
    for norm in norms(net):
        norm.eps = 1.0
    train(net, training)
    for data in (None, held_out):
        report = bncheck.inspect(net, data)
        assert_healthy(report)
        assert only(report, "BN302").severity == "info"


@pytest.mark.slow
def test_beside_a_drift_with_another_cause_it_is_a_remark(training, held_out):
    """Trained with its eps; then the input is scaled, or a layer further on is wrong."""
    torch.manual_seed(0)
    net = conv_net()
    norms(net)[0].eps = 1.0
    train(net, training)
    x, y = held_out
    assert [f.severity for f in bncheck.inspect(net, (x / 8, y)).findings if f.code == "BN302"] == ["info"]
    wrong = copy.deepcopy(net)
    norms(wrong)[1].running_var /= 16
    findings = {finding.code: finding.severity for finding in bncheck.inspect(wrong, held_out).findings}
    assert findings["BN302"] == "info"
    assert {"BN603", "BN607"} & findings.keys()


@pytest.mark.slow
@pytest.mark.parametrize(("of_their_own", "wrong", "factor"), [((0,), 4, 16), ((0, 1), 1, 1.5)])
def test_another_layers_wrong_statistics_are_not_laid_to_eps(training, held_out, of_their_own, wrong, factor):
    """Too far behind such a layer, or a layer of the kind itself."""
    torch.manual_seed(0)
    net = build_digits_net()
    for place in of_their_own:
        norms(net)[place].eps = 1.0
    train(net, training, epochs=6)
    norms(net)[wrong].running_var *= factor
    norms(net)[wrong].running_mean += 1.0
    findings = {finding.code: finding.severity for finding in bncheck.inspect(net, held_out).findings}
    assert findings["BN302"] == "info"
    assert {"BN603", "BN607"} & findings.keys()


def test_an_eps_unlike_the_others_counts_where_it_shows():
    small = {"var": np.full(2, 2e-3)}
    (finding,) = judge(Evidence((layer("a"), layer("b"), layer("odd", eps=1e-3, **small))), {"BN302"})
    assert finding.layer == "odd"
    assert "eps is 0.001 in odd and 1e-05 elsewhere" in finding.message
    assert judged(layer("a"), layer("b"), layer("odd", eps=1e-3)) == []
    assert judged(layer("a"), layer("b"), layer("odd", eps=5e-5, var=np.full(2, 6e-5))) == []
    assert judged(layer("a"), layer("odd", eps=1e-3, **small)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"eps": None, "var": np.full(2, 1e-8)},
        {"var": np.zeros(2)},
        {"var": np.array([1e-12, 4.0, 4.0]), "mean": np.zeros(3)},
        {"eps": 0.0, "trainable_class": False},
        {"eps": 1e-3},
    ],
)
def test_an_eps_that_the_variances_outweigh(changes):
    assert judged(layer(**changes)) == []


# BN303


@pytest.fixture
def without_statistics():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)),
    ).eval()


@pytest.mark.parametrize("save", [None, scripted, exported, decomposed])
def test_batch_norm_without_statistics_depends_on_the_batch(without_statistics, held_out, tmp_path, save):
    model = without_statistics if save is None else save(without_statistics, tmp_path)
    for data in (None, held_out):
        report = bncheck.inspect(model, data)
        finding = only(report, "BN303")
        assert (finding.severity, finding.layer) == ("warning", "1")
        assert [(one.status, one.reason) for one in report.layers] == [("skipped", "no-running-statistics")]
        assert (report.summary.verdict, report.summary.exit_code) == ("findings", 1)


def test_what_it_says_is_so(without_statistics, held_out):
    x = held_out[0]
    assert not torch.allclose(without_statistics(x[:8])[:1], without_statistics(x[8:9].repeat(8, 1, 1, 1))[:1])
    alone, beside = without_statistics(x[:1]), without_statistics(x[:8])[:1]
    assert (alone - beside).abs().max() > 1e-3


def test_statistics_that_were_removed(healthy):
    for norm in norms(healthy):
        norm.running_mean, norm.running_var = None, None
    finding = only(bncheck.inspect(healthy), "BN303")
    assert (finding.layer, finding.evidence["count"]) == (None, 6)


class Standardized(nn.Conv2d):
    """Normalizes its kernel through the batch norm operator."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = nn.functional.batch_norm(self.weight.reshape(1, self.out_channels, -1), None, None, training=True)
        return nn.functional.conv2d(x, weight.reshape_as(self.weight))


@pytest.mark.parametrize("save", [None, scripted, exported, decomposed, onnx])
def test_what_needs_no_statistics_or_has_them(tmp_path, save):
    normalizing = nn.InstanceNorm2d(4), nn.GroupNorm(2, 4), nn.BatchNorm2d(4)
    net = nn.Sequential(Standardized(1, 4, 3), *normalizing, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    model = net if save is None else save(net, tmp_path)
    assert "BN303" not in codes(bncheck.inspect(model))


def test_a_layer_that_lost_its_statistics_is_another_rule(healthy, training, tmp_path):
    measure_statistics(healthy, training[0])
    state = {name: value for name, value in healthy.state_dict().items() if "running" not in name}
    torch.save(state, tmp_path / "weights.pt")
    assert codes(bncheck.inspect(tmp_path / "weights.pt", arch=lambda: healthy)) == ["BN101"]
