"""Running ONNX models: the numbers of every operator set, type and shape, and what is said where it fails."""

import warnings
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
import torch
from hand_written import BIAS, MEAN, SCALE, VAR, model, norm_node, norm_values, one_norm, saved
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import bncheck
from bncheck.data import Batch
from bncheck.errors import DataError, ModelError, UsageError
from bncheck.formats import open_model
from bncheck.formats.onnx.running import weights
from bncheck.formats.onnx.running.loaded import LoadedModel
from bncheck.results.report import Report
from bncheck.watch import BATCH, STORED, Recorder
from bncheck.watch import Batch as ByBatch

measured_alone = pytest.mark.usefixtures("without_probes")
NEWEST = onnx.defs.onnx_opset_version()


def data(samples: int = 40, shape: tuple[int, ...] = (3, 4, 4), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.4, 1.3, (samples, *shape)).astype(np.float32)


def assert_moments(report: Report, x: np.ndarray, name: str = "bn", rel: float = 1e-5) -> None:
    layer = next(layer for layer in report.layers if layer.name == name)
    axes = (0, *range(2, x.ndim))
    values = x.astype(np.float64)
    sd = values.std(axes)
    assert np.all(
        np.abs(layer.table.measured_mean - values.mean(axes)) <= rel * np.maximum(sd, np.abs(values.mean(axes)))
    )
    np.testing.assert_allclose(layer.table.measured_var, values.var(axes), rtol=rel)
    mean, var = values.mean(axes), values.var(axes)
    shift, scale = (mean - MEAN) / np.sqrt(VAR + 1e-5), np.sqrt((var + 1e-5) / (VAR + 1e-5))
    np.testing.assert_allclose(layer.table.own_gap, np.sqrt(shift**2 + (scale - 1) ** 2), rtol=1e-3)


@measured_alone
@pytest.mark.parametrize("opset", [7, 9, 13, 15, 18, NEWEST])
def test_every_operator_set_gives_the_moments_of_numpy(tmp_path: Path, opset: int) -> None:
    x = data()
    assert_moments(bncheck.inspect(saved(one_norm(opset), tmp_path), x), x)


def test_files_before_ir_4_list_their_initializers_as_inputs(tmp_path: Path) -> None:
    proto = one_norm(8)
    proto.ir_version = 3
    for tensor in proto.graph.initializer:
        proto.graph.input.append(helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, [3]))
    x = data()
    assert_moments(bncheck.inspect(saved(proto, tmp_path), x), x)


def test_a_newer_file_format_than_the_runtime_knows_is_read(tmp_path: Path) -> None:
    proto = one_norm(shape=(1, 3, 4, 4))
    proto.ir_version = onnx.IR_VERSION
    x = data()
    assert_moments(bncheck.inspect(saved(proto, tmp_path), x), x)


