"""One normalizing node of an ONNX graph, as it is replaced in an instrumented copy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from bncheck.formats.folding import Fold
from bncheck.formats.onnx.running.building import Builder, compute_type
from bncheck.formats.onnx.running.tap_names import tap_name


class Replaced:
    """One node being replaced.

    Attributes:
        type: what it is to compute in.
        tapped: the tensor whose moments are told.
        answers: whether `normalize` is to be called.
    """

    answers = True

    def __init__(self, builder: Builder, node: onnx.NodeProto, number: int) -> None:
        self._builder = builder
        self._node = node
        self._number = number
        self.type = compute_type(node, builder.types)
        self.tapped = self._tapped()

    def _tapped(self) -> str:
        return self._cast(self._node.input[0], "input")

    def name(self, what: str) -> str:
        """The tensor `what` of this node."""
        return tap_name(what, self._number)

    def fed(self) -> str:
        """What the layer is fed."""
        return self.tapped

    def normalize(self, mean: str, variance: str) -> None:
        """Add the node itself, with these statistics; its output keeps its name and type."""
        scale, bias = (self._cast(self._node.input[at], what) for at, what in ((1, "scale"), (2, "bias")))
        epsilon = {a.name: a.f for a in self._node.attribute if a.name == "epsilon"}
        self._normalize([self.fed(), scale, bias, mean, variance], **epsilon)

    def _normalize(self, inputs: list[str], **epsilon: float) -> None:
        given = self._builder.types.get(self._node.input[0], self.type)
        output = self._node.output[0] if given == self.type else self.name("output")
        self._builder.node("BatchNormalization", inputs, output, **epsilon)
        if given != self.type:
            self._builder.node("Cast", [output], self._node.output[0], to=given)

    def _cast(self, tensor: str, what: str) -> str:
        if self._builder.types.get(tensor, self.type) == self.type:
            return tensor
        return self._builder.node("Cast", [tensor], self.name(what), to=self.type)


class ShippedFold(Replaced):
    """An operation that a layer was folded into, left as it is."""

    answers = False

    def _tapped(self) -> str:
        self._builder.keep(self._node)
        return self._cast(self._node.output[0], "input")


class UndoneFold(Replaced):
    """An operation that a layer was folded into: the fold is undone, and the layer put behind it."""

    def _tapped(self) -> str:
        raw = self.name("folded")
        kept = onnx.NodeProto()
        kept.CopyFrom(self._node)
        kept.output[0] = raw
        self._builder.keep(kept)
        self._builder.types[raw] = self._builder.types.get(self._node.output[0], self.type)
        return self._cast(raw, "input")

    def fed(self) -> str:
        """The input of the layer, from the output of the operation."""
        slope, offset = self._fold().inverse()
        zeros, ones = np.zeros_like(slope), np.ones_like(slope)
        constants = [self._constant(f"unfold.{number}", v) for number, v in enumerate((slope, offset, zeros, ones))]
        return self._builder.node("BatchNormalization", [self.tapped, *constants], self.name("fed"), epsilon=0.0)

    def normalize(self, mean: str, variance: str) -> None:
        """Add the layer, with these statistics; its output keeps the operation's name and type."""
        layer = self._fold().layer
        gamma = np.ones(layer.channels) if layer.weight is None else layer.weight
        beta = np.zeros(layer.channels) if layer.bias is None else layer.bias
        scale, bias = self._constant("scale", gamma), self._constant("bias", beta)
        fed = self.name("fed") if self._builder.has(self.name("fed")) else self.fed()
        self._normalize([fed, scale, bias, mean, variance], epsilon=layer.eps or 0.0)

    def _fold(self) -> Fold:
        fold = self._builder.fold(self._number)
        if fold is None:
            raise ValueError(f"node {self._number} is no fold")
        return fold

    def _constant(self, what: str, values: npt.NDArray[np.float64]) -> str:
        dtype = np.float64 if self.type == TensorProto.DOUBLE else np.float32
        return self._builder.values(self.name(what), values.astype(dtype))


def replaced(builder: Builder, node: onnx.NodeProto, number: int, *, as_shipped: bool = False) -> Replaced:
    """The node of that number; with `as_shipped` a folded operation is left as it is."""
    if builder.fold(number) is None:
        return Replaced(builder, node, number)
    return (ShippedFold if as_shipped else UndoneFold)(builder, node, number)
