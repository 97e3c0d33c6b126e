"""Normalization written as Sub, Div, Mul and Add with constants: what is a layer of statistics, and what is not."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hand_written import ARRAYS, BIAS, MEAN, SCALE, VAR, model, norm_node, norm_values, saved
from onnx import helper, numpy_helper

import bncheck
from bncheck.formats import open_model

EPS = 1e-3
SD = np.sqrt(VAR + EPS)
STORED = {**ARRAYS, "sd": SD, "inv": 1 / SD, "slope": SCALE / SD, "offset": BIAS - MEAN * SCALE / SD}
NUMBERS = {"eps": EPS, "one": 1.0, "half": 0.5, "minus_half": -0.5}
Lines = Sequence[str]

ROOT = ("v = Add running_var eps", "s = Sqrt v")
TOLD = {
    "divided": (*ROOT, "a = Sub x running_mean", "b = Div a s", "c = Mul b weight", "y = Add c bias"),
    "divided, gamma first": (*ROOT, "a = Sub x running_mean", "g = Mul weight a", "b = Div g s", "y = Add bias b"),
    "multiplied": (*ROOT, "r = Reciprocal s", "a = Sub x running_mean", "b = Mul r a", "c = Mul weight b",
                   "y = Add c bias"),
    "one over": (*ROOT, "r = Div one s", "a = Sub x running_mean", "b = Mul a r", "c = Mul b weight", "y = Add c bias"),
    "a power": ("v = Add eps running_var", "r = Pow v minus_half", "a = Sub x running_mean", "b = Mul a r",
                "c = Mul b weight", "y = Add c bias"),
    "gamma in it": (*ROOT, "r = Reciprocal s", "k = Mul r weight", "a = Sub x running_mean", "b = Mul a k",
                    "y = Add b bias"),
    "gamma over it": (*ROOT, "k = Div weight s", "a = Sub x running_mean", "b = Mul k a", "y = Add b bias"),
    "mean negated": (*ROOT, "m = Neg running_mean", "a = Add x m", "b = Div a s", "c = Mul b weight", "y = Add c bias"),
    "tensorflow": (*ROOT, "r = Reciprocal s", "k = Mul r weight", "b = Mul x k", "m = Mul running_mean k",
                   "o = Sub bias m", "y = Add b o"),
    "numpy": (*ROOT, "r = Reciprocal s", "k = Mul r weight", "n = Neg running_mean", "m = Mul n k", "o = Add m bias",
              "b = Mul x k", "y = Add b o"),
    "one after the other": (*ROOT, "r = Reciprocal s", "k = Mul r weight", "b = Mul x k", "m = Mul running_mean k",
                            "c = Sub b m", "y = Add c bias"),
    "root stored": ("a = Sub x running_mean", "b = Div a sd", "c = Mul b weight", "y = Add c bias"),
    "inverse stored": ("a = Sub x running_mean", "b = Mul a inv", "c = Mul b weight", "y = Add c bias"),
}  # fmt: skip
STORES_THE_ROOT = ("root stored", "inverse stored")


def arithmetic(lines: Lines, *, shape: tuple[int, ...] = (1, 3, 1, 1), before: str = "Relu") -> onnx.ModelProto:
    """A graph of a node that is no preprocessing, and of lines like `a = Sub x running_mean`."""
    nodes = [helper.make_node(before, ["input"], ["x"], name="first")]
    used: set[str] = set()
    for line in lines:
        output, _, operator, *given = line.split()
        nodes.append(helper.make_node(operator, [f"bn.{name}" if name in STORED else name for name in given], [output]))
        used.update(given)
    values = [
        numpy_helper.from_array(STORED[name].astype(np.float32).reshape(shape), f"bn.{name}")
        for name in STORED
        if name in used
    ]
    values += [numpy_helper.from_array(np.float32(NUMBERS[name]), name) for name in NUMBERS if name in used]
    channels_last = shape[-1] == 3
    return model(nodes, values, inputs=("input",), shape=(None, 4, 4, 3) if channels_last else (None, 3, 4, 4))


def data(samples: int = 64, *, channels_last: bool = False) -> np.ndarray:
    x = np.random.default_rng(0).normal(1, 2, (samples, 3, 4, 4)).astype(np.float32)
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if channels_last else x


def outputs(path: Path, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"input": x})[0]


OTHER_SHAPES = [(way, shape) for way in ("divided", "tensorflow", "inverse stored") for shape in ((3, 1, 1), (3,))]


@pytest.mark.parametrize(("way", "shape"), [*((way, (1, 3, 1, 1)) for way in TOLD), *OTHER_SHAPES])
def test_a_layer_is_what_it_was_before_it_was_written_out(tmp_path: Path, way: str, shape: tuple[int, ...]) -> None:
    (layer,) = open_model(saved(arithmetic(TOLD[way], shape=shape), tmp_path)).layers
    added = EPS if way in STORES_THE_ROOT else 0.0
    np.testing.assert_allclose(layer.mean, MEAN, rtol=1e-6)
    np.testing.assert_allclose(layer.var, VAR + added, rtol=1e-5)
    np.testing.assert_allclose(layer.weight, SCALE, rtol=1e-6)
    np.testing.assert_allclose(layer.bias, BIAS, rtol=1e-6)
    assert (layer.name, layer.eps, layer.momentum) == ("bn", 0.0 if added else EPS, None)


NO_STATISTICS = {
    "an affine map": ("a = Mul x slope", "y = Add a offset"),
    "a standardized tensor": ("a = Sub x running_mean", "y = Div a sd"),
    "the same multiplied": ("a = Sub x running_mean", "y = Mul a inv"),
    "a zero point and a scale": ("a = Sub x running_mean", "y = Mul a slope"),
    "one number for all": ("a = Sub x half", "b = Div a half", "c = Mul b weight", "y = Add c bias"),
    "scaled back": ("a = Mul x sd", "y = Add a running_mean"),
    "of the sample": ("m = ReduceMean x", "a = Sub x m", "b = Div a sd", "c = Mul b weight", "y = Add c bias"),
    "by the sample": ("p = Mul x x", "m = ReduceMean p", "e = Add m eps", "s = Sqrt e", "a = Sub x running_mean",
                      "b = Div a s", "c = Mul b weight", "y = Add c bias"),
    "an offset of another factor": (*ROOT, "r = Reciprocal s", "k = Mul r weight", "b = Mul x k",
                                    "m = Mul running_mean r",
                                    "o = Sub bias m", "y = Add b o"),
    "read in between": ("a = Sub x running_mean", "b = Div a sd", "c = Mul b weight", "d = Add c bias", "y = Add d a"),
}  # fmt: skip


@pytest.mark.parametrize("what", NO_STATISTICS)
def test_what_only_looks_alike_is_no_layer(tmp_path: Path, what: str) -> None:
    opened = open_model(saved(arithmetic(NO_STATISTICS[what]), tmp_path))
    assert opened.layers == ()


@pytest.mark.parametrize("way", ["root stored", "inverse stored"])
@pytest.mark.parametrize("before", ["Identity", "Cast", "Mul"])
def test_inputs_that_are_standardized_are_no_layer(tmp_path: Path, way: str, before: str) -> None:
    proto = arithmetic(TOLD[way])
    first = proto.graph.node[0]
    first.op_type = before
    if before == "Cast":
        first.attribute.append(helper.make_attribute("to", 1))
    elif before == "Mul":
        first.input.append("two")
        proto.graph.initializer.append(numpy_helper.from_array(np.float32(2), "two"))
    assert open_model(saved(proto, tmp_path)).layers == ()
    proto = arithmetic((*ROOT, "a = Sub x running_mean", "y = Div a s"), before="Identity")
    assert open_model(saved(proto, tmp_path)).layers == ()


def test_a_layer_of_the_input_is_known_by_all_its_parts(tmp_path: Path) -> None:
    (layer,) = open_model(saved(arithmetic(TOLD["divided"], before="Identity"), tmp_path)).layers
    np.testing.assert_allclose(layer.var, VAR)


def test_a_layer_without_gamma_or_beta_has_none(tmp_path: Path) -> None:
    (neither,) = open_model(saved(arithmetic((*ROOT, "a = Sub x running_mean", "y = Div a s")), tmp_path)).layers
    assert (neither.weight, neither.bias) == (None, None)
    lines = ("a = Sub x running_mean", "b = Div a sd", "y = Add b bias")
    (shifted,) = open_model(saved(arithmetic(lines), tmp_path)).layers
    assert shifted.weight is None
    np.testing.assert_allclose(shifted.bias, BIAS, rtol=1e-6)


def test_a_constant_of_variance_and_gamma_is_told_and_nothing_made_up(tmp_path: Path) -> None:
    lines = ("a = Sub x running_mean", "b = Mul a slope", "y = Add b bias")
    report = bncheck.inspect(saved(arithmetic(lines), tmp_path), data())
    (layer,) = report.layers
    assert (layer.status, layer.reason, layer.gap) == ("skipped", "unsupported", None)
    assert any("one constant holds its variance and gamma together" in note for note in report.run.notes)
    assert report.summary.exit_code == 4


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (3,)], ids=["channels first", "channels last"])
def test_it_is_measured_and_runs_as_the_graph_does(tmp_path: Path, shape: tuple[int, ...]) -> None:
    last = shape == (3,)
    x = data(channels_last=last)
    path = saved(arithmetic(TOLD["divided"], shape=shape), tmp_path)
    seen = []

    def metric(outputs: object, labels: object) -> float:
        seen.append(outputs)
        return 0.0

    report = bncheck.inspect(path, (x, np.zeros(len(x), int)), metric=metric, seed=3)
    (layer,) = report.layers
    rows = np.maximum(x, 0).astype(np.float64).reshape(-1, 3) if last else None
    fed = np.maximum(x, 0).astype(np.float64).transpose(0, 2, 3, 1).reshape(-1, 3) if rows is None else rows
    np.testing.assert_allclose(layer.table.measured_mean, fed.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.table.measured_var, fed.var(0), rtol=1e-5)
    assert any("read as BatchNorm" in note for note in report.run.notes)
    drawn = x[np.random.default_rng(3).permutation(len(x))]
    np.testing.assert_allclose(seen[0].numpy(), outputs(path, drawn), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("way", ["divided", "tensorflow", "root stored", "inverse stored"])
def test_it_is_repaired_where_its_values_are_stored(tmp_path: Path, way: str) -> None:
    x = data()
    path = saved(arithmetic(TOLD[way]), tmp_path)
    bncheck.repair_file(path, x, out=tmp_path / "new.onnx")
    fed = np.maximum(x, 0).astype(np.float64).transpose(0, 2, 3, 1).reshape(-1, 3)
    (layer,) = open_model(tmp_path / "new.onnx").layers
    np.testing.assert_allclose(layer.mean, fed.mean(0), rtol=1e-4)
    np.testing.assert_allclose(layer.var, fed.var(0), rtol=1e-4)
    eps = 0.0 if way in STORES_THE_ROOT else EPS
    normalized = (np.maximum(x, 0).transpose(0, 2, 3, 1) - fed.mean(0)) / np.sqrt(fed.var(0) + eps) * SCALE + BIAS
    np.testing.assert_allclose(
        outputs(tmp_path / "new.onnx", x).transpose(0, 2, 3, 1), normalized, rtol=1e-3, atol=1e-3
    )
    before, after = onnx.load(path), onnx.load(tmp_path / "new.onnx")
    assert [node.op_type for node in after.graph.node] == [node.op_type for node in before.graph.node]
    assert [value.name for value in after.graph.initializer] == [value.name for value in before.graph.initializer]


def test_one_that_is_called_twice_is_one_layer_and_stands_beside_others(tmp_path: Path) -> None:
    twice = ("a = Sub x running_mean", "b = Div a sd", "c = Mul b weight", "d = Add c bias",
             "e = Sub d running_mean", "f = Div e sd", "g = Mul f weight", "h = Add g bias")  # fmt: skip
    proto = arithmetic(twice)
    proto.graph.node.append(norm_node("other", "h", "y"))
    proto.graph.initializer.extend(norm_values("other"))
    report = bncheck.inspect(saved(proto, tmp_path), data())
    assert [(layer.name, layer.status, layer.calls) for layer in report.layers] == [
        ("bn", "measured", 2),
        ("other", "measured", 1),
    ]


def test_a_reference_is_compared_with_it(tmp_path: Path) -> None:
    path = saved(arithmetic(TOLD["inverse stored"]), tmp_path)
    reference = model([norm_node("bn", "x", "y", epsilon=EPS)], norm_values("bn"))
    report = bncheck.inspect(path, reference=saved(reference, tmp_path, "reference.onnx"))
    assert report.findings == ()
    stale = model([norm_node("bn", "x", "y", epsilon=EPS)], norm_values("bn"))
    stale.graph.initializer[3].CopyFrom(numpy_helper.from_array((VAR * 4).astype(np.float32), "bn.running_var"))
    report = bncheck.inspect(path, reference=saved(stale, tmp_path, "reference.onnx"))
    assert [finding.code for finding in report.findings] == ["BN403"]


def test_names_come_from_the_path_of_nodes_whose_constants_have_none(tmp_path: Path) -> None:
    proto = arithmetic(TOLD["divided"])
    numbered = {f"bn.{name}": f"const_fold_opt__{number}" for number, name in enumerate(STORED)}
    for node in proto.graph.node[1:]:
        node.name = f"model/stem/norm/batchnorm/{node.op_type.lower()}"
        for at, name in enumerate(node.input):
            node.input[at] = numbered.get(name, name)
    for value in proto.graph.initializer:
        value.name = numbered.get(value.name, value.name)
    (layer,) = open_model(saved(proto, tmp_path)).layers
    assert layer.name == "model/stem/norm"


@pytest.mark.parametrize("inputs", [[], ["x"], ["", "bn.running_mean"], ["x", "bn.running_mean", "x"]])
@pytest.mark.parametrize("line", range(6))
def test_nodes_that_lack_inputs_are_left_alone(tmp_path: Path, line: int, inputs: list[str]) -> None:
    proto = arithmetic(TOLD["divided"])
    node = proto.graph.node[1 + line]
    if node.op_type == "Sqrt" and inputs == ["x"]:
        inputs = []
    del node.input[:]
    node.input.extend(inputs)
    assert [layer.name for layer in open_model(saved(proto, tmp_path)).layers if layer.name == "bn"] in ([], ["bn"])
    del node.output[:]
    open_model(saved(proto, tmp_path))


def test_a_constant_that_leads_to_itself_is_none(tmp_path: Path) -> None:
    proto = arithmetic((*TOLD["divided"][:5], "y = Add c loop", "loop = Identity pool", "pool = Identity loop"))
    assert open_model(saved(proto, tmp_path)).layers[0].bias is None


@pytest.mark.slow
def test_both_of_pytorchs_exporters_write_such_a_layer(tmp_path: Path) -> None:
    class ByHand(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, array in ARRAYS.items():
                self.register_buffer(name, torch.from_numpy(array.astype(np.float32)).reshape(1, 3, 1, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.relu(x)
            return (y - self.running_mean) / torch.sqrt(self.running_var + EPS) * self.weight + self.bias

    for dynamo in (False, True):
        options = {"dynamo": dynamo, "verbose": False} | (
            {"optimize": False} if dynamo else {"do_constant_folding": False}
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(ByHand().eval(), (torch.zeros(2, 3, 4, 4),), tmp_path / "net.onnx", **options)
        (layer,) = open_model(tmp_path / "net.onnx").layers
        np.testing.assert_allclose(layer.mean, MEAN, rtol=1e-6)
        np.testing.assert_allclose(layer.var, VAR + (0 if layer.eps else EPS), rtol=1e-5)
