"""onnxruntime's own BatchNormalization is compared with float64: a wrong one is found, a sound one never."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hand_written import MEAN, SCALE, VAR, model, norm_node, norm_values, one_norm, saved
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import bncheck
from bncheck.core.thresholds import ROUNDINGS
from bncheck.data import DataOptions, open_data
from bncheck.formats import open_model
from bncheck.formats.onnx.running import session as onnx_session
from bncheck.formats.onnx.running.memory import share_memory
from bncheck.measure.observation import Observation
from bncheck.measure.observing import observe
from bncheck.measure.plan import Plan
from bncheck.results.finding import Finding
from bncheck.results.report import Report

# BN704 is judged by what is compared while the model is measured.
pytestmark = pytest.mark.usefixtures("without_probes")
NEWEST = onnx.defs.onnx_opset_version()


def data(samples: int = 40, shape: tuple[int, ...] = (3, 4, 4), offset: float = 0.4, sd: float = 1.3) -> np.ndarray:
    return np.random.default_rng(0).normal(offset, sd, (samples, *shape)).astype(np.float32)


def observed(path: Path, x: np.ndarray) -> Observation:
    with open_model(path).session("x", 0) as session:
        return observe(session, open_data(x, DataOptions()), Plan(), lambda *_: None)


def assert_sound(proto: onnx.ModelProto, folder: Path, x: np.ndarray, calls: int = 1) -> Observation:
    path = saved(proto, folder)
    seen = observed(path, x)
    assert len(seen.session.runtime) == calls
    assert all(check.values > 0 for check in seen.session.runtime)
    assert max(check.error for check in seen.session.runtime) <= ROUNDINGS
    assert wrong(bncheck.inspect(path, x)) == []
    return seen


def wrong(report: Report) -> list[Finding]:
    return [finding for finding in report.findings if finding.code == "BN704"]


def in_a_wrong_runtime(monkeypatch: pytest.MonkeyPatch, change: Callable[[onnx.ModelProto], None]) -> list[str]:
    """Every session computes another graph than it was given; what it was given is told by the names of its outputs."""
    sound = onnxruntime.InferenceSession
    share_memory(onnxruntime.SessionOptions())  # the session that this takes is made once, and stays a sound one
    asked = []

    class Wrong:
        def __init__(self, content: bytes, *options: Any, **named: Any) -> None:
            proto = onnx.load_from_string(content)
            change(proto)
            self._session = sound(proto.SerializeToString(), *options, **named)

        def run(self, wanted: list[str], feeds: dict[str, Any], options: Any) -> list[Any]:
            asked.append(" ".join(wanted))
            return self._session.run(wanted, feeds, options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Wrong)
    return asked


def gamma_off(proto: onnx.ModelProto) -> None:
    """One channel's gamma, by a thousandth."""
    for tensor in proto.graph.initializer:
        if tensor.name == "bn.weight":
            values = numpy_helper.to_array(tensor).copy()
            values[1] *= 1.001
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def eps_forgotten(proto: onnx.ModelProto) -> None:
    for node in proto.graph.node:
        if node.op_type == "BatchNormalization":
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("epsilon", 0.0))


def test_one_channel_that_is_off_by_a_thousandth_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(one_norm(), tmp_path)
    in_a_wrong_runtime(monkeypatch, gamma_off)
    report = bncheck.inspect(path, data())
    (finding,) = wrong(report)
    assert (finding.severity, finding.layer, report.summary.exit_code) == ("error", "bn", 1)
    found = finding.evidence
    assert (found["channel"], found["channels_off"], found["channels"]) == (1, 1, 3)
    normalized = (found["input"] - MEAN[1]) / np.sqrt(VAR[1] + 1e-5)
    assert found["expected_value"] == pytest.approx(normalized * np.float32(SCALE[1]), rel=1e-6)
    assert found["runtime"] - found["expected_value"] == pytest.approx(normalized * SCALE[1] * 1e-3, rel=1e-2)
    assert "onnxruntime" in finding.fix


def test_the_same_layer_in_a_sound_runtime_is_quiet(tmp_path: Path) -> None:
    assert wrong(bncheck.inspect(saved(one_norm(), tmp_path), data())) == []


