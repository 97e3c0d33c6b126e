"""Whether an ONNX model holds what it declares, asked once, so that whoever reads it can rely on it.

The protobuf alone promises nothing: a tensor may declare any shape over any bytes, an attribute may be of another type
than its operator's, a name need not be text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import onnx
from onnx import AttributeProto, TensorProto, helper

from bncheck.errors import ModelError
from bncheck.formats.onnx.graph import DEFAULT_DOMAINS, all_tensors, nodes_below, subgraphs

_DAMAGED = "The file is damaged or was edited: export the model again"
_MOST_AXES = 32
_NUMBERS = (AttributeProto.FLOAT, AttributeProto.INT)
_ATTRIBUTES = {
    **dict.fromkeys(("epsilon", "momentum", "alpha", "beta"), _NUMBERS),
    **dict.fromkeys(("training_mode", "spatial", "group", "transA", "transB"), (AttributeProto.INT,)),
}
"""Those that are read, and what they may be."""
_INPUTS = {
    "BatchNormalization": 5,
    **dict.fromkeys(("InstanceNormalization", "GroupNormalization"), 3),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), 2),
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "MatMul"), 2),
    **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), 1),
    **dict.fromkeys(("SimplifiedLayerNormalization", "GroupNorm", "ConvInteger", "MatMulInteger"), 1),
}
"""Operators whose nodes are read, and how many inputs each needs at least."""
_HALF_BYTES = ("INT4", "UINT4", "FLOAT4E2M1")
_QUARTER_BYTES = ("INT2", "UINT2")
_MOST_NODES = 2**20
"""Nodes that a graph may come to when its functions are put into it."""


def require_sound(proto: onnx.ModelProto) -> None:
    """Raise ModelError where a tensor, a name or a node that is read is not what it declares to be."""
    for tensor in all_tensors(proto):
        require_sound_tensor(tensor)
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        _require_text(value.name, "tensor")
    for value in proto.graph.input:
        kind = value.type.tensor_type.elem_type
        if value.type.HasField("tensor_type") and kind not in _known_types():
            raise ModelError(f"The input {value.name} is of an element type that ONNX does not have ({kind}).")
        if len(value.type.tensor_type.shape.dim) > _MOST_AXES:
            raise ModelError(f"The input {value.name} has more axes than an array can have. {_DAMAGED}.")
    _require_made_once(proto.graph.node)
    for node in proto.graph.node:
        _require_sound_node(node)
        for inner, _ in nodes_below(node):
            _require_sound_node(inner)


def require_sound_tensor(tensor: onnx.TensorProto) -> None:
    """Raise ModelError where a tensor does not hold as many values as it declares."""
    _require_text(tensor.name, "tensor")
    expected = bytes_of(tensor)
    if tensor.HasField("segment"):
        raise ModelError(f"The tensor {tensor.name} is stored in segments, which is not supported.")
    if tensor.data_type == TensorProto.STRING:
        held, expected = len(tensor.string_data), math.prod(tensor.dims)
    elif tensor.HasField("raw_data"):
        held = len(tensor.raw_data)
    else:
        held = len(getattr(tensor, helper.tensor_dtype_to_field(tensor.data_type)))
        expected = _entries(tensor)
    if held != expected:
        raise ModelError(
            f"The tensor {tensor.name} declares the shape {_shape(tensor)}, and what it holds is "
            f"{'less' if held < expected else 'more'} than that. {_DAMAGED}."
        )


def bytes_of(tensor: onnx.TensorProto) -> int:
    """How many bytes the raw data of a tensor take, by its shape and type.

    Raises:
        ModelError: it can have neither.
    """
    if tensor.data_type not in _known_types():
        raise ModelError(f"The tensor {tensor.name} is of a type that ONNX does not have ({tensor.data_type}).")
    if len(tensor.dims) > _MOST_AXES or any(size < 0 for size in tensor.dims):
        raise ModelError(f"The tensor {tensor.name} cannot be of the shape {_shape(tensor)}. {_DAMAGED}.")
    if math.prod(max(size, 1) for size in tensor.dims) >= 2**59:  # also where another size is 0: no array can be it
        raise ModelError(f"The tensor {tensor.name} cannot be of the shape {_shape(tensor)}. {_DAMAGED}.")
    each = 1 if tensor.data_type == TensorProto.STRING else _itemsize(tensor.data_type)
    return _count(tensor) * each


def _entries(tensor: onnx.TensorProto) -> int:
    """How many numbers the typed field of a tensor holds."""
    numbers = 2 if tensor.data_type in (TensorProto.COMPLEX64, TensorProto.COMPLEX128) else 1
    return _count(tensor) * numbers


def _count(tensor: onnx.TensorProto) -> int:
    """How many entries it takes, where several values may share one."""
    return -(-math.prod(int(size) for size in tensor.dims) // _packed(tensor))


def _packed(tensor: onnx.TensorProto) -> int:
    """How many values a byte holds, where it is more than one."""
    name = TensorProto.DataType.Name(tensor.data_type)
    return 2 if name in _HALF_BYTES else 4 if name in _QUARTER_BYTES else 1


def _itemsize(kind: int) -> int:
    return int(helper.tensor_dtype_to_np_dtype(kind).itemsize)


def _known_types() -> frozenset[int]:
    return frozenset(helper.get_all_tensor_dtypes()) - {TensorProto.UNDEFINED}


def _shape(tensor: onnx.TensorProto) -> str:
    return f"({', '.join(map(str, tensor.dims[:_MOST_AXES]))}{', ...' if len(tensor.dims) > _MOST_AXES else ''})"


def _require_made_once(nodes: Iterable[onnx.NodeProto]) -> None:
    """Refuse two nodes of a graph, or of a body in it, giving a tensor of one name: nobody can tell which is meant."""
    made: set[str] = set()
    for node in nodes:
        for name in filter(None, node.output):
            if name in made:
                raise ModelError(f"Two nodes give the tensor {name}, or one does twice. {_DAMAGED}.")
            made.add(name)
        for body in subgraphs(node):
            _require_made_once(body.node)


def _require_sound_node(node: onnx.NodeProto) -> None:
    for name in (node.name, node.op_type, node.domain, *node.input, *node.output):
        _require_text(name, "node")
    for attribute in node.attribute:
        _require_text(attribute.name, "attribute")
    if node.op_type not in _INPUTS:
        return
    known = node.input[: _INPUTS[node.op_type]]
    if len(known) < _INPUTS[node.op_type] or (node.domain in DEFAULT_DOMAINS and not all(known)):
        raise ModelError(f"{_called(node)} lacks inputs: it needs {_INPUTS[node.op_type]}. {_DAMAGED}.")
    if not node.output or not node.output[0]:
        raise ModelError(f"{_called(node)} has no output. {_DAMAGED}.")
    for attribute in node.attribute:
        if attribute.ref_attr_name or attribute.type not in _ATTRIBUTES.get(attribute.name, (attribute.type,)):
            raise ModelError(f"The attribute {attribute.name} of {_called(node)} is no number. {_DAMAGED}.")


def _called(node: onnx.NodeProto) -> str:
    return f"The {node.op_type} {node.name or next(iter(node.output), '')}".rstrip()


def _require_text(name: str | bytes, of: str) -> None:
    """Names that are no UTF-8 are bytes here."""
    if isinstance(name, bytes):
        shown = name[:40].decode("utf-8", "replace")
        raise ModelError(
            f"The name of a {of} is not UTF-8 ({shown}), as ONNX demands. Rename it, and export the model again."
        )


def require_finite_functions(proto: onnx.ModelProto) -> None:
    """Raise ModelError where putting the functions into the graph would not end, or give an endless graph."""
    functions = {(one.domain, one.name): one for one in proto.functions}
    sizes: dict[tuple[str, str], int] = {}
    begun: set[tuple[str, str]] = set()
    pending = list(functions)
    while pending:
        key = pending[-1]
        called = [one for one in _called_by(functions[key].node) if one in functions]
        unknown = [one for one in called if one not in sizes]
        if key in sizes or not unknown:
            sizes.setdefault(key, len(functions[key].node) + sum(sizes[one] for one in called))
            pending.pop()
        elif key in begun:
            raise ModelError(f"The function {key[1]} calls itself, which no runtime can run. {_DAMAGED}.")
        else:
            begun.add(key)
            pending += unknown
    total = sum(sizes.get(one, 0) for one in _called_by(proto.graph.node))
    if total > _MOST_NODES:
        raise ModelError(f"Its functions come to {total:.3g} nodes, more than any model has. {_DAMAGED}.")


def _called_by(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        yield node.domain, node.op_type
        yield from ((inner.domain, inner.op_type) for inner, _ in nodes_below(node))
