"""ONNX models written by hand, small and of any operator set."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MEAN, VAR = np.array([0.5, -1.0, 2.0]), np.array([1.0, 4.0, 0.25])
SCALE, BIAS = np.array([1.5, 0.7, -1.0]), np.array([0.1, 0.0, -0.3])
ARRAYS = {"weight": SCALE, "bias": BIAS, "running_mean": MEAN, "running_var": VAR}


def norm_node(prefix: str, x: str, y: str, **attributes: object) -> onnx.NodeProto:
    """A BatchNormalization whose values are called `prefix.weight` and so on."""
    return helper.make_node("BatchNormalization", [x, *(f"{prefix}.{leaf}" for leaf in ARRAYS)], [y], **attributes)


def norm_values(prefix: str, dtype: type = np.float32) -> list[onnx.TensorProto]:
    return [tensor_of(array.astype(dtype), f"{prefix}.{leaf}") for leaf, array in ARRAYS.items()]


def tensor_of(array: np.ndarray, name: str) -> onnx.TensorProto:
    """The constant; by its bytes where it is bfloat16, which older versions of onnx do not take from an array."""
    if array.dtype == ml_dtypes.bfloat16:
        return helper.make_tensor(name, TensorProto.BFLOAT16, array.shape, array.tobytes(), raw=True)
    return numpy_helper.from_array(array, name)


def model(
    nodes: list[onnx.NodeProto],
    values: list[onnx.TensorProto],
    *,
    opset: int = 17,
    shape: tuple[int | None, ...] = (None, 3, 4, 4),
    inputs: tuple[str, ...] = ("x",),
    outputs: tuple[str, ...] = ("y",),
    element_type: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, element_type, shape) for name in inputs],
        [helper.make_tensor_value_info(name, element_type, None) for name in outputs],
        values,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def one_norm(opset: int = 17, **how: object) -> onnx.ModelProto:
    """A single BatchNormalization, called `bn`."""
    return model([norm_node("bn", "x", "y")], norm_values("bn"), opset=opset, **how)


def saved(proto: onnx.ModelProto, folder: Path, name: str = "net.onnx") -> Path:
    (folder / name).write_bytes(proto.SerializeToString())
    return folder / name