def test_an_eps_that_is_forgotten_is_found_where_it_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proto = model([norm_node("bn", "x", "y", epsilon=1e-3)], norm_values("bn"))
    in_a_wrong_runtime(monkeypatch, eps_forgotten)
    (finding,) = wrong(bncheck.inspect(saved(proto, tmp_path), data()))
    assert finding.evidence["channels_off"] == 3


def test_only_the_wrong_one_of_two_layers_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [norm_node("other", "x", "h"), helper.make_node("Relu", ["h"], ["r"]), norm_node("bn", "r", "y")]
    in_a_wrong_runtime(monkeypatch, gamma_off)
    proto = model(nodes, [*norm_values("other"), *norm_values("bn")])
    (finding,) = wrong(bncheck.inspect(saved(proto, tmp_path), data()))
    assert (finding.layer, finding.evidence["compared"]) == ("bn", 2)


def test_the_graph_is_run_once_more_and_no_oftener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = in_a_wrong_runtime(monkeypatch, lambda proto: None)
    bncheck.inspect(saved(one_norm(), tmp_path), data(100), batch_size=10)
    assert [wanted for wanted in asked if "bncheck::came" in wanted] == ["bncheck::fed.0 bncheck::came.0"]


@pytest.mark.parametrize("opset", [7, 8, 9, 13, 14, 15, NEWEST])
def test_sound_runtimes_are_quiet_in_every_operator_set(tmp_path: Path, opset: int) -> None:
    assert_sound(one_norm(opset), tmp_path, data())


@pytest.mark.parametrize("shape", [(3,), (3, 5), (3, 1, 1), (3, 2, 3, 4), (3, 40, 41)])
def test_sound_runtimes_are_quiet_in_every_rank(tmp_path: Path, shape: tuple[int, ...]) -> None:
    assert_sound(one_norm(shape=(None, *shape)), tmp_path, data(60, shape))


@pytest.mark.parametrize(
    ("element_type", "dtype", "computed"),
    [
        (TensorProto.FLOAT16, np.float16, "float16"),
        (TensorProto.BFLOAT16, ml_dtypes.bfloat16, "float32"),
        (TensorProto.DOUBLE, np.float64, "float64"),
    ],
)
def test_sound_runtimes_are_quiet_in_every_type(tmp_path: Path, element_type: int, dtype: type, computed: str) -> None:
    proto = model([norm_node("bn", "x", "y")], norm_values("bn", dtype), element_type=element_type)
    seen = assert_sound(proto, tmp_path, data().astype(np.float16).astype(np.float32))
    assert [check.dtype for check in seen.session.runtime] == [computed]


def test_eps_is_taken_to_the_last_digit(tmp_path: Path) -> None:
    """In double, the difference between 1e-5 and the float32 next to it would be many roundings."""
    values = {
        "weight": np.ones(3),
        "bias": np.zeros(3),
        "running_mean": np.zeros(3),
        "running_var": np.array([0.0, 1e-9, 1e-6]),
    }
    tensors = [numpy_helper.from_array(array, f"bn.{leaf}") for leaf, array in values.items()]
    for attributes in ({}, {"epsilon": 1e-5}, {"epsilon": 1e-3}):
        proto = model([norm_node("bn", "x", "y", **attributes)], tensors, element_type=TensorProto.DOUBLE)
        assert_sound(proto, tmp_path, data())


def test_nodes_that_share_their_values_keep_their_own_eps(tmp_path: Path) -> None:
    nodes = [norm_node("bn", "x", "h", epsilon=1e-5), norm_node("bn", "h", "y", epsilon=0.1)]
    seen = assert_sound(model(nodes, norm_values("bn")), tmp_path, data(), calls=2)
    assert [(check.layer, check.call) for check in seen.session.runtime] == [("bn", 0), ("bn", 1)]


@pytest.mark.parametrize(
    ("offset", "sd"), [(1e4, 1.0), (0.0, 1e6), (-1e6, 1e-3), (0.0, 1e-42)], ids=["mean", "huge", "constant", "denormal"]
)
def test_sound_runtimes_are_quiet_on_extreme_values(tmp_path: Path, offset: float, sd: float) -> None:
    assert_sound(one_norm(), tmp_path, data(offset=offset, sd=sd))


