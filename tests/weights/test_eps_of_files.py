"""The eps that stored statistics tell, on networks whose variances are small and whose eps is known."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from called import call
from jsonschema import Draft202012Validator
from torch import nn

import bncheck
from bncheck.formats import from_module
from bncheck.results import Finding, Report, TrainingEps
from bncheck.weights import predictions_of
from tests.weights.block_nets import depthwise, measured, mlp, moved, norms, plain, residual

HEALTHY: dict[str, Callable[[], nn.Module]] = {
    "plain": plain,
    "SiLU": lambda: plain(nn.SiLU),
    "leaky ReLU": lambda: plain(lambda: nn.LeakyReLU(0.1)),
    "PReLU": lambda: plain(lambda: nn.PReLU(24)),
    "tanh": lambda: plain(nn.Tanh),
    "residual": lambda: residual(7),
    "norm first": lambda: residual(7, first=True),
    "depthwise": depthwise,
    "mlp": mlp,
}


@lru_cache
def small(name: str, eps: float, size: float) -> nn.Module:
    """A net whose variances are about `size` times its eps; it must not be changed."""
    return measured(HEALTHY[name](), eps=eps, size=size * eps)


def told(net: nn.Module) -> TrainingEps | None:
    return predictions_of(from_module(net)).eps


def declared(net: nn.Module, eps: float) -> nn.Module:
    """The same net, built by somebody with that eps."""
    changed = copy.deepcopy(net)
    for norm in norms(changed):
        norm.eps = eps
    return changed


def found(net: nn.Module) -> tuple[Finding, ...]:
    return bncheck.inspect(net, select=["BN302", "BN106"]).findings


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.parametrize(("eps", "size"), [(1e-5, 10.0), (1e-3, 3.0), (1e-6, 30.0)])
def test_the_right_eps_is_never_excluded(name: str, eps: float, size: float) -> None:
    seen = told(small(name, eps, size))
    assert seen is None or not seen.excludes(eps)


@pytest.mark.parametrize("name", ["plain", "residual", "norm first", "depthwise", "mlp"])
def test_one_that_is_far_off_is_excluded_where_variances_are_as_small(name: str) -> None:
    seen = told(small(name, 1e-5, 3.0))
    assert seen is not None
    assert seen.excludes(1e-3)
    assert seen.high is not None
    assert seen.best == pytest.approx(1e-5, rel=4)


@pytest.mark.parametrize("name", ["plain", "residual", "mlp"])
def test_variances_below_eps_tell_that_it_is_no_smaller(name: str) -> None:
    seen = told(small(name, 1e-3, 0.1))
    assert seen is not None
    assert seen.excludes(1e-5)
    assert not seen.excludes(1e-3)


@pytest.mark.parametrize("name", HEALTHY)
def test_it_is_not_known_where_no_variances_are_small(name: str) -> None:
    report = bncheck.inspect(declared(measured(HEALTHY[name]()), 1e-3), select=["BN302", "BN106"])
    assert report.run.training_eps is None
    assert report.findings == ()


@pytest.mark.parametrize("name", HEALTHY)
def test_files_with_their_own_eps_are_left_alone(name: str) -> None:
    assert found(small(name, 1e-5, 10.0)) == ()
    assert not any("eps_best" in finding.evidence for finding in found(small(name, 1e-3, 3.0)))


def test_an_eps_above_the_variances_is_no_remark_where_what_is_stored_tells_that_it_is_right() -> None:
    net = small("mlp", 1e-3, 0.1)
    assert max(float(norm.running_var.median()) for norm in norms(net)[1:]) < 1e-3
    assert found(net) == ()


@pytest.mark.parametrize("name", ["plain", "residual", "mlp"])
def test_a_declared_eps_that_does_not_explain_what_is_stored_is_named(name: str) -> None:
    (finding,) = found(declared(small(name, 1e-5, 3.0), 1e-3))
    assert finding.code == "BN302"
    assert finding.evidence["eps_to"] <= 1e-4
    assert finding.evidence["layers_that_tell"] >= 5
    assert set(finding.evidence["eps"].values()) == {1e-3}
    assert "probably 1e-05" in finding.fix
    assert "eps is 0.001" in finding.message


def test_it_is_a_warning_where_nothing_behind_fits_any_more() -> None:
    assert [finding.severity for finding in found(declared(small("mlp", 1e-6, 3.0), 1e-3))] == ["warning"]
    assert [finding.severity for finding in found(declared(small("mlp", 1e-5, 10.0), 1e-4))] == ["info"]


def test_of_keras_built_with_the_default_of_pytorch() -> None:
    (finding,) = found(declared(small("mlp", 1e-3, 0.1), 1e-5))
    assert finding.evidence["eps_from"] >= 1e-4
    assert "probably 0.001" in finding.fix


ARCH = """
from tests.weights.block_nets import mlp, norms

