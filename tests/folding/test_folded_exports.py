"""Files that torch's exporters, onnxscript and onnxruntime write, folded and not, beside the network itself."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import onnxscript
import onnxscript.optimizer
import pytest
import torch
from folded_nets import (
    Pooled,
    Residual,
    assert_same,
    codes,
    conv,
    exported,
    images,
    inspect_both,
    measured_alone,
    notes,
    operators,
    report_of,
    skipped,
    the,
    three_blocks,
    trained,
)
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import bncheck
from bncheck.errors import ModelError, UsageError

LAYERS = ["body.1", "body.4", "body.7"]
IMAGES, SCORES = onnxscript.FLOAT["N", 3, 8, 8], onnxscript.FLOAT["N", 4]


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return three_blocks()


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return images()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def traced(net, x, folder) -> Path:
    """By the exporter that traces; everything folded."""
    path = exported(net, x, folder / "traced.onnx")
    assert "BatchNormalization" not in operators(path)
    return path


@pytest.fixture(scope="module")
def dynamo(net, x, folder) -> Path:
    """By the exporter through torch.export; everything folded."""
    path = exported(net, x, folder / "dynamo.onnx", dynamo=True)
    assert "BatchNormalization" not in operators(path)
    return path


@pytest.fixture(scope="module")
def unfolded(net, x, folder) -> Path:
    options = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    return exported(net, x, folder / "unfolded.onnx", **options)


# Both exporters, every mode


@pytest.mark.parametrize("exporter", ["traced", pytest.param("dynamo", marks=pytest.mark.slow), "unfolded"])
def test_the_report_of_an_export_is_that_of_the_network(exporter, net, x, request):
    got, wanted = inspect_both(net, request.getfixturevalue(exporter), x)
    assert_same(got, wanted, uncounted=exporter == "unfolded")
    assert [layer.name for layer in got.layers] == LAYERS
    assert codes(got) == codes(wanted)
    assert (got.summary.verdict, got.summary.exit_code) == (wanted.summary.verdict, wanted.summary.exit_code)
    assert "relative difference" in notes(got)
    for size, other in zip(got.batch_sizes, wanted.batch_sizes, strict=True):
        assert size.gap == pytest.approx(other.gap, rel=1e-3)


@measured_alone
def test_an_export_in_training_mode_is_still_refused(net, x, folder):
    path = exported(copy.deepcopy(net), x, folder / "training.onnx", training=torch.onnx.TrainingMode.TRAINING)
    assert "BN701" in codes(bncheck.inspect(path, x, reference=net))


@measured_alone
@pytest.mark.slow
def test_an_export_through_dynamo_that_was_not_optimized(net, x, folder):
    path = exported(net, x, folder / "dynamo_plain.onnx", dynamo=True, optimize=False)
    assert "BatchNormalization" in operators(path)
    got, wanted = inspect_both(net, path, x)
    assert_same(got, wanted, uncounted=True)


@measured_alone
def test_a_batch_size_of_one_is_widened_and_the_outputs_compared_on_many(net, x, folder):
    got, wanted = inspect_both(net, exported(net, x[:1], folder / "one.onnx", dynamic_axes=None), x)
    assert_same(got, wanted)
    assert "on 64 samples" in notes(got)


def test_without_data_the_reference_is_compared_all_the_same(traced, net):
    report = bncheck.inspect(traced, reference=net)
    assert [layer.status for layer in report.layers] == ["audited"] * 3
    assert (codes(report), report.summary.exit_code) == ([], 0)
    stale = copy.deepcopy(net)
    stale.body[4].running_var *= 2
    finding = the(bncheck.inspect(traced, reference=stale), "BN403")
    assert (finding.layer, finding.evidence["compared"]) == ("body.4", 3)


@pytest.mark.parametrize("data", [False, True])
def test_without_a_reference_a_folded_export_is_not_checked_and_both_ways_out_are_named(data, traced, x):
    report = bncheck.inspect(traced, x if data else None)
    assert (codes(report), report.summary.exit_code) == (["BN705"], 4)
    assert ': reference="model.pt"' in report.findings[0].fix
    assert "bncheck stamp" in report.findings[0].fix


# What is written by other tools


@measured_alone
def test_what_onnxruntime_saves_at_its_basic_level(unfolded, net, x, folder):
    got, wanted = inspect_both(net, optimized(unfolded, folder / "basic.onnx", "BASIC"), x)
    assert_same(got, wanted)
    assert "3 folded layers" in notes(got)


def optimized(path: Path, target: Path, level: str) -> Path:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return target


@measured_alone
def test_convolutions_fused_with_their_activation_are_skipped_and_said_to_be(unfolded, net, x, folder):
    path = optimized(unfolded, folder / "extended.onnx", "EXTENDED")
    assert "FusedConv" in operators(path)
    report = bncheck.inspect(path, x, reference=net)
    assert skipped(report) == {"body.1": "folded", "body.4": "folded"}  # the last one has no activation behind it
    assert "body.1, body.4; the model has weights that cannot be compared (com.microsoft.FusedConv)" in notes(report)
    assert "BN403" not in codes(report)
    assert [layer.name for layer in report.layers] == LAYERS
    measured = report.layers[-1]
    assert measured.gap == pytest.approx(report_of(net, x).layers[-1].gap, rel=1e-3)
    assert bncheck.inspect(path, x, reference=net, select=["BN4"], strict=True).summary.exit_code == 4


@measured_alone
def test_weights_in_the_order_of_one_machine_are_skipped(unfolded, net, x, folder):
    path = optimized(unfolded, folder / "machine.onnx", "ALL")
    report = bncheck.inspect(path, x, reference=net)
    if "com.microsoft.nchwc" in notes(report):  # where the processor has wide enough registers
        assert skipped(report).keys() <= set(LAYERS)
    assert "BN403" not in codes(report)


@measured_alone
def test_what_onnxscript_optimizes(unfolded, net, x, folder):
    model = onnxscript.optimizer.optimize(onnx.load(unfolded))
    onnx.save(model, folder / "onnxscript.onnx")
    got, wanted = inspect_both(net, folder / "onnxscript.onnx", x)
    assert_same(got, wanted)


@measured_alone
def test_what_is_written_in_onnxscript(x, folder):
    net = trained(Pooled(conv(3, 4), nn.BatchNorm2d(4)))
    layer = net.body[1]
    gain = (layer.weight / torch.sqrt(layer.running_var + layer.eps)).detach()
    weight = (net.body[0].weight.detach() * gain[:, None, None, None]).numpy()
    bias = (layer.bias - layer.running_mean * gain).detach().numpy()
    op = onnxscript.opset18

    @onnxscript.script()
    def forward(x: IMAGES) -> SCORES:
        w = op.Constant(value=numpy_helper.from_array(weight))
        b = op.Constant(value=numpy_helper.from_array(bias))
        return op.Flatten(op.GlobalAveragePool(op.Conv(x, w, b)))

    onnx.save(forward.to_model_proto(), folder / "script.onnx")
    got, wanted = inspect_both(net, folder / "script.onnx", x)
    assert_same(got, wanted)


@measured_alone
def test_external_data(traced, net, x, tmp_path):
    onnx.save(onnx.load(traced), tmp_path / "big.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    got, wanted = inspect_both(net, tmp_path / "big.onnx", x)
    assert_same(got, wanted)


# Types


def recast(path: Path, target: Path, dtype: str, kind: int) -> Path:
    """The file with its floats in another type, as converters write it."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(dtype), tensor.name))
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = kind
    onnx.save(model, target)
    return target


