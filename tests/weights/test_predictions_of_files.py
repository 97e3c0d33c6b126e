"""Stored statistics beside those predicted, on networks whose statistics are known to be right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from called import call
from safetensors.torch import save_file
from torch import nn

import bncheck
from benchmarks.diagnosis.static.blocks import Named
from benchmarks.diagnosis.static.planting import Audited
from bncheck.evidence import Predictions
from bncheck.formats import from_module, open_model
from bncheck.results import Report
from bncheck.vocabulary import Unpredicted
from bncheck.weights import predictions_of
from tests.weights.block_nets import (
    dense,
    depthwise,
    generator,
    measured,
    mlp,
    moved,
    norms,
    plain,
    residual,
)

HEALTHY: dict[str, Callable[[], nn.Module]] = {
    "plain": plain,
    "SiLU": lambda: plain(nn.SiLU),
    "leaky ReLU": lambda: plain(lambda: nn.LeakyReLU(0.1)),
    "PReLU": lambda: plain(lambda: nn.PReLU(24)),
    "Hardswish": lambda: plain(nn.Hardswish),
    "tanh": lambda: plain(nn.Tanh),
    "ELU": lambda: plain(nn.ELU),
    "residual": lambda: residual(9),
    "norm first": lambda: residual(7, first=True),
    "depthwise": depthwise,
    "dense": dense,
    "mlp": mlp,
}


class Sine(nn.Module):
    """What no candidate comes near to."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(3 * x).abs()


UNLIKE: dict[str, Callable[[], nn.Module]] = {
    "norm behind ReLU": lambda: plain(norm_last=True),
    "transposed": generator,
    "sine": lambda: plain(Sine),
}


def by_names(net: nn.Module) -> Audited:
    """The net as a file of tensors is: without its graph."""
    model = from_module(net)
    return Audited(model.layers, model.tensors())


@lru_cache
def of(name: str) -> Predictions:
    return predictions_of(by_names(measured((HEALTHY | UNLIKE)[name]())))


def audited(net: nn.Module) -> Report:
    return bncheck.inspect(net, select=["BN106"])


@pytest.mark.parametrize("name", HEALTHY)
def test_means_that_data_gave_are_those_that_the_weights_predict(name: str) -> None:
    layers = of(name).layers
    assert len(layers) >= 5
    assert np.median([layer.distance for layer in layers]) < 0.12
    for layer in layers:
        unpredicted = np.sqrt(np.mean(layer.stored_mean**2 / layer.stored_var))
        assert layer.distance < 0.5 * unpredicted
        assert layer.mean.shape == layer.var.shape == layer.stored_mean.shape


@pytest.mark.parametrize("name", ["plain", "SiLU", "PReLU", "Hardswish", "tanh", "ELU"])
def test_the_activation_is_the_one_that_fits(name: str) -> None:
    wanted = "ReLU" if name == "plain" else name
    assert {layer.activation for layer in of(name).layers} == {wanted}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_files_are_left_alone(name: str) -> None:
    report = audited(measured(HEALTHY[name]()))
    assert (report.findings, report.summary.exit_code) == ((), 0)
    assert by_names(measured(HEALTHY[name]())).named() == (set(), False)


@pytest.mark.parametrize("name", UNLIKE)
def test_nothing_is_said_where_something_else_stands_between(name: str) -> None:
    assert not of(name).layers
    assert Unpredicted.UNLIKE in of(name).reasons.values()
    wrong = moved(measured(UNLIKE[name]()), range(2, 6), 1.0)
    assert by_names(wrong).named() == (set(), False)


@pytest.mark.parametrize(
    "net", [Named((4,)), Named((2, 5)), Named(gated=(3,)), Named(added=(3,)), Named((4,), added=(3, 6))]
)
def test_what_only_the_code_knows_is_no_fault_of_some_layers(net: nn.Module) -> None:
    """A pooling, a gate or a sum between two of the layers, and not between others of the same names."""
    assert audited(measured(net)).findings == ()
    assert by_names(measured(net)).named() == (set(), False)


def test_few_layers_fed_alike_do_not_judge_each_other() -> None:
    predicted = predictions_of(from_module(measured(plain(depth=4))))
    assert predicted.layers == ()
    assert set(predicted.reasons.values()) == {Unpredicted.FEW_ALIKE}
    assert audited(moved(measured(plain(depth=4)), [2], 1.0)).findings == ()


def wrong_block(deviations: float, which: int = 4) -> Report:
    return audited(moved(measured(residual(9)), [2 * which + 2], deviations))


def test_one_layer_whose_means_moved_is_named_with_both_values() -> None:
    report = wrong_block(0.3)
    (finding,) = report.findings
    assert (finding.severity, finding.layers, report.summary.exit_code) == ("info", ("7.bn2",), 0)
    assert finding.evidence["sources"] == ["7.bn1"]
    assert finding.evidence["weights"] == ["7.conv2"]
    assert finding.evidence["activation_assumed"] == ["ReLU of norm"]
    assert finding.evidence["mean_distances"][0] == pytest.approx(0.3, abs=0.12)
    assert finding.evidence["layers_judged"] == 18
    row = finding.evidence["first_channels"]["7.bn2"][0]
    assert set(row) == {"channel", "stored_mean", "predicted_mean", "stored_var", "predicted_var"}
    assert "7.bn2" in finding.message
    assert "ReLU of norm, by the graph" in finding.message


@pytest.mark.parametrize("which", range(9))
def test_whichever_block_it_is(which: int) -> None:
    assert [finding.layers for finding in wrong_block(0.5, which).findings] == [(f"{3 + which}.bn2",)]