@measured_alone
@pytest.mark.parametrize("shape", [(3,), (3, 5), (3, 2, 3, 4)])
def test_inputs_of_any_rank_are_measured(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = data(60, shape)
    assert_moments(bncheck.inspect(saved(one_norm(shape=(None, *shape)), tmp_path), x), x)


def test_the_users_file_stays_as_it_is(tmp_path: Path) -> None:
    path = saved(one_norm(), tmp_path)
    before = path.read_bytes()
    bncheck.inspect(path, data())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@measured_alone
@pytest.mark.parametrize("offset", [30.0, 1e3, 1e4])
def test_large_means_do_not_cancel(tmp_path: Path, offset: float) -> None:
    x = (np.random.default_rng(1).normal(0, 1, (40, 3, 20, 20)) + offset).astype(np.float32)
    report = bncheck.inspect(saved(one_norm(shape=(None, 3, None, None)), tmp_path), x)
    values = x.astype(np.float64)
    (table,) = (layer.table for layer in report.layers)
    np.testing.assert_allclose(table.measured_var, values.var((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(table.measured_mean, values.mean((0, 2, 3)), rtol=1e-5)


@measured_alone
def test_long_runs_of_few_values_do_not_round_one_way(tmp_path: Path) -> None:
    x = np.where(np.random.default_rng(1).random((4, 3, 160, 160)) > 0.8, 0.1, 0.0).astype(np.float32)
    report = bncheck.inspect(saved(one_norm(shape=(None, 3, None, None)), tmp_path), x)
    (table,) = (layer.table for layer in report.layers)
    np.testing.assert_allclose(table.measured_var, x.astype(np.float64).var((0, 2, 3)), rtol=1e-5)


@measured_alone
def test_samples_of_several_sizes_are_measured(tmp_path: Path) -> None:
    batches = [data(20, (3, 40, 40)), data(20, (3, 5, 5), seed=1)]
    report = bncheck.inspect(saved(one_norm(shape=(None, 3, None, None)), tmp_path), batches)
    rows = np.concatenate([batch.transpose(0, 2, 3, 1).reshape(-1, 3) for batch in batches]).astype(np.float64)
    np.testing.assert_allclose(report.layers[0].table.measured_var, rows.var(0), rtol=1e-5)


@measured_alone
@pytest.mark.parametrize(
    ("element_type", "dtype", "noted"),
    [
        (TensorProto.FLOAT16, np.float16, False),
        (TensorProto.BFLOAT16, ml_dtypes.bfloat16, True),
        (TensorProto.DOUBLE, np.float64, False),
    ],
)
def test_other_types_are_measured(tmp_path: Path, element_type: int, dtype: type, noted: bool) -> None:
    proto = model([norm_node("bn", "x", "y")], norm_values("bn", dtype), element_type=element_type)
    x = data().astype(np.float16)
    report = bncheck.inspect(saved(proto, tmp_path), x.astype(np.float32))
    assert_moments(report, x)
    assert any("in float32" in note for note in report.run.notes) == noted


def test_the_outputs_are_those_of_the_plain_model(tmp_path: Path) -> None:
    seen = {}

    def metric(outputs: torch.Tensor, labels: torch.Tensor) -> float:
        seen[len(seen)] = outputs
        return 0.0

    x = data(40)
    bncheck.inspect(saved(one_norm(), tmp_path), (x, np.zeros(40, int)), metric=metric, seed=3)
    drawn = x[np.random.default_rng(3).permutation(40)].transpose(0, 2, 3, 1)
    expected = (drawn - MEAN) / np.sqrt(VAR + 1e-5) * SCALE + BIAS
    np.testing.assert_allclose(seen[0].numpy().transpose(0, 2, 3, 1), expected, rtol=1e-4, atol=1e-5)


def test_a_layer_called_twice_is_reported_per_call(tmp_path: Path) -> None:
    nodes = [norm_node("bn", "x", "h"), norm_node("bn", "h", "y")]
    (layer,) = bncheck.inspect(saved(model(nodes, norm_values("bn")), tmp_path), data()).layers
    assert layer.calls == 2
    assert len(layer.call_gaps) == 2


def two_branches() -> onnx.ModelProto:
    branch = helper.make_graph(
        [norm_node("inner", "x", "t")], "then", [], [helper.make_tensor_value_info("t", TensorProto.FLOAT, None)]
    )
    other = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["e"])],
        "else",
        [],
        [helper.make_tensor_value_info("e", TensorProto.FLOAT, None)],
    )
    yes = numpy_helper.from_array(np.array(True), "yes")
    nodes = [
        helper.make_node("If", ["yes"], ["h"], then_branch=branch, else_branch=other),
        norm_node("bn", "h", "y"),
    ]
    return model(nodes, [yes, *norm_values("inner"), *norm_values("bn")])


def test_layers_in_bodies_are_skipped_as_unsupported(tmp_path: Path) -> None:
    report = bncheck.inspect(saved(two_branches(), tmp_path), data())
    assert [(layer.name, layer.status, layer.reason) for layer in report.layers] == [
        ("inner", "skipped", "unsupported"),
        ("bn", "measured", None),
    ]
    assert any("inner cannot be measured: it stands in the body of a node of type If" in n for n in report.run.notes)


def test_spatial_0_of_old_operator_sets_is_unsupported(tmp_path: Path) -> None:
    nodes = [norm_node("bn", "x", "h"), norm_node("odd", "h", "y", spatial=0)]
    odd = [numpy_helper.from_array(np.ones((3, 4, 4), np.float32), value.name) for value in norm_values("odd")]
    opened = bncheck.formats.open_model(saved(model(nodes, [*norm_values("bn"), *odd], opset=8), tmp_path))
    assert opened.unsupported == {"odd"}


def test_functions_are_inlined(tmp_path: Path) -> None:
    proto = one_norm()
    body = helper.make_function(
        "mine",
        "Norm",
        ["x", "s", "b", "m", "v"],
        ["y"],
        [helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"])],
        [helper.make_opsetid("", 17)],
    )
    given = list(proto.graph.node[0].input)
    del proto.graph.node[:]
    proto.graph.node.append(helper.make_node("Norm", given, ["y"], domain="mine"))
    proto.functions.append(body)
    proto.opset_import.append(helper.make_opsetid("mine", 1))
    x = data()
    assert_moments(bncheck.inspect(saved(proto, tmp_path), x), x)


@measured_alone
@pytest.mark.parametrize("size", [1, 32])
def test_a_fixed_batch_is_widened_where_the_graph_takes_more(tmp_path: Path, size: int) -> None:
    x = data(70)
    report = bncheck.inspect(saved(one_norm(shape=(size, 3, 4, 4)), tmp_path), x)
    assert_moments(report, x)
    assert report.data.samples == 70
    assert any(f"batches of exactly {size}, but run in larger ones" in note for note in report.run.notes)


def test_a_batch_of_minus_one_means_any(tmp_path: Path) -> None:
    """As paddle2onnx writes it."""
    x = data(70)
    report = bncheck.inspect(saved(one_norm(shape=(-1, 3, 4, 4)), tmp_path), x)
    assert_moments(report, x)
    assert report.data.samples == 70
    assert report.data.batch_size == 64


@measured_alone
@pytest.mark.parametrize("size", [1, 32])
def test_a_fixed_batch_stays_where_a_constant_shape_would_mix_samples(tmp_path: Path, size: int) -> None:
    shape = numpy_helper.from_array(np.array([size, -1]), "shape")
    nodes = [norm_node("bn", "x", "h"), helper.make_node("Reshape", ["h", "shape"], ["y"])]
    proto = model(nodes, [*norm_values("bn"), shape], shape=(size, 3, 4, 4))
    report = bncheck.inspect(saved(proto, tmp_path), data(70))
    assert report.data.samples == (70 if size == 1 else 64)
    assert report.data.batch_size == size
    assert (report.layers[0].own_gap is None) == (size == 1)


def two_inputs(folder: Path) -> Path:
    nodes = [helper.make_node("Sub", ["left", "right"], ["h"]), norm_node("bn", "h", "y")]
    return saved(model(nodes, norm_values("bn"), inputs=("left", "right")), folder)


def test_several_inputs_go_by_name(tmp_path: Path) -> None:
    left, right = data(), data(seed=1)
    np.savez(tmp_path / "x.npz", left=left, right=right)
    assert_moments(bncheck.inspect(two_inputs(tmp_path), tmp_path / "x.npz"), left - right)


def test_what_does_not_fit_says_what_is_expected(tmp_path: Path) -> None:
    pair = two_inputs(tmp_path)
    with pytest.raises(DataError, match=r"it takes 2 inputs, left, right, not 1.*left \(N, 3, 4, 4\) float32"):
        bncheck.inspect(pair, data())
    with pytest.raises(DataError, match="its inputs are named left, right"):
        bncheck.inspect(pair, {"left": data(), "wrong": data()})
    single = saved(one_norm(), tmp_path, "one.onnx")
    with pytest.raises(DataError, match="axis 1 of x has size 3, not 5"):
        bncheck.inspect(single, data(20, (5, 4, 4)))
    with pytest.raises(DataError, match="x has 4 axes, not 2"):
        bncheck.inspect(single, data(20, (3,)))


def test_what_the_runtime_says_is_passed_on(tmp_path: Path) -> None:
    kernel = numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
    nodes = [norm_node("bn", "x", "h"), helper.make_node("MatMul", ["h", "w"], ["y"])]
    path = saved(model(nodes, [*norm_values("bn"), kernel], shape=(None, None, None, None)), tmp_path)
    with pytest.raises(DataError, match=r"it says: .*MatMul.*It expects x \(N, \?, \?, \?\) float32"):
        bncheck.inspect(path, data())


def test_an_operator_nobody_knows_is_the_models_fault(tmp_path: Path) -> None:
    nodes = [norm_node("bn", "x", "h"), helper.make_node("Unheard", ["h"], ["y"], domain="of")]
    proto = model(nodes, norm_values("bn"))
    proto.opset_import.append(helper.make_opsetid("of", 1))
    path = saved(proto, tmp_path)
    assert bncheck.inspect(path).layers[0].status == "audited"
    with pytest.raises(ModelError, match=r"onnxruntime cannot load .*Unheard"):
        bncheck.inspect(path, data())


def test_an_output_is_chosen_by_name_or_index(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["features"]), norm_node("bn", "x", "y")]
    path = saved(model(nodes, norm_values("bn"), outputs=("features", "y")), tmp_path)
    assert bncheck.inspect(path, data()).effect.output_change == 0
    for chosen in ("y", "1"):
        assert bncheck.inspect(path, data(), output=chosen).effect.output_change > 0.1
    with pytest.raises(UsageError, match="the model returns the keys features, y"):
        bncheck.inspect(path, data(), output="scores")


def test_batch_norm_left_in_a_quantized_model_is_measured(tmp_path: Path) -> None:
    scale = numpy_helper.from_array(np.array(0.05, np.float32), "scale")
    zero = numpy_helper.from_array(np.array(128, np.uint8), "zero")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["h"]),
        norm_node("bn", "h", "y"),
    ]
    x = data()
    quantized = (np.clip(np.round(x / np.float32(0.05)), -128, 127) * np.float32(0.05)).astype(np.float32)
    assert_moments(bncheck.inspect(saved(model(nodes, [*norm_values("bn"), scale, zero]), tmp_path), x), quantized)