TYPES = {
    "float16": (TensorProto.FLOAT16, 1e-2),
    "bfloat16": (TensorProto.BFLOAT16, 5e-2),
    "float64": (TensorProto.DOUBLE, 1e-3),
}


@measured_alone
@pytest.mark.parametrize("dtype", TYPES)
def test_exports_in_other_types(dtype, dynamo, net, x, folder):
    pytest.importorskip("ml_dtypes")
    kind, rel = TYPES[dtype]
    got, wanted = inspect_both(net, recast(dynamo, folder / f"{dtype}.onnx", dtype, kind), x)
    assert_same(got, wanted, rel=rel)
    assert "BN403" not in codes(got)


@measured_alone
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_in_half_precision_moved_statistics_are_found(dtype, dynamo, net, folder):
    pytest.importorskip("ml_dtypes")
    path = recast(dynamo, folder / f"{dtype}.onnx", dtype, TYPES[dtype][0])
    stale = copy.deepcopy(net)
    stale.body[4].running_mean += 2
    assert the(bncheck.inspect(path, reference=stale), "BN403").layer == "body.4"


def stored_coarsely(path: Path, target: Path, dtype: str) -> Path:
    """The file with its weights kept in a smaller type, from which nodes make floats again."""
    model = onnx.load(path)
    nodes = []
    for tensor in list(model.graph.initializer):
        weight, name = numpy_helper.to_array(tensor), tensor.name
        if weight.ndim == 4:
            steps = np.abs(weight).max((1, 2, 3), keepdims=True) / 127 if dtype == "int8" else np.ones((1, 1, 1, 1))
            kept = np.round(weight / steps) if dtype == "int8" else weight
            tensor.CopyFrom(numpy_helper.from_array(kept.astype(dtype), f"{name}.kept"))
            model.graph.initializer.append(numpy_helper.from_array(steps.astype(np.float32), f"{name}.steps"))
            nodes.append(helper.make_node("Cast", [f"{name}.kept"], [f"{name}.float"], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", [f"{name}.float", f"{name}.steps"], [name]))
    for place, node in enumerate(nodes):
        model.graph.node.insert(place, node)
    onnx.save(model, target)
    return target


@measured_alone
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_that_are_kept_in_half_precision_and_computed_with_in_single(dtype, dynamo, net, x, folder):
    pytest.importorskip("ml_dtypes")
    got, wanted = inspect_both(net, stored_coarsely(dynamo, folder / "kept.onnx", dtype), x)
    assert_same(got, wanted, rel=1e-2)
    assert "BN403" not in codes(got)


def test_weights_that_are_kept_in_8_bits_are_quantized_however_they_are_read(dynamo, net, x, folder):
    report = bncheck.inspect(stored_coarsely(dynamo, folder / "kept.onnx", "int8"), x, reference=net)
    assert skipped(report) == dict.fromkeys(LAYERS, "folded")
    assert (codes(report), report.summary.exit_code) == ([], 4)
    assert "cannot be compared (quantized)" in notes(report)


@measured_alone
def test_quantized_activations_hide_no_weights(dynamo, net, x, folder):
    model = onnx.load(dynamo)
    ends = [numpy_helper.from_array(np.float32(0.05), "step"), numpy_helper.from_array(np.uint8(128), "zero")]
    model.graph.initializer.extend(ends)
    model.graph.node.insert(0, helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["q"]))
    model.graph.node.insert(1, helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["rounded"]))
    next(node for node in model.graph.node if node.op_type == "Conv").input[0] = "rounded"
    onnx.save(model, folder / "activations.onnx")
    got, wanted = inspect_both(net, folder / "activations.onnx", x)
    assert_same(got, wanted, rel=2e-2)
    assert "BN403" not in codes(got)


