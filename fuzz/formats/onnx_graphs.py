"""ONNX: tensors whose sizes are not theirs, nodes with other inputs, attributes and operators, chains, cycles."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from fuzz.case import Files, Format
from fuzz.samples import CHANNELS, SIZE, weights
from fuzz.values import FINITE, TEXTS

EXTERNAL = "weights.bin"
_NAMES = [
    "conv.weight",
    "conv.bias",
    "bn.weight",
    "bn.bias",
    "bn.running_mean",
    "bn.running_var",
    "head.weight",
    "head.bias",
]
_NORM = ["c", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"]
_OPERATORS = sorted({schema.name for schema in onnx.defs.get_all_schemas()})
_TYPES = [*range(-1, 25), 99]


def model() -> Any:
    """The sample network as a graph."""
    stored = [numpy_helper.from_array(weights()[name].numpy(), name) for name in _NAMES]
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["c"], name="conv"),
        helper.make_node("BatchNormalization", _NORM, ["n"], name="bn"),
        helper.make_node("Relu", ["n"], ["r"], name="relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "head.weight", "head.bias"], ["y"], name="head", transB=1),
    ]
    fed = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("N", CHANNELS, SIZE, SIZE))]
    given = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("N", 3))]
    made = helper.make_model(
        helper.make_graph(nodes, "g", fed, given, stored), opset_imports=[helper.make_opsetid("", 17)]
    )
    made.ir_version = 8
    return made


@st.composite
def _attributes(draw: st.DrawFn) -> Any:
    name = draw(st.sampled_from(["epsilon", "momentum", "training_mode", "spatial", "axis", "to", "group", "value"]))
    if draw(st.integers(0, 4)) == 0:
        return onnx.AttributeProto(name=name, type=draw(st.sampled_from([0, 1, 2, 4, 5, 13])))
    values = [3, -1, 2**62, 0.5, float("nan"), -1.0, "abc", b"\xff\xfe", [1, 2], [1.0], [b"a", b"\xff"]]
    return helper.make_attribute(name, draw(st.sampled_from(values)))


@st.composite
def _damage_tensor(draw: st.DrawFn, made: Any) -> None:
    tensor = made.graph.initializer[draw(st.integers(0, len(made.graph.initializer) - 1))]
    match draw(st.sampled_from(["dims", "dims", "type", "values", "typed", "external", "gone", "twice", "name"])):
        case "dims":
            del tensor.dims[:]
            tensor.dims.extend(draw(st.lists(FINITE.filter(lambda size: -(2**62) <= size < 2**63), max_size=3)))
        case "type":
            tensor.data_type = draw(st.sampled_from(_TYPES))
        case "values":
            values = np.full(
                len(tensor.raw_data) // 4, draw(st.sampled_from([np.nan, np.inf, -1, 0, 3e38])), np.float32
            )
            tensor.raw_data = values.tobytes() if draw(st.booleans()) else draw(st.binary(max_size=40))
        case "typed":
            tensor.ClearField("raw_data")
            field = draw(st.sampled_from(["float_data", "int32_data", "double_data", "uint64_data", "int64_data"]))
            getattr(tensor, field).extend([1] * draw(st.sampled_from([0, 1, 4, 7])))
        case "external":
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            numbers = st.sampled_from(["0", "16", "-5", "abc", "", "9" * 30, "1" * 5000, "16.5"])
            places = st.one_of(TEXTS, st.just(EXTERNAL), st.just("canary.bin"))
            for key, values in (("location", places), ("offset", numbers), ("length", numbers)):
                if draw(st.integers(0, 3)):
                    tensor.external_data.add(key=key, value=draw(values))
        case "gone":
            made.graph.initializer.remove(tensor)
        case "twice":
            made.graph.initializer.append(tensor)
        case _:
            tensor.name = draw(TEXTS)


@st.composite
def _damage_node(draw: st.DrawFn, made: Any) -> None:
    nodes = made.graph.node
    node = nodes[draw(st.sampled_from([1, 1, 1, 0, 2, 3, 4, 5])) % len(nodes)]
    names = st.sampled_from([*_NORM, "", "nowhere", "y", "x", "n", "r"])
    match draw(st.sampled_from(["inputs", "inputs", "outputs", "attribute", "attribute", "operator", "name", "twice"])):
        case "inputs":
            kept = list(node.input)[: draw(st.integers(0, 6))]
            del node.input[:]
            node.input.extend([draw(names) if draw(st.integers(0, 3)) == 0 else name for name in kept])
            node.input.extend(draw(st.lists(names, max_size=2)))
        case "outputs":
            del node.output[:]
            node.output.extend(draw(st.lists(names, max_size=5)))
        case "attribute":
            node.attribute.append(draw(_attributes()))
        case "operator":
            node.op_type = draw(st.one_of(st.sampled_from(_OPERATORS), TEXTS))
            node.domain = draw(st.sampled_from(["", "", "", "com.microsoft", "ai.onnx.ml", "f", "x" * 5_000]))
        case "name":
            node.name = draw(TEXTS)
        case _:
            nodes.append(node)


@st.composite
def _damage_graph(draw: st.DrawFn, made: Any) -> None:
    match draw(
        st.sampled_from(["chain", "chain", "cycle", "batch", "opset", "function", "metadata", "version", "inner"])
    ):
        case "chain":
            operator = draw(
                st.sampled_from(["Identity", "Neg", "Add", "Mul", "Concat", "Cast", "Unsqueeze", "Transpose"])
            )
            length = draw(st.sampled_from([3, 30, 60, 3_000]))
            _chain(made, operator, length, draw(st.sampled_from(_NORM[1:])))
        case "cycle":
            _feed(made, "bn.running_mean", "k1")
            made.graph.node.insert(0, helper.make_node("Identity", ["k2"], ["k1"]))
            made.graph.node.insert(0, helper.make_node("Neg", ["k1"], ["k2"]))
        case "batch":
            shape = made.graph.input[0].type.tensor_type.shape
            shape.dim[draw(st.integers(0, 3))].dim_value = draw(st.sampled_from([0, 1, 5, -1, 10**9, 2**62]))
        case "opset":
            made.opset_import[0].version = draw(st.sampled_from([0, 1, 6, 7, 9, 14, 25, 99, -1, 2**62]))
        case "function":
            inner = [helper.make_node(draw(st.sampled_from(["A", "Relu", "B"])), ["x"], ["y"], domain="f")]
            imports = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
            made.functions.append(helper.make_function("f", "A", ["x"], ["y"], inner, imports))
            made.opset_import.append(imports[1])
            made.graph.node.append(helper.make_node("A", ["n"], ["z"], domain="f"))
        case "metadata":
            keys = st.one_of(TEXTS, st.sampled_from(["bncheck", "bncheck.stamp", "bncheck.reference"]))
            made.metadata_props.add(key=draw(keys), value=draw(TEXTS))
        case "version":
            made.ir_version = draw(st.sampled_from([0, 1, 3, 8, 99, 2**62, -1]))
        case _:
            branch = helper.make_graph(list(made.graph.node), "b", [], [made.graph.output[0]])
            made.graph.node.append(helper.make_node("If", ["x"], ["q"], then_branch=branch, else_branch=branch))


def _feed(made: Any, name: str, other: str) -> None:
    """The normalization takes another value instead of one of its own."""
    for node in made.graph.node:
        if node.name == "bn":
            inputs = [other if given == name else given for given in node.input]
            del node.input[:]
            node.input.extend(inputs)


def _chain(made: Any, operator: str, length: int, start: str) -> None:
    attributes: dict[str, Any] = {"Concat": {"axis": 0}, "Cast": {"to": TensorProto.FLOAT}}.get(operator, {})
    names = [start, *(f"k{number}" for number in range(length))]
    for given, new in itertools.pairwise(names):
        inputs = [given] * (2 if operator in ("Add", "Mul", "Concat") else 1)
        made.graph.node.insert(0, helper.make_node(operator, inputs, [new], **attributes))
    _feed(made, start, names[-1])


@st.composite
def _graphs(draw: st.DrawFn) -> bytes:
    made = model()
    for _ in range(draw(st.integers(1, 2))):
        draw(st.one_of(_damage_tensor(made), _damage_node(made), _damage_graph(made)))
    return bytes(made.SerializeToString()).replace(b"NAME", b"\xff\xfe!!")


def _beside() -> tuple[bytes, bytes]:
    """The model with its convolution's weight in a file of its own, and that file."""
    made = model()
    tensor = made.graph.initializer[0]
    values = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": EXTERNAL, "offset": "0", "length": str(len(values))}.items():
        tensor.external_data.add(key=key, value=value)
    return bytes(made.SerializeToString()), values


def formats() -> tuple[Format, ...]:
    """Alone, and with external data."""
    whole = bytes(model().SerializeToString())
    head, values = _beside()
    alone: st.SearchStrategy[Files] = _graphs().map(lambda content: {"model.onnx": content})
    apart = st.one_of(alone, st.binary(max_size=300).map(lambda content: {EXTERNAL: content}))
    return (
        Format("ONNX", "model", "model.onnx", {"model.onnx": whole}, alone),
        Format("ONNX, external data", "model", "model.onnx", {"model.onnx": head, EXTERNAL: values}, apart),
    )