def test_a_folded_export_of_torch_is_not_called_checked(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (torch.zeros(2, 3, 4, 4),), tmp_path / "net.onnx", dynamo=False)
    report = bncheck.inspect(tmp_path / "net.onnx", data())
    assert [finding.code for finding in report.findings] == ["BN705"]
    assert (report.layers, report.summary.exit_code) == ((), 4)


def test_layers_are_not_normalized_with_other_processes(tmp_path: Path) -> None:
    """ONNX Runtime computes a layer in one go: between its moments and its answer there is no place to ask anybody."""
    path = saved(model([norm_node("bn", "x", "y")], norm_values("bn")), tmp_path)
    with (
        open_model(path).session("x", 0) as session,
        pytest.raises(UsageError, match="sync is of models that PyTorch runs"),
    ):
        session.run(Batch(torch.zeros(4, 3, 4, 4), None, 4), ByBatch(lambda site, moments: moments), None)


def test_the_sessions_of_a_model_share_its_large_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weight = np.random.default_rng(1).normal(size=(3, 3, 32, 32)).astype(np.float32)
    proto = model(
        [helper.make_node("Conv", ["x", "kernel"], ["mapped"], pads=[16, 16, 15, 15]), norm_node("bn", "mapped", "y")],
        [numpy_helper.from_array(weight, "kernel"), *norm_values("bn")],
    )
    path = saved(proto, tmp_path)
    x = data()
    shared = bncheck.inspect(path, x).to_dict()
    opened = open_model(path)
    made: list[LoadedModel] = []
    kept = LoadedModel.__init__

    def watched(self: LoadedModel, *args: object) -> None:
        kept(self, *args)  # type: ignore[arg-type]
        made.append(self)

    monkeypatch.setattr(LoadedModel, "__init__", watched)
    with opened.session("x", 0) as session:
        for policy, recorder in (
            (STORED, Recorder(per_sample=True)),
            (STORED, None),
            (BATCH, Recorder(per_sample=False)),
        ):
            session.run(Batch(torch.from_numpy(x), None, len(x)), policy, recorder)
    assert len(made) == 4  # and one that compares the runtime with float64
    assert {one._weights.names for one in made} == {("kernel",)}
    assert len({id(one._weights.values[0]) for one in made}) == 1
    assert numpy_helper.to_array(opened.graph.proto.graph.initializer[0]).shape == weight.shape
    assert not opened.graph.proto.graph.initializer[0].external_data
    monkeypatch.setattr(weights, "SMALL", 2**40)
    assert bncheck.inspect(path, x).to_dict() == shared