@measured_alone
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_references_in_other_types(dtype, traced, net, x, folder):
    torch.save(copy.deepcopy(net).to(dtype).state_dict(), folder / "cast.pt")
    got, wanted = inspect_both(net, traced, x, folder / "cast.pt")
    assert_same(got, wanted, rel=2e-2 if dtype == torch.bfloat16 else 2e-3)
    assert "BN403" not in codes(got)


@pytest.mark.parametrize("form", ["QDQ", "QOperator", "dynamic"])
def test_quantized_exports_are_a_note_and_no_finding(form, dynamo, net, x, folder):
    from onnxruntime import quantization

    class Calibration(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter([{"x": x[:40]}])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.batches, None)

    path = folder / f"{form}.onnx"
    if form == "dynamic":
        quantization.quantize_dynamic(str(dynamo), str(path))
    else:
        wanted = getattr(quantization.QuantFormat, form)
        quantization.quantize_static(str(dynamo), str(path), Calibration(), quant_format=wanted, per_channel=True)
    report = bncheck.inspect(path, x, reference=net)
    assert skipped(report) == dict.fromkeys(LAYERS, "folded")
    assert (codes(report), report.summary.exit_code) == ([], 4)
    assert "the model has weights that cannot be compared (quantized)" in notes(report)
    assert "Outputs compared" in notes(report)


