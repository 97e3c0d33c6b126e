"""Files without update counters, and files of which one half was copied: what their stored values alone tell."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from digit_nets import ARCH, SAMPLES, codes, conv_net, norms, only
from hand_built import layer
from torch import nn

import bncheck
from bncheck.core.layers import BATCH_NORM, INSTANCE_NORM, OTHER, NormLayer
from bncheck.evidence import Evidence
from bncheck.rules import judge
from bncheck.vocabulary import Severity

GROUP_1 = {"BN101", "BN102", "BN103", "BN104", "BN105", "BN107"}


@pytest.fixture
def save(tmp_path):
    """Writes a net's tensors, without the counters as files older than torch 0.4.1 are, and gives the path."""

    def write(net, *, counters=False):
        state = {name: tensor for name, tensor in net.state_dict().items() if counters or "tracked" not in name}
        torch.save(state, tmp_path / "weights.pt")
        return tmp_path / "weights.pt"

    return write


def set_statistics(net, mean, var, chosen=slice(None)):
    for norm in norms(net)[chosen]:
        norm.running_mean.copy_(torch.as_tensor(mean).expand(norm.num_features))
        norm.running_var.copy_(torch.as_tensor(var).expand(norm.num_features))
    return net


def unclassed(name="bn", **changes):
    return layer(name, **({"trainable_class": None, "updates": None, "momentum": None, "eps": None} | changes))


def judged(*layers):
    return [(finding.code, finding.severity) for finding in judge(Evidence(layers), GROUP_1)]


INITIAL = {"mean": np.zeros(2), "var": np.ones(2)}


# All initial, and nothing tells why


def test_identity_statistics_without_counters_are_never_an_all_clear(healthy, save):
    report = bncheck.inspect(save(set_statistics(healthy, 0.0, 1.0)))
    finding = only(report, "BN102")
    assert (finding.severity, len(finding.layers)) == ("info", 6)
    assert "either never updated, or folded" in finding.message
    assert finding.fix.startswith('arch="FILE.py:CALLABLE" tells')
    assert (report.summary.verdict, report.summary.exit_code) == ("not-checked", 4)
    assert {layer.reason for layer in report.layers} == {"never-updated-or-folded"}
    again = bncheck.inspect(save(healthy), fail_on="never")
    assert again.summary.exit_code == 4


def test_the_architecture_tells(healthy, save):
    report = bncheck.inspect(save(set_statistics(healthy, 0.0, 1.0)), arch=ARCH)
    assert (only(report, "BN102").severity, report.summary.exit_code) == ("error", 1)


@pytest.mark.parametrize("eps", [1e-5, 1e-3])
def test_a_file_of_folded_layers_alone_was_not_checked(healthy, save, eps):
    report = bncheck.inspect(save(set_statistics(healthy, 0.0, 1.0 - eps)))
    assert (codes(report), report.summary.verdict, report.summary.exit_code) == ([], "not-checked", 4)
    assert {layer.reason for layer in report.layers} == {"folded"}


def test_an_untrained_network_without_counters_has_nothing_to_lose(save):
    torch.manual_seed(0)
    report = bncheck.inspect(save(conv_net()))
    assert (codes(report), report.summary.exit_code) == ([], 0)


def test_some_initial_beside_others_that_moved_were_never_updated(healthy, save):
    report = bncheck.inspect(save(set_statistics(healthy, 0.0, 1.0, slice(2, 4))))
    findings = [finding for finding in report.findings if finding.code == "BN102"]
    assert [finding.severity for finding in findings] == ["error", "error"]
    assert [finding.layer for finding in findings] == [name for name, m in named_norms(healthy)][2:4]
    assert report.summary.exit_code == 1


def named_norms(net):
    return [(name, module) for name, module in net.named_modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([unclassed("b", mean=np.full(2, 0.3))], [("BN102", "error")]),
        ([unclassed("b", mean=np.full(2, 0.3), updates=500)], []),
        ([unclassed("b", **INITIAL, bias=np.zeros(2))], [("BN102", "info")]),
        ([unclassed("b", mean=np.zeros(2), var=np.full(2, 1 - 1e-5))], [("BN102", "info")]),
        ([unclassed("b", **INITIAL, trainable_class=False)], [("BN102", "info")]),
        ([unclassed("b", mean=None, var=None)], [("BN102", "info")]),
    ],
    ids=["moved", "counted: a frozen backbone", "untrained", "folded", "frozen", "no statistics"],
)
def test_what_tells_never_updated_from_folded(others, expected):
    assert judged(unclassed("a", **INITIAL), *others) == expected


@pytest.mark.parametrize(
    "quiet",
    [
        unclassed(**INITIAL, bias=np.zeros(2)),
        unclassed(**INITIAL, trainable_class=False),
        NormLayer("observations", OTHER, 2, np.zeros(2), np.ones(2), weight=np.array([1.0, 2.0])),
    ],
)
def test_identities_that_tell_nothing_are_quiet(quiet):
    assert judged(quiet, layer("b")) == judged(quiet) == []


# Dummy forwards


@pytest.mark.parametrize("forwards", [1, 3, 10])
def test_one_constant_that_only_forwards_of_zeros_leave(healthy, save, forwards):
    finding = only(bncheck.inspect(save(set_statistics(healthy, 0.0, np.float32(0.9) ** forwards))), "BN103")
    assert (finding.severity, finding.evidence["forwards"], len(finding.layers)) == ("warning", forwards, 6)


def test_other_constants_are_left_to_whoever_wrote_them():
    assert judged(unclassed(mean=np.zeros(2), var=np.full(2, 0.75))) == []
    assert judged(unclassed(mean=np.zeros(2), var=np.full(2, 0.999))) == []
    assert judged(unclassed(mean=np.zeros(2), var=np.full(2, 0.729), trainable_class=False)) == []


