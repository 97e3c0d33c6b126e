"""ONNX models repaired: initializers and constants, shared ones, external data, functions."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from repair_nets import LAYERS, Net, assert_statistics, bytes_of, expected_statistics, images, stale_net
from torch import nn

import bncheck
from bncheck.errors import ModelError

pytestmark = pytest.mark.usefixtures("without_probes")  # what is written does not hang on them

X = images()
MEAN, VAR = np.array([0.5, -1.0]), np.array([1.0, 4.0])


def by_torchscript(net: nn.Module, path: Path, **more: Any) -> Path:
    keeping = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    axes = {"x": {0: "batch"}, "y": {0: "batch"}}
    return _export(net, path, dynamo=False, dynamic_axes=axes, **keeping, **more)


def by_dynamo(net: nn.Module, path: Path, **more: Any) -> Path:
    shapes = ({0: torch.export.Dim("batch")},)
    return _export(net, path, dynamo=True, optimize=False, dynamic_shapes=shapes, verbose=False, **more)


def _export(net: nn.Module, path: Path, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (torch.from_numpy(X[:3]),), path, input_names=["x"], output_names=["y"], **options)
    return path


def outputs(path: Path, x: np.ndarray = X) -> np.ndarray:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def reference(net: nn.Module) -> np.ndarray:
    fresh = Net().eval()
    fresh.load_state_dict(net.state_dict() | expected_statistics(net))
    with torch.no_grad():
        return fresh(torch.from_numpy(X)).numpy()


def stored(path: Path) -> dict[str, torch.Tensor]:
    proto = onnx.load(path)
    return {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in proto.graph.initializer}


@pytest.mark.slow
@pytest.mark.parametrize("export", [by_torchscript, by_dynamo], ids=lambda export: export.__name__)
def test_an_exported_graph_runs_by_the_statistics_of_the_data(tmp_path: Path, export: Any) -> None:
    net = stale_net()
    path = export(net, tmp_path / "net.onnx")
    before = bytes_of(tmp_path)
    result = bncheck.repair_file(path, X, out=tmp_path / "new.onnx")
    assert result.changed == tuple(LAYERS)
    assert {name: bytes_of(tmp_path)[name] for name in before} == before
    onnx.checker.check_model(str(tmp_path / "new.onnx"))
    np.testing.assert_allclose(outputs(tmp_path / "new.onnx"), reference(net), rtol=1e-3, atol=1e-4)
    old, new = stored(path), stored(tmp_path / "new.onnx")
    assert_statistics(new, net, tolerance=1e-4)
    assert list(new) == list(old)
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed == {f"{layer}.{role}" for layer in LAYERS for role in ("running_mean", "running_var")}


def graph(nodes: list[onnx.NodeProto], values: list[onnx.TensorProto], **how: Any) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info("x", how.get("type", TensorProto.FLOAT), ["n", 2, 7, 6])]
    outputs_ = [helper.make_tensor_value_info("y", how.get("type", TensorProto.FLOAT), ["n", 2, 7, 6])]
    made = helper.make_graph(nodes, "net", [*inputs, *how.get("listed", [])], outputs_, values)
    proto = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=how.get("ir", 8))
    onnx.helper.set_model_props(proto, {"author": "somebody"})
    return proto


def norm(x: str, y: str, mean: str = "m", var: str = "v", **more: Any) -> onnx.NodeProto:
    return helper.make_node("BatchNormalization", [x, "s", "b", mean, var], [y], **more)


def value(name: str, array: np.ndarray, dtype: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(array.astype(dtype), name)


AFFINE = [value("s", np.ones(2)), value("b", np.zeros(2))]
STATS = [value("m", MEAN), value("v", VAR)]


def repaired(proto: onnx.ModelProto, folder: Path, **how: Any) -> onnx.ModelProto:
    """The repaired graph, which normalizes the data to mean 0 and variance 1."""
    (folder / "net.onnx").write_bytes(proto.SerializeToString())
    result = bncheck.repair_file(folder / "net.onnx", how.pop("x", X), out=folder / "new.onnx", force=True, **how)
    assert result.path is not None
    onnx.checker.check_model(str(folder / "new.onnx"))
    new = onnx.load(folder / "new.onnx")
    assert {prop.key: prop.value for prop in new.metadata_props} == {"author": "somebody"}
    return new


def assert_normalized(folder: Path) -> None:
    y = outputs(folder / "new.onnx").astype(float)
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(y.var((0, 2, 3)), 1, rtol=1e-3)


def test_constant_nodes_are_changed_in_place(tmp_path: Path) -> None:
    constants = [helper.make_node("Constant", [], [t.name], value=t) for t in STATS]
    new = repaired(graph([*constants, norm("x", "y")], AFFINE), tmp_path)
    assert [node.op_type for node in new.graph.node] == ["Constant", "Constant", "BatchNormalization"]
    assert len(new.graph.initializer) == 2
    assert_normalized(tmp_path)


@pytest.mark.parametrize("ir", [3, 8])
def test_a_value_that_something_else_uses_stays_and_the_layer_gets_its_own(tmp_path: Path, ir: int) -> None:
    # Exporters store equal tensors once: here the mean is the bias of another node too.
    nodes = [helper.make_node("Reshape", ["m", "shape"], ["c"]), helper.make_node("Add", ["x", "c"], ["h"])]
    values = [*AFFINE, *STATS, numpy_helper.from_array(np.array([1, 2, 1, 1]), "shape")]
    listed = [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in values] if ir == 3 else []
    new = repaired(graph([*nodes, norm("h", "y")], values, ir=ir, listed=listed), tmp_path)
    kept = {t.name: numpy_helper.to_array(t) for t in new.graph.initializer}
    np.testing.assert_array_equal(kept["m"], MEAN.astype(np.float32))
    assert new.graph.node[-1].input[3] == "m_repaired"
    assert [value.name for value in new.graph.input][-1] == ("m_repaired" if ir == 3 else "x")
    assert_normalized(tmp_path)


def test_two_layers_that_share_their_statistics_part(tmp_path: Path) -> None:
    other = [value("s2", np.full(2, 2.0)), value("b2", np.full(2, 3.0))]
    second = helper.make_node("BatchNormalization", ["h", "s2", "b2", "m", "v"], ["y"])
    new = repaired(graph([norm("x", "h"), second], [*AFFINE, *STATS, *other]), tmp_path)
    first, last = new.graph.node
    assert first.input[3] != last.input[3]
    y = outputs(tmp_path / "new.onnx").astype(float)
    np.testing.assert_allclose(y.mean((0, 2, 3)), 3, atol=1e-3)
    np.testing.assert_allclose(y.std((0, 2, 3)), 2, rtol=1e-3)


def test_a_layer_called_twice_stays_one(tmp_path: Path) -> None:
    new = repaired(graph([norm("x", "h"), norm("h", "y")], [*AFFINE, *STATS]), tmp_path)
    assert {tuple(node.input[1:]) for node in new.graph.node} == {("s", "b", "m", "v")}


def test_a_value_computed_from_constants_gives_way_to_a_plain_one(tmp_path: Path) -> None:
    double = value("m64", MEAN, np.float64)
    cast = helper.make_node("Cast", ["m64"], ["m"], to=TensorProto.FLOAT)
    new = repaired(graph([cast, norm("x", "y")], [*AFFINE, double, STATS[1]]), tmp_path)
    assert new.graph.node[-1].input[3] == "m_repaired"
    assert_normalized(tmp_path)


def test_half_precision_is_kept_and_overflow_refused(tmp_path: Path) -> None:
    values = [value(t.name, numpy_helper.to_array(t), np.float16) for t in (*AFFINE, *STATS)]
    proto = graph([norm("x", "y")], values, type=TensorProto.FLOAT16)
    new = repaired(proto, tmp_path)
    assert {t.data_type for t in new.graph.initializer} == {TensorProto.FLOAT16}
    with pytest.raises(ModelError, match=r"running_var cannot be written: the value .* beyond float16"):
        bncheck.repair_file(tmp_path / "net.onnx", X * 1e3, out=tmp_path / "big.onnx")
    assert not (tmp_path / "big.onnx").exists()


def test_external_data_are_copied_with_the_model(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    proto = graph([norm("x", "y")], [*AFFINE, *STATS])
    onnx.save_model(
        proto, tmp_path / "old" / "net.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    before = bytes_of(tmp_path / "old")
    bncheck.repair_file(tmp_path / "old" / "net.onnx", X, out=tmp_path / "new" / "net.onnx", force=True)
    assert bytes_of(tmp_path / "old") == before
    assert set(bytes_of(tmp_path / "new")) == {"net.onnx", "net.onnx.data"}
    y = outputs(tmp_path / "new" / "net.onnx").astype(float)
    np.testing.assert_allclose(y.var((0, 2, 3)), 1, rtol=1e-3)
    beside = bncheck.repair_file(tmp_path / "old" / "net.onnx", X, out=tmp_path / "old" / "again.onnx", force=True)
    assert {name: bytes_of(tmp_path / "old")[name] for name in before} == before
    np.testing.assert_array_equal(outputs(Path(beside.path)), outputs(tmp_path / "new" / "net.onnx"))


def test_a_layer_inside_a_function_is_repaired_in_the_inlined_graph(tmp_path: Path) -> None:
    inner = helper.make_node("BatchNormalization", ["a", "fs", "fb", "fm", "fv"], ["r"])
    sets = [helper.make_opsetid("", 17)]
    function = helper.make_function("local", "Norm", ["a", "fs", "fb", "fm", "fv"], ["r"], [inner], sets)
    call = helper.make_node("Norm", ["x", "s", "b", "m", "v"], ["y"], domain="local")
    proto = graph([call], [*AFFINE, *STATS])
    proto.functions.append(function)
    proto.opset_import.append(helper.make_opsetid("local", 1))
    new = repaired(proto, tmp_path)
    assert not new.functions
    assert_normalized(tmp_path)


def test_a_model_in_training_mode_cannot_be_repaired(tmp_path: Path) -> None:
    proto = graph([norm("x", "y", training_mode=1)], [*AFFINE, *STATS])
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match=r"cannot be repaired: .* training mode .*Export it again in eval mode"):
        bncheck.repair_file(tmp_path / "net.onnx", X, out=tmp_path / "new.onnx")


def test_folded_normalization_leaves_nothing_to_repair(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(stale_net(), (torch.from_numpy(X[:3]),), tmp_path / "net.onnx", dynamo=False)
    result = bncheck.repair_file(tmp_path / "net.onnx", X[:3].repeat(30, 0), out=tmp_path / "new.onnx")
    assert (result.outcome, result.exit_code) == ("nothing-to-repair", 4)