# Networks of other shapes


@measured_alone
@pytest.mark.slow
def test_convolutions_that_meet_in_an_add(x, folder):
    net = trained(Residual())
    for dynamo in (False, True):
        got, wanted = inspect_both(net, exported(net, x, folder / "residual.onnx", dynamo=dynamo), x)
        assert_same(got, wanted)


class Repeated(nn.Module):
    """A convolution and its BatchNorm run twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.last, self.end = (
            conv(3, 3, padding=1),
            nn.BatchNorm2d(3),
            conv(3, 4),
            nn.BatchNorm2d(4),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(2):
            x = torch.relu(self.bn(self.conv(x)))
        return self.end(self.last(x)).mean((2, 3))


class OneConvolutionTwoNorms(Repeated):
    def __init__(self) -> None:
        super().__init__()
        self.second = nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn(self.conv(x)))
        return self.end(self.last(torch.relu(self.second(self.conv(x))))).mean((2, 3))


class TwoConvolutionsOneNorm(Repeated):
    def __init__(self) -> None:
        super().__init__()
        self.second = conv(3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn(self.conv(x)))
        return self.end(self.last(torch.relu(self.bn(self.second(x))))).mean((2, 3))


@measured_alone
@pytest.mark.parametrize("kind", [Repeated, OneConvolutionTwoNorms, TwoConvolutionsOneNorm])
def test_shared_layers(kind, x, folder):
    net = trained(kind())
    got, wanted = inspect_both(net, exported(net, x, folder / "shared.onnx"), x)
    assert_same(got, wanted)
    assert [layer.call_gaps for layer in got.layers] == [
        None if layer.call_gaps is None else pytest.approx(layer.call_gaps, rel=1e-3) for layer in wanted.layers
    ]


def test_statistics_that_were_never_updated(x, folder):
    """Every layer stores the same: each is found by its weights and its place."""
    net = trained(Pooled(conv(3, 6), nn.BatchNorm2d(6), nn.ReLU(), conv(6, 6), nn.BatchNorm2d(6), nn.ReLU()))
    for layer in (net.body[1], net.body[4]):
        layer.running_mean.zero_()
        layer.running_var.fill_(1)
    path = exported(net, x, folder / "never.onnx")
    assert "BatchNormalization" not in operators(path)
    got, wanted = inspect_both(net, path, x)
    assert_same(got, wanted)
    assert codes(got) == codes(wanted)
    assert "BN102" in codes(got)


class PartlyFolded(nn.Module):
    """BatchNorm before the first convolution, behind an activation, and where it can be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.bn0, self.conv1, self.bn1 = nn.BatchNorm2d(3), conv(3, 6), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = conv(6, 6), nn.BatchNorm2d(6, affine=False)
        self.head, self.bn3 = nn.Linear(6, 7), nn.BatchNorm1d(7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(torch.relu(self.conv2(torch.relu(self.bn1(self.conv1(self.bn0(x)))))))
        return self.bn3(self.head(y.mean((2, 3))))


@measured_alone
@pytest.mark.parametrize("form", ["module", "Lightning checkpoint"])
def test_some_layers_folded_and_some_left(form, x, folder):
    net = trained(PartlyFolded())
    path = exported(net, x, folder / "partly.onnx")
    assert 0 < operators(path).count("BatchNormalization") < 4
    torch.save({"state_dict": {f"model.{k}": v for k, v in net.state_dict().items()}}, folder / "partly.ckpt")
    got, wanted = inspect_both(net, path, x, net if form == "module" else folder / "partly.ckpt")
    assert_same(got, wanted, uncounted=True)
    assert [layer.name for layer in got.layers] == [layer.name for layer in wanted.layers]
    net.bn0.running_mean += 1
    net.bn1.running_mean += 1
    finding = the(bncheck.inspect(path, reference=net), "BN403")
    assert sorted(finding.evidence["layers"]) == ["bn0", "bn1"]
    assert finding.evidence["compared"] == 4


class Auxiliary(nn.Module):
    """A head that only training runs, and a plain convolution with the weights of one that has BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = conv(3, 6), nn.BatchNorm2d(6)
        self.extra, self.extra_bn = conv(6, 4), nn.BatchNorm2d(4)
        self.twin = conv(3, 6, bias=True)
        self.head = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn(self.conv(x)))
        if self.training:
            return self.extra_bn(self.extra(y))
        return self.head((y + self.twin(x)).mean((2, 3)))


@measured_alone
def test_a_head_that_is_not_exported_and_a_plain_twin(x, folder):
    net = trained(Auxiliary())
    with torch.no_grad():
        net.twin.weight.copy_(net.conv.weight)
    path = exported(net, x, folder / "auxiliary.onnx")
    report = bncheck.inspect(path, x, reference=net)
    assert skipped(report) == {"extra_bn": "folded"}
    assert "Layers of Auxiliary that are not found: extra_bn; their weights were changed" in notes(report)
    measured = {layer.name: layer.gap for layer in report.layers if layer.status == "measured"}
    assert measured == {"bn": pytest.approx(report_of(net, x).layers[0].gap, rel=1e-3)}
    assert "BN403" not in codes(report)


# References of every kind, and wrong ones


@pytest.mark.slow
def test_references_of_every_kind(traced, net, x, folder, unfolded):
    state, tensor = net.state_dict(), torch.from_numpy(x[:3])
    wanted = report_of(net, x)
    torch.save(state, folder / "state.pt")
    torch.save({f"module.{name}": value for name, value in state.items()}, folder / "parallel.pt")
    torch.save({"epoch": 3, "model": state, "optimizer": {"state": {}}}, folder / "nested.pt")
    torch.save(net, folder / "module.pkl")
    torch.jit.trace(net, tensor).save(str(folder / "traced.pt"))
    torch.jit.script(net).save(str(folder / "scripted.pt"))
    program = torch.export.export(net, (tensor,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, folder / "program.pt2")
    torch.export.save(program.run_decompositions(), folder / "decomposed.pt2")
    for name in ("state.pt", "parallel.pt", "nested.pt", "module.pkl", "traced.pt", "scripted.pt", "program.pt2"):
        got = bncheck.inspect(traced, x, reference=folder / name, trust_pickle=True)
        assert_same(got, wanted, uncounted=True)
        assert codes(got) == codes(wanted)
    for reference in (folder / "decomposed.pt2", unfolded):
        got = bncheck.inspect(traced, x, reference=reference)
        assert_same(got, wanted, uncounted=True)
        assert "Outputs compared" in notes(got)


@measured_alone
def test_a_state_dict_that_does_not_tell_eps(x, folder):
    net = three_blocks(eps=1e-3)
    torch.save(net.state_dict(), folder / "eps.pt")
    got, wanted = inspect_both(net, exported(net, x, folder / "eps.onnx"), x, folder / "eps.pt")
    assert_same(got, wanted)
    assert [layer.stored_eps for layer in got.layers] == [1e-3] * 3
    assert "Name its architecture with reference_arch" in notes(got)


@measured_alone
def test_a_folded_reference_is_a_mistake(traced, dynamo, x):
    with pytest.raises(UsageError, match="has no normalization layers with stored statistics"):
        bncheck.inspect(traced, x, reference=dynamo)


@measured_alone
def test_another_checkpoint_altogether(traced, net, x):
    other = trained(copy.deepcopy(net), seed=5)
    with pytest.raises(ModelError, match=r"No normalization layer of Pooled is found in .*traced\.onnx"):
        bncheck.inspect(traced, x, reference=other)


@measured_alone
def test_weights_that_were_trained_further(net, x, folder):
    tuned = copy.deepcopy(net)
    with torch.no_grad():
        tuned.body[6].weight += 0.1 * torch.randn(
            tuned.body[6].weight.shape, generator=torch.Generator().manual_seed(0)
        )
    report = bncheck.inspect(exported(tuned, x, folder / "tuned.onnx"), x, reference=net)
    assert skipped(report) == {"body.7": "folded"}
    finding = the(report, "BN403")  # the weights that differ show in the outputs
    assert "although the statistics of the layers found in both are the same" in finding.message
    assert "part after body.4" in finding.message


@measured_alone
@pytest.mark.parametrize("what", ["running_mean", "running_var", "weight", "bias"])
def test_whatever_moved_since_is_found_in_its_layer_alone(what, traced, net, x):
    stale = copy.deepcopy(net)
    with torch.no_grad():
        values = getattr(stale.body[4], what)
        values.add_(0.3) if what in ("running_mean", "bias") else values.mul_(1.5)
    report = bncheck.inspect(traced, x, reference=stale)
    finding = the(report, "BN403")
    assert (finding.severity, finding.layer, report.summary.exit_code) == ("error", "body.4", 1)
    assert "gamma and beta" in finding.fix
    assert [layer.codes for layer in report.layers] == [(), ("BN403",), ()]
    if what.startswith("running"):  # the gaps are those against what was folded in
        wanted = report_of(net, x)
        assert [layer.gap for layer in report.layers] == pytest.approx([layer.gap for layer in wanted.layers], rel=1e-3)


@measured_alone
def test_a_thousandth_of_a_standard_deviation_is_no_difference(traced, net):
    near = copy.deepcopy(net)
    near.body[4].running_mean += 1e-3
    assert codes(bncheck.inspect(traced, reference=near)) == []


# Outputs


@measured_alone
def test_the_first_layer_that_is_fed_something_else_is_named(net, x, folder):
    """Two like input channels swapped: no layer's pooled statistics tell it, every sample does."""

    class Swapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x[:, [1, 0, 2]])

    report = bncheck.inspect(exported(Swapped().eval(), x, folder / "swapped.onnx"), x, reference=net)
    evidence = the(report, "BN403").evidence
    assert (evidence["parts_at"], evidence["agrees_until"]) == ("body.1", None)


