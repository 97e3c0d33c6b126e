"""Folded graphs written by hand, of every operator set: the report is that of the network before the folding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.defs
import pytest
import torch
from folded_nets import assert_same, codes, images, inspect_both, measured_alone, notes, report_of, the, trained
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import bncheck

OPSETS = [7, 9, 13, 15, 17, 18, min(onnx.defs.onnx_opset_version(), 24)]
_IR_OF_OPSET = {7: 3, 9: 4, 13: 7, 15: 8}


class Net(nn.Module):
    """One convolution or linear layer, BatchNorm, ReLU, and a head."""

    def __init__(self, first: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.first, self.norm, self.head = first, norm, nn.Linear(norm.num_features, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm(self.first(x)))
        return self.head(y.flatten(2).mean(2) if y.dim() > 2 else y)

    def folded(self) -> tuple[np.ndarray, np.ndarray]:
        """Weight and bias with the layer in them, in plain numpy."""
        gain, shift = self.scale_and_shift()
        weight = self.first.weight.detach().double().numpy()
        axis = 1 if isinstance(self.first, nn.modules.conv._ConvTransposeNd) else 0
        shape = [1] * weight.ndim
        shape[axis] = -1
        bias = 0.0 if self.first.bias is None else self.first.bias.detach().double().numpy()
        return weight * gain.reshape(shape), bias * gain + shift

    def scale_and_shift(self) -> tuple[np.ndarray, np.ndarray]:
        mean, var = self.norm.running_mean.double().numpy(), self.norm.running_var.double().numpy()
        gamma, beta = self.norm.weight.detach().double().numpy(), self.norm.bias.detach().double().numpy()
        gain = gamma / np.sqrt(var + self.norm.eps)
        return gain, beta - mean * gain


def graph(
    nodes: list[onnx.NodeProto],
    values: dict[str, Any],
    net: Net,
    shape: tuple[int | None, ...],
    opset: int = 17,
    further: tuple[str, ...] = (),
) -> onnx.ModelProto:
    """`nodes` make `z` of `x`; ReLU, the average over positions and the head follow."""
    flat = ["r"] if len(shape) == 2 else ["f"]
    pooling = [helper.make_node("GlobalAveragePool", ["r"], ["g"]), helper.make_node("Flatten", ["g"], ["f"])]
    tail = [
        helper.make_node("Relu", ["z"], ["r"]),
        *([] if len(shape) == 2 else pooling),
        helper.make_node("Gemm", [*flat, "head.weight", "head.bias"], ["y"], transB=1),
    ]
    values |= {f"head.{name}": tensor.detach().numpy() for name, tensor in net.head.named_parameters()}
    tensors = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in values.items()]
    made = helper.make_graph(
        [*nodes, *tail],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", *further)],
        tensors,
    )
    if opset < 9:  # initializers had to be inputs
        made.input.extend(helper.make_tensor_value_info(t.name, TensorProto.FLOAT, t.dims) for t in tensors)
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid("", opset)], ir_version=_IR_OF_OPSET.get(opset, 9)
    )


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "folded.onnx")
    return folder / "folded.onnx"


def node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def conv_net(**options: Any) -> Net:
    return trained(Net(nn.Conv2d(3, 4, 2, **({"bias": False} | options)), nn.BatchNorm2d(4)))


def linear_net() -> Net:
    return trained(Net(nn.Linear(6, 4), nn.BatchNorm1d(4)))


def conv_graph(kind: str, net: Net, opset: int = 17) -> onnx.ModelProto:
    """A convolution with the layer in it, as one tool or another writes it."""
    weight, bias = net.folded()
    column = bias.reshape(-1, 1, 1)
    gain, shift = net.scale_and_shift()
    plain = net.first.weight.detach().numpy()
    forms: dict[str, tuple[list[onnx.NodeProto], dict[str, Any], tuple[str, ...]]] = {
        "bias": ([node("Conv", "x w b", "z")], {"w": weight, "b": bias}, ()),
        "bias added": ([node("Conv", "x w", "c"), node("Add", "c b", "z")], {"w": weight, "b": column[None]}, ()),
        "added to the bias": ([node("Conv", "x w", "c"), node("Add", "b c", "z")], {"w": weight, "b": column}, ()),
        "bias in two parts": (
            [node("Conv", "x w b0", "c"), node("Add", "c b", "z")],
            {"w": weight, "b0": bias * 0 + 0.25, "b": column - 0.25},
            (),
        ),
        "scaled and shifted": (
            [node("Conv", "x w", "c"), node("Mul", "c s", "d"), node("Add", "d b", "z")],
            {"w": plain, "s": gain.reshape(-1, 1, 1), "b": shift.reshape(-1, 1, 1)},
            (),
        ),
        "also an output": ([node("Conv", "x w b", "z")], {"w": weight, "b": bias}, ("z",)),
        "also an output before the bias": (
            [node("Conv", "x w", "c"), node("Add", "c b", "z")],
            {"w": weight, "b": column},
            ("c",),
        ),
    }
    nodes, values, further = forms[kind]
    return graph(nodes, values, net, (None, 3, 5, 5), opset, further)


CONV_KINDS = [
    *("bias", "bias added", "added to the bias", "bias in two parts"),
    *("scaled and shifted", "also an output", "also an output before the bias"),
]


def linear_graph(kind: str, net: Net, opset: int = 17) -> onnx.ModelProto:
    weight, bias = net.folded()
    forms: dict[str, tuple[list[onnx.NodeProto], dict[str, Any]]] = {
        "Gemm": ([node("Gemm", "x w b", "z")], {"w": weight.T, "b": bias}),
        "Gemm transB": ([node("Gemm", "x w b", "z", transB=1)], {"w": weight, "b": bias}),
        "Gemm alpha beta": (
            [node("Gemm", "x w b", "z", alpha=0.5, beta=4.0)],
            {"w": 2 * weight.T, "b": bias / 4},
        ),
        "Gemm with a bias of one row": ([node("Gemm", "x w b", "z")], {"w": weight.T, "b": bias[None]}),
        "Gemm and Add": (
            [node("Gemm", "x w c", "g"), node("Add", "g b", "z")],
            {"w": weight.T, "c": np.array(0.5), "b": bias - 0.5},
        ),
        "MatMul and Add": ([node("MatMul", "x w", "m"), node("Add", "m b", "z")], {"w": weight.T, "b": bias}),
        "Add and MatMul": ([node("MatMul", "x w", "m"), node("Add", "b m", "z")], {"w": weight.T, "b": bias[None]}),
    }
    nodes, values = forms[kind]
    return graph(nodes, values, net, (None, 6), opset)


LINEAR_KINDS = [
    *("Gemm", "Gemm transB", "Gemm alpha beta", "Gemm with a bias of one row"),
    *("Gemm and Add", "MatMul and Add", "Add and MatMul"),
]


def assert_like_the_network(net: Net, path: Path, x: np.ndarray) -> None:
    got, wanted = inspect_both(net, path, x)
    assert_same(got, wanted)
    assert codes(got) == codes(wanted)
    assert got.summary.exit_code == wanted.summary.exit_code
    assert "1 folded layer is read through Net" in notes(got)


@measured_alone
@pytest.mark.parametrize("opset", OPSETS)
def test_every_operator_set(opset, tmp_path):
    net = conv_net()
    assert_like_the_network(net, saved(conv_graph("bias", net, opset), tmp_path), images(3, 5, 5))
    net = linear_net()
    assert_like_the_network(net, saved(linear_graph("MatMul and Add", net, opset), tmp_path), images(6))


@pytest.mark.parametrize("kind", CONV_KINDS)
def test_every_form_of_a_folded_convolution(kind, tmp_path):
    net = conv_net()
    assert_like_the_network(net, saved(conv_graph(kind, net), tmp_path), images(3, 5, 5))


@pytest.mark.parametrize("kind", LINEAR_KINDS)
def test_every_form_of_a_folded_linear_layer(kind, tmp_path):
    net = linear_net()
    assert_like_the_network(net, saved(linear_graph(kind, net), tmp_path), images(6))


@measured_alone
@pytest.mark.parametrize("kind", [*CONV_KINDS, *LINEAR_KINDS])
def test_in_every_form_statistics_that_moved_are_found(kind, tmp_path):
    net, made, x = (
        (conv_net(), conv_graph, images(3, 5, 5)) if kind in CONV_KINDS else (linear_net(), linear_graph, images(6))
    )
    path = saved(made(kind, net), tmp_path)
    before = report_of(net, x)
    net.norm.running_mean += 0.3
    report = bncheck.inspect(path, x, reference=net)
    finding = the(report, "BN403")
    assert (finding.severity, finding.layer) == ("error", "norm")
    assert report.summary.exit_code == 1
    # What is measured is the gap against what was folded in.
    assert report.layers[0].gap == pytest.approx(before.layers[0].gap, rel=1e-3)


CONVOLUTIONS = {
    "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2, bias=False), nn.BatchNorm2d(6), (4, 5, 5)),
    "depthwise": (nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.BatchNorm2d(4), (4, 6, 6)),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6), (4, 6, 6)),
    "1-D": (nn.Conv1d(3, 5, 4), nn.BatchNorm1d(5), (3, 12)),
    "3-D": (nn.Conv3d(2, 5, 2, bias=False), nn.BatchNorm3d(5), (2, 4, 5, 4)),
    "1-D transposed": (nn.ConvTranspose1d(3, 5, 4), nn.BatchNorm1d(5), (3, 7)),
}


@measured_alone
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_every_kind_of_convolution(kind, tmp_path):
    first, norm, shape = CONVOLUTIONS[kind]
    net = trained(Net(first, norm))
    weight, bias = net.folded()
    transposed = isinstance(first, nn.modules.conv._ConvTransposeNd)
    operator = "ConvTranspose" if transposed else "Conv"
    attributes = {"strides": list(first.stride), "group": first.groups}
    nodes = [node(operator, "x w b", "z", **attributes)]
    path = saved(graph(nodes, {"w": weight, "b": bias}, net, (None, *shape)), tmp_path)
    assert_like_the_network(net, path, images(*shape))


@measured_alone
def test_a_transposed_convolution_in_groups_scaled_behind_it(tmp_path):
    net = trained(Net(nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6)))
    gain, shift = (values.reshape(1, -1, 1, 1) for values in net.scale_and_shift())
    nodes = [node("ConvTranspose", "x w", "c", group=2), node("Mul", "c s", "d"), node("Add", "d b", "z")]
    values = {"w": net.first.weight.detach().numpy(), "s": gain, "b": shift}
    assert_like_the_network(net, saved(graph(nodes, values, net, (None, 4, 5, 5)), tmp_path), images(4, 5, 5))


def test_the_networks_own_constant_behind_a_fold_is_no_bias(tmp_path):
    """A learned shift behind BatchNorm: the fold ends before it."""

    class Shifted(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.relu(self.norm(self.first(x)) + 1.5)
            return self.head(y.mean((2, 3)))

    net = trained(Shifted(nn.Conv2d(3, 4, 2, bias=False), nn.BatchNorm2d(4)))
    weight, bias = net.folded()
    nodes = [node("Conv", "x w b", "c"), node("Add", "c s", "z")]
    path = saved(graph(nodes, {"w": weight, "b": bias, "s": np.full((4, 1, 1), 1.5)}, net, (None, 3, 5, 5)), tmp_path)
    got, wanted = inspect_both(net, path, images(3, 5, 5))
    assert_same(got, wanted)
    assert codes(got) == codes(wanted)


@measured_alone
def test_a_channel_whose_gamma_is_zero_is_hidden_and_counts_nowhere(tmp_path):
    net = conv_net()
    with torch.no_grad():
        net.norm.weight[2] = 0.0
    got, wanted = inspect_both(net, saved(conv_graph("bias", net), tmp_path), images(3, 5, 5))
    assert_same(got, wanted, hidden=["norm"])
    table = got.layers[0].table
    assert np.isnan(table.gap).tolist() == [False, False, True, False]
    assert np.isnan(table.measured_mean).tolist() == [False, False, True, False]
    seen = [0, 1, 3]
    assert got.layers[0].gap == pytest.approx(np.sqrt(np.mean(wanted.layers[0].table.gap[seen] ** 2)), rel=1e-3)
    assert got.layers[0].worst_channel in seen


@measured_alone
def test_a_filter_that_died_in_training(tmp_path):
    net = conv_net()
    with torch.no_grad():
        net.first.weight[1] = 0.0
        net.norm.running_mean[1] = 0.0
        net.norm.running_var[1] = 0.0
    assert_like_the_network(net, saved(conv_graph("bias", net), tmp_path), images(3, 5, 5))


@measured_alone
def test_data_with_a_large_mean_lose_no_digits(tmp_path):
    """Output far from zero against its spread: channels are centred before they are squared."""
    net = conv_net()
    net.norm.running_mean += 300.0
    got, wanted = inspect_both(net, saved(conv_graph("bias", net), tmp_path), images(3, 5, 5))
    assert_same(got, wanted)


@measured_alone
def test_a_linear_layer_whose_channels_come_last_is_left_alone(tmp_path):
    """(N, T, C) behind a MatMul: the layer's channels are not where a folded one has them."""

    class Tokens(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.first(x).transpose(1, 2)).mean(2)

    net = trained(Tokens(nn.Linear(6, 4), nn.BatchNorm1d(4)))
    weight, bias = net.folded()
    nodes = [node("MatMul", "x w", "m"), node("Add", "m b", "z"), node("GlobalAveragePool", "z", "y")]
    made = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (None, 4, 6))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v.astype(np.float32), n) for n, v in (("w", weight.T), ("b", bias))],
    )
    path = saved(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path)
    with pytest.raises(bncheck.errors.ModelError, match="No normalization layer of Tokens is found"):
        bncheck.inspect(path, images(4, 6), reference=net)


def test_an_operator_that_was_exported_as_another_is_found_by_the_outputs(tmp_path):
    net = conv_net()
    model = conv_graph("bias", net)
    next(n for n in model.graph.node if n.op_type == "Relu").op_type = "Sigmoid"
    report = bncheck.inspect(saved(model, tmp_path), images(3, 5, 5), reference=net)
    finding = the(report, "BN403")
    assert (finding.layer, finding.evidence["parts_at"], finding.evidence["agrees_until"]) == (None, None, "norm")
    assert "although the statistics are the same" in finding.message
    assert "they part after norm, the last one" in finding.message
    assert report.summary.exit_code == 1