def quantized() -> onnx.ModelProto:
    """BatchNormalization between dequantized and quantized tensors, its own values quantized too."""
    constants = {
        "scale": np.array(0.05, np.float32),
        "zero": np.array(128, np.uint8),
        "q.weight": np.array([150, 140, 100], np.uint8),
        "q.running_var": np.array([148, 208, 133], np.uint8),
    }
    values = [value for value in norm_values("bn") if value.name not in ("bn.weight", "bn.running_var")]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["h"]),
        helper.make_node("DequantizeLinear", ["q.weight", "scale", "zero"], ["bn.weight"]),
        helper.make_node("DequantizeLinear", ["q.running_var", "scale", "zero"], ["bn.running_var"]),
        norm_node("bn", "h", "n"),
        helper.make_node("QuantizeLinear", ["n", "scale", "zero"], ["z"]),
        helper.make_node("DequantizeLinear", ["z", "scale", "zero"], ["y"]),
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    return model(nodes, [*values, *tensors], opset=21)


def test_sound_runtimes_are_quiet_in_quantized_models(tmp_path: Path) -> None:
    assert_sound(quantized(), tmp_path, data())


@pytest.mark.parametrize("dynamo", [False, True], ids=["older", "dynamo"])
def test_sound_runtimes_are_quiet_behind_convolutions_they_would_fuse(tmp_path: Path, dynamo: bool) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 1), nn.BatchNorm2d(8))
    net.train()(torch.randn(64, 3, 4, 4))
    x = torch.randn(2, 3, 4, 4)
    keeping = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    options = {"optimize": False, "verbose": False} if dynamo else keeping | {"dynamic_axes": {"x": {0: "batch"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net.eval(), (x,), tmp_path / "net.onnx", dynamo=dynamo, input_names=["x"], **options)
    assert_sound(onnx.load(tmp_path / "net.onnx"), tmp_path, data(), calls=2)


def test_a_fixed_batch_is_fed_whole(tmp_path: Path) -> None:
    shape = numpy_helper.from_array(np.array([32, -1]), "shape")
    nodes = [norm_node("bn", "x", "h"), helper.make_node("Reshape", ["h", "shape"], ["y"])]
    proto = model(nodes, [*norm_values("bn"), shape], shape=(32, 3, 4, 4))
    assert assert_sound(proto, tmp_path, data(70)).session.fixed_batch == 32


def test_frames_of_videos_are_rows_of_their_own(tmp_path: Path) -> None:
    shape = numpy_helper.from_array(np.array([-1, 3, 4, 4]), "shape")
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["h"]), norm_node("bn", "h", "y")]
    proto = model(nodes, [*norm_values("bn"), shape], shape=(None, 5, 3, 4, 4))
    assert_sound(proto, tmp_path, data(60, (5, 3, 4, 4)))


def test_gamma_that_the_graph_computes_from_its_input_is_not_compared(tmp_path: Path) -> None:
    axes = numpy_helper.from_array(np.array([0, 2, 3]), "axes")
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["bn.weight"], keepdims=0),
        norm_node("bn", "x", "y"),
    ]
    values = [value for value in norm_values("bn") if value.name != "bn.weight"]
    seen = observed(saved(model(nodes, [*values, axes], opset=18), tmp_path), data())
    assert (seen.session.runtime, seen.notes) == ((), ())


def test_a_copy_that_cannot_be_run_is_said_and_costs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = onnx_session.with_answers

    def broken(*graph: Any) -> onnx.ModelProto:
        copy = make(*graph)
        copy.graph.node[-1].op_type = "Unheard"
        return copy

    monkeypatch.setattr(onnx_session, "with_answers", broken)
    report = bncheck.inspect(saved(one_norm(), tmp_path), data())
    assert [layer.status for layer in report.layers] == ["measured"]
    (note,) = (note for note in report.run.notes if "was not compared with float64" in note)
    assert "Unheard" in note