@measured_alone
def test_an_activation_that_was_replaced(net, x, folder):
    other = copy.deepcopy(net)
    other.body[5] = nn.SiLU()
    report = bncheck.inspect(exported(other, x, folder / "silu.onnx"), x, reference=net)
    evidence = the(report, "BN403").evidence
    assert (evidence["parts_at"], evidence["agrees_until"]) == ("body.7", "body.4")


@measured_alone
def test_hidden_channels_do_not_part_what_agrees(net, x, folder):
    """What feeds a channel that cannot be seen is unknown, and no reason to name its layer."""
    with_zero = copy.deepcopy(net)
    with torch.no_grad():
        with_zero.body[1].weight[1] = 0.0
    other = copy.deepcopy(with_zero)
    other.body[5] = nn.SiLU()
    report = bncheck.inspect(exported(other, x, folder / "zero.onnx"), x, reference=with_zero)
    assert the(report, "BN403").evidence["parts_at"] == "body.7"


def test_another_graph_of_the_same_function_agrees(net, x, folder):
    class Roundabout(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = net.body

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.body(x * 2 - x)
            return (y.amax((2, 3)) * 0 + y.sum((2, 3)) / (y.shape[2] * y.shape[3])) / 1.0

    got, wanted = inspect_both(net, exported(Roundabout().eval(), x, folder / "roundabout.onnx"), x)
    assert_same(got, wanted)
    assert codes(got) == codes(wanted)


class KeepsItsNeck(nn.Module):
    """Two normalized convolutions, which an export folds, and a norm behind the pooling, which it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.neck = nn.BatchNorm1d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.neck(self.second(self.first(x)).relu().mean((2, 3)))


@measured_alone
def test_a_file_of_which_the_most_was_folded_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, x = KeepsItsNeck().eval(), np.random.default_rng(0).normal(size=(40, 1, 8, 8)).astype(np.float32)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    path = exported(net, x, tmp_path / "net.onnx")
    assert operators(path).count("BatchNormalization") == 1
    told = "2 convolutions have a bias and no normalization behind them"
    for data in (None, x):
        assert any(told in note for note in bncheck.inspect(path, data).run.notes)
        beside = bncheck.inspect(path, data, reference=tmp_path / "net.pt")
        assert not any(told in note for note in beside.run.notes)
        assert len(beside.layers) == 3
    kept = torch.onnx.TrainingMode.PRESERVE
    whole = exported(net, x, tmp_path / "whole.onnx", training=kept, do_constant_folding=False)
    assert not any("no normalization behind" in note for note in bncheck.inspect(whole).run.notes)