def build():
    net = mlp()
    for norm in norms(net):
        norm.eps = 1e-3
    return net
"""


def test_an_architecture_and_a_program_declare_it(tmp_path: Path) -> None:
    net = small("mlp", 1e-5, 3.0)
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    (tmp_path / "arch.py").write_text(ARCH, "utf-8")
    torch.jit.script(declared(net, 1e-3)).save(tmp_path / "program.pt")
    built = bncheck.inspect(tmp_path / "weights.pt", arch=f"{tmp_path}/arch.py:build", select=["BN302"])
    program = bncheck.inspect(tmp_path / "program.pt", select=["BN302"])
    for report in (built, program):
        assert [finding.evidence["eps_best"] for finding in report.findings] == [pytest.approx(1e-5, rel=4)]
    assert bncheck.inspect(tmp_path / "weights.pt", select=["BN302"]).findings == ()


def test_an_onnx_file_declares_it(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    net = declared(small("plain", 1e-5, 3.0), 1e-3)
    keeping = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (torch.zeros(2, 3, 12, 12),), path, dynamo=False, **keeping)
    (finding,) = bncheck.inspect(path, select=["BN302"]).findings
    assert finding.evidence["eps_to"] <= 1e-4


def test_layers_of_several_eps_are_not_judged_by_one() -> None:
    net = declared(small("mlp", 1e-5, 3.0), 1e-3)
    norms(net)[2].eps = 1e-5
    assert not [finding for finding in found(net) if "eps_best" in finding.evidence]


def test_few_layers_tell_nothing() -> None:
    assert told(declared(measured(plain(depth=4), eps=1e-5, size=1e-5), 1e-3)) is None


def test_a_norm_behind_its_activation_tells_nothing() -> None:
    net = measured(plain(norm_last=True), eps=1e-5, size=3e-5)
    assert told(net) is None


class Between(nn.Module):
    """ReLU, and something that no name tells of."""

    def __init__(self, what: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.what = what

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.what(torch.relu(x))


@pytest.mark.parametrize(
    "what",
    [
        lambda x: 0.5 * x,
        lambda x: 0.7 * x,
        lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)),
        lambda x: nn.functional.max_pool2d(x, 3, 1, 1),
        torch.square,
    ],
    ids=["half", "less", "gate", "pooling", "square"],
)
@pytest.mark.parametrize("size", [30.0, 300.0])
def test_what_stands_between_is_no_other_eps(what: Callable[[torch.Tensor], torch.Tensor], size: float) -> None:
    seen = told(measured(plain(lambda: Between(what)), eps=1e-5, size=size * 1e-5))
    assert seen is None or not seen.excludes(1e-5)


@pytest.mark.parametrize("name", ["plain", "residual"])
def test_wrong_statistics_are_no_wrong_eps(name: str) -> None:
    net = moved(copy.deepcopy(small(name, 1e-5, 3.0)), [2, 4], 1.0)
    seen = told(net)
    assert seen is None or not seen.excludes(1e-5)


def test_a_state_dict_has_no_eps_to_be_wrong_and_tells_the_right_one(tmp_path: Path) -> None:
    torch.save(small("mlp", 1e-3, 0.1).state_dict(), tmp_path / "keras.pt")
    done = call("inspect", tmp_path / "keras.pt", "-v")
    assert done.code == 0
    assert "eps in training: " in done.stdout
    assert "BN106" not in done.stdout
    document = json.loads(call("inspect", tmp_path / "keras.pt", "--report", "json=-").stdout)
    Draft202012Validator(json.loads(files("bncheck").joinpath("report.schema.json").read_text("utf-8"))).validate(
        document
    )
    eps = document["run"]["training_eps"]
    assert eps["low"] <= 1e-3 <= (eps["high"] or 1)
    assert len(eps["tried"]) == len(eps["distances"])
    assert Report.from_dict(document).run.training_eps is not None


def test_with_data_nothing_is_told() -> None:
    net = nn.Sequential(copy.deepcopy(small("mlp", 1e-3, 0.1)))
    report = bncheck.inspect(net, torch.randn(64, 3, 12, 12).numpy(), task="none", fast=True)
    assert report.run.training_eps is None


def test_half_precision_changes_nothing() -> None:
    net = copy.deepcopy(small("mlp", 1e-5, 30.0)).half()
    seen = told(net)
    assert seen is None or not seen.excludes(1e-5)
    assert found(net) == ()