@pytest.mark.parametrize("factor", [1 / 16, 16])
def test_variances_of_another_scale_are_named(factor: float) -> None:
    net = measured(residual(9))
    norms(net)[8].running_var *= factor
    (finding,) = audited(net).findings
    assert (finding.severity, finding.layers) == ("info", ("6.bn2",))
    assert finding.evidence["variance_factors"][0] == pytest.approx(factor, rel=0.8)


def test_a_factor_of_two_is_within_what_healthy_layers_show() -> None:
    net = measured(residual(9))
    norms(net)[8].running_var *= 2
    assert audited(net).findings == ()


def test_a_share_of_the_channels_that_is_far_off_is_seen() -> None:
    net = measured(residual(9))
    norm = norms(net)[8]
    norm.running_mean[:8] += norm.running_var[:8].sqrt() * 1.5
    assert [finding.layers for finding in audited(net).findings] == [("6.bn2",)]


def test_many_layers_that_are_far_off_are_a_warning() -> None:
    net = moved(measured(residual(9)), [4, 8, 12], 1.0)
    report = audited(net)
    (finding,) = report.findings
    assert (finding.severity, len(finding.layers), report.summary.exit_code) == ("warning", 3, 1)
    near = audited(moved(measured(residual(9)), [4, 8, 12], 0.3))
    assert [(finding.severity, len(finding.layers)) for finding in near.findings] == [("info", 3)]


@pytest.mark.parametrize(("share", "last"), [(0.2, 9), (0.5, 3), (0.5, 9)])
def test_weights_trained_on_under_frozen_statistics_fail_nothing(share: float, last: int) -> None:
    """The last blocks, or all of them, moved by a share of their own size: what fits is what they were trained with."""
    net = measured(residual(9))
    generator = torch.Generator().manual_seed(0)
    for block in list(net)[-last:]:
        for weight in (block.conv1.weight.data, block.conv2.weight.data):
            weight += share * weight.std() * torch.randn(weight.shape, generator=generator)
    report = audited(net)
    assert report.summary.exit_code == 0
    assert {finding.severity for finding in report.findings} <= {"info"}


def test_the_statistics_of_another_layer_are_not_its_own() -> None:
    net = measured(residual(9))
    one, other = norms(net)[6], norms(net)[10]
    one.load_state_dict(one.state_dict() | {"running_mean": other.running_mean, "running_var": other.running_var})
    assert [finding.layers for finding in audited(net).findings] == [("5.bn2",)]


def test_initial_statistics_are_left_to_their_own_rule() -> None:
    net = measured(residual(9))
    norms(net)[8].reset_running_stats()
    assert [finding.code for finding in bncheck.inspect(net).findings if finding.severity == "error"] == ["BN102"]
    assert audited(net).findings == ()


def test_with_data_the_layers_are_measured_instead() -> None:
    net = nn.Sequential(moved(measured(residual(6)), [4], 1.0), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert audited(net).findings
    data = torch.randn(64, 3, 12, 12).numpy()
    assert bncheck.inspect(net, data, select=["BN106"], fast=True).findings == ()


@pytest.mark.parametrize("halved", [False, True])
def test_a_state_dict_tells_as_much_as_its_module(tmp_path: Path, halved: bool) -> None:
    net = moved(measured(residual(9)), [8], 0.5)
    torch.save((net.half() if halved else net).state_dict(), tmp_path / "weights.pt")
    report = bncheck.inspect(tmp_path / "weights.pt", select=["BN106"])
    assert [finding.layers for finding in report.findings] == [("6.bn2",)]


def test_an_audit_names_a_layer_that_does_not_fit(tmp_path: Path) -> None:
    torch.save(moved(measured(residual(9)), [8], 0.5).state_dict(), tmp_path / "wrong.pt")
    torch.save(measured(residual(9)).state_dict(), tmp_path / "right.pt")
    done = call("audit", tmp_path / "right.pt", tmp_path / "wrong.pt")
    right, _, wrong = done.stdout.partition("wrong.pt")
    assert done.code == 0
    assert "BN106" not in right
    assert "BN106" in wrong
    assert "6.bn2" in wrong


@pytest.mark.parametrize("name", ["scripted.pt", "weights.safetensors"])
def test_other_formats_tell_the_same(tmp_path: Path, name: str) -> None:
    net = measured(residual(6))
    if name == "scripted.pt":
        torch.jit.script(net).save(tmp_path / name)
    else:
        save_file(net.state_dict(), tmp_path / name)
    model = from_module(net) if name == "scripted.pt" else by_names(net)
    here, there = predictions_of(model), predictions_of(open_model(tmp_path / name))
    assert [layer.name for layer in there.layers] == [layer.name for layer in here.layers]
    assert [layer.distance for layer in there.layers] == pytest.approx([layer.distance for layer in here.layers])


def test_the_numbers_of_a_file_sorted_by_name_are_the_same() -> None:
    model = by_names(measured(residual(9)))
    here, there = predictions_of(model), predictions_of(replace(model, held=dict(sorted(model.held.items()))))
    assert [layer.name for layer in here.layers] == [layer.name for layer in there.layers]
    assert [layer.distance for layer in here.layers] == [layer.distance for layer in there.layers]


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e30])
@pytest.mark.parametrize("act", [nn.ReLU, lambda: nn.PReLU(24)])
def test_weights_of_any_value_end_nothing(value: float, act: Callable[[], nn.Module]) -> None:
    net = measured(plain(act))
    for module in net:
        if isinstance(module, nn.Conv2d | nn.PReLU):
            module.weight.data.view(-1)[::2] = value
    assert predictions_of(from_module(net)).layers == ()


def test_the_model_stays_as_it_is() -> None:
    net = measured(residual(6))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    audited(net)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
