"""From a batch to what an ONNX graph is fed, in the types it declares."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch

from bncheck.data import Inputs
from bncheck.errors import UnfitError
from bncheck.formats.onnx.graph import GraphInput
from bncheck.formats.programs.runner import advice, described


class Feeds:
    """Names, checks and casts the inputs of a batch.

    Args:
        inputs: what the graph declares.
        where: the model and the data, for messages.
    """

    def __init__(self, inputs: tuple[GraphInput, ...], where: str) -> None:
        self._inputs = inputs
        self._where = where

    def __call__(self, inputs: Inputs) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name.

        Raises:
            UnfitError: they do not fit what the graph declares; the message says what it expects.
        """
        named = self._named(inputs)
        for declared in self._inputs:
            self._check_shape(declared, named[declared.name], inputs)
        return {declared.name: self._cast(declared, named[declared.name]) for declared in self._inputs}

    def refusal(self, inputs: Inputs, reason: str) -> UnfitError:
        """The error of a batch that does not fit."""
        return UnfitError(
            f"{self._where}: given {described(inputs)}, it says: {reason}. It expects {self._expected()}. "
            f"{advice(inputs)}"
        )

    def _named(self, inputs: Inputs) -> dict[str, torch.Tensor]:
        names = [declared.name for declared in self._inputs]
        if isinstance(inputs, dict):
            if not set(names) <= set(inputs) or not names:
                raise self.refusal(inputs, f"its inputs are named {', '.join(names) or 'not at all'}")
            return self._tensors({name: inputs[name] for name in names}, inputs)
        positional = inputs if isinstance(inputs, tuple) else (inputs,)
        if len(positional) != len(names):
            raise self.refusal(inputs, f"it takes {len(names)} inputs, {', '.join(names)}, not {len(positional)}")
        return self._tensors(dict(zip(names, positional, strict=True)), inputs)

    def _tensors(self, named: dict[str, Any], inputs: Inputs) -> dict[str, torch.Tensor]:
        odd = next((name for name, value in named.items() if not isinstance(value, torch.Tensor)), None)
        if odd is not None:
            raise self.refusal(inputs, f"{odd} takes one tensor for all samples")
        return named

    def _check_shape(self, declared: GraphInput, tensor: torch.Tensor, inputs: Inputs) -> None:
        if declared.shape is None:
            return
        if len(declared.shape) != tensor.dim():
            raise self.refusal(inputs, f"{declared.name} has {len(declared.shape)} axes, not {tensor.dim()}")
        for axis, (wanted, given) in enumerate(zip(declared.shape, tensor.shape, strict=True)):
            if axis and wanted is not None and wanted != given:
                raise self.refusal(inputs, f"axis {axis} of {declared.name} has size {wanted}, not {given}")

    def _cast(self, declared: GraphInput, tensor: torch.Tensor) -> npt.NDArray[Any]:
        values = tensor.detach().cpu()
        if not declared.is_tensor:
            raise self.refusal(tensor, f"{declared.name} is no tensor, which bncheck cannot feed")
        array = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
        dtype = onnx.helper.tensor_dtype_to_np_dtype(declared.element_type)
        if dtype.kind not in "biuf":
            raise self.refusal(tensor, f"{declared.name} is of type {dtype}, which bncheck cannot feed")
        with np.errstate(over="ignore", invalid="ignore"):
            cast = np.ascontiguousarray(array, dtype=dtype)
        if dtype.kind in "iu" and array.dtype.kind == "f" and not np.array_equal(cast, array):
            raise self.refusal(tensor, f"{declared.name} takes whole numbers ({dtype})")
        return cast

    def _expected(self) -> str:
        return ", ".join(_declared(declared) for declared in self._inputs) or "no inputs"


def _declared(declared: GraphInput) -> str:
    if not declared.is_tensor:
        return f"{declared.name}, which is no tensor"
    sizes = "of any shape"
    if declared.shape is not None:
        shown = ["N" if not axis else "?" if size is None else str(size) for axis, size in enumerate(declared.shape)]
        sizes = f"({', '.join(shown)})"
    return f"{declared.name} {sizes} {onnx.helper.tensor_dtype_to_np_dtype(declared.element_type)}"