# Counters that no momentum explains


def test_a_counter_that_contradicts_at_any_momentum(healthy, save):
    for norm in norms(healthy):
        norm.num_batches_tracked.fill_(2)
    assert min(float(norm.running_var.min()) for norm in norms(healthy)) < 0.2
    finding = only(bncheck.inspect(save(healthy, counters=True)), "BN104")
    assert (finding.severity, finding.evidence["update_counts"]) == ("info", [2])


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"updates": 5, "var": np.full(2, 0.5**5 / 2)}, ["BN104"]),
        ({"updates": 5, "var": np.full(2, 0.5**5 * 2)}, []),
        ({"updates": 5, "var": np.full(2, 0.5**5 / 2), "trainable_class": True}, []),
    ],
    ids=["below any", "a large momentum may leave it", "a cumulative average"],
)
def test_how_low_a_variance_any_momentum_leaves(changes, found):
    assert [code for code, _ in judged(unclassed(mean=np.full(2, 0.3), **changes))] == found


def test_instance_norms_never_count(training):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4, affine=True, track_running_stats=True))
    for start in range(0, 128, 32):
        net.train()(training[0][start : start + 32])
    assert int(net[1].num_batches_tracked) == 0
    with torch.no_grad():
        net[1].bias.copy_(torch.linspace(-1, 1, 4))
    assert codes(bncheck.inspect(net)) == []


def test_tensors_alone_may_be_of_instance_norms(save):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4, affine=True, track_running_stats=True))
    with torch.no_grad():
        net[1].running_mean.fill_(0.5)
        net[1].running_var.fill_(0.5)
        net[1].bias.copy_(torch.linspace(-1, 1, 4))
    assert "or these are InstanceNorm layers" in only(bncheck.inspect(save(net, counters=True)), "BN104").message


# One of the two


@pytest.mark.parametrize("counters", [True, False])
@pytest.mark.parametrize("half", ["means", "variances"])
def test_a_conversion_that_copied_one_of_the_two(healthy, save, held_out, half, counters):
    for norm in norms(healthy):
        norm.running_mean.zero_() if half == "means" else norm.running_var.fill_(1.0)
        norm.num_batches_tracked.zero_()
    path = save(healthy, counters=counters)
    report = bncheck.inspect(path)
    finding = only(report, "BN107")
    assert (finding.severity, len(finding.layers), finding.evidence["initial_half"]) == ("warning", 6, half)
    assert report.summary.exit_code == 1
    if counters:
        with_data = bncheck.inspect(path, held_out, arch=ARCH)
        assert codes(with_data) == ["BN107"]
        assert with_data.findings[0].severity == "error"


def test_one_layer_is_named_among_others(healthy):
    norms(healthy)[1].running_var.fill_(1.0)
    assert only(bncheck.inspect(healthy), "BN107").layer == named_norms(healthy)[1][0]


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": np.zeros(2), "var": np.array([1e-9, 3e-9])},
        {"mean": np.zeros(2), "var": np.full(2, 4.0)},
        {"mean": np.zeros(2), "var": np.array([4.0, 1.0]), "bias": np.zeros(2)},
        {"mean": np.zeros(2), "var": np.array([4.0, 1.0]), "trainable_class": False},
        {"mean": np.full(2, 0.3), "var": np.ones(2), "trainable_class": False},
        {"mean": np.array([0.0, 1e-30]), "var": np.array([4.0, 1.0])},
        {"mean": np.array([3e-9, -2e-9]).astype(np.float16).astype(float), "var": np.array([4.0, 1.0])},
        {"mean": np.full(2, 0.3), "var": np.array([1.0, 1.0000001])},
    ],
    ids=[
        "dead",
        "one variance",
        "untrained",
        "frozen means",
        "frozen variances",
        "a mean moved",
        "underflow",
        "a variance moved",
    ],
)
def test_what_a_half_copied_layer_is_not(changes):
    assert judged(layer(**changes)) == []


def test_half_initial_means_and_variances_are_a_finding_each():
    half, other = layer("a", var=np.array([4.0, 1.0])), layer("b", mean=np.full(2, 0.3), var=np.ones(2))
    assert judged(half, other) == [("BN107", Severity.WARNING)] * 2
    single = NormLayer("c", BATCH_NORM, 1, np.zeros(1), np.full(1, 4.0), trainable_class=True, bias=np.ones(1))
    assert judged(single) == []
    observations = NormLayer("o", OTHER, 2, np.zeros(2), np.array([4.0, 1.0]), bias=np.array([1.0, 2.0]))
    assert judged(observations) == []
    instances = NormLayer("i", INSTANCE_NORM, 2, np.zeros(2), np.array([4.0, 1.0]), bias=np.array([1.0, 2.0]))
    assert judged(instances) == [("BN107", Severity.WARNING)]


def test_onnx_of_another_exporter_names_the_file_from_before(tmp_path):
    onnx = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    values = {"s": [1.0, 2.0], "b": [0.1, -0.1], "m": [0.0, 0.0], "v": [1.0, 1.0]}
    graph = helper.make_graph(
        [helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", floats, ["N", 2, 4, 4])],
        [helper.make_tensor_value_info("y", floats, ["N", 2, 4, 4])],
        [helper.make_tensor(name, floats, [2], held) for name, held in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    report = bncheck.inspect(tmp_path / "m.onnx")
    assert (only(report, "BN102").severity, report.summary.exit_code) == ("info", 4)
    assert only(report, "BN102").fix.startswith("Name the file from before the folding")


def test_samples_without_counters_stay_as_they_are():
    assert bncheck.inspect(SAMPLES / "healthy.pt").summary.exit_code == 0
