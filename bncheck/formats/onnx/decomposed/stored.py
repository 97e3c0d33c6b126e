"""What the constants of a decomposed normalization are made of: a mean, a variance with its eps, gamma and beta."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import onnx

from bncheck.core import FloatArray
from bncheck.formats.onnx.constants import Constants
from bncheck.formats.onnx.graph import DEFAULT_DOMAINS

_SHAPING = {"Identity", "Cast", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Expand"}
"""They leave the values of a vector, and their order."""
_LONGEST_WAY = 64
"""A file may have nodes lead to themselves."""


class Form(Enum):
    """As what a variance is stored."""

    VARIANCE = "variance"
    DEVIATION = "standard deviation"
    INVERSE = "inverse standard deviation"


@dataclass(frozen=True, slots=True)
class Read:
    """A value that a graph stores, and the input that reads it first.

    Attributes:
        name: of the tensor.
        reader: name of the first output of the node that reads it.
        position: of that node's input.
    """

    name: str
    reader: str
    position: int


@dataclass(frozen=True, slots=True)
class Spread:
    """A variance, or the standard deviation that was computed from it.

    Attributes:
        read: what is stored.
        form: as what.
        eps: what the graph adds; 0 where it was added before the value was stored.
    """

    read: Read
    form: Form
    eps: float = 0.0

    @property
    def is_told(self) -> bool:
        """Whether the graph itself takes the root, so that nothing but a variance can be meant."""
        return self.form is Form.VARIANCE


@dataclass(frozen=True, slots=True)
class Slope:
    """What a normalized value is multiplied by: 1 / deviation, or gamma / deviation where the graph computes that."""

    spread: Spread
    gamma: Read | None = None


class StoredParts:
    """Reads constants symbolically."""

    def __init__(self, constants: Constants) -> None:
        self._constants = constants

    def leaf(self, at: Read) -> Read:
        """What is stored behind nodes that only shape it."""
        node = self._constants.producer(at.name)
        steps = 0
        while node is not None and node.op_type in _SHAPING and node.input and node.output and steps < _LONGEST_WAY:
            steps += 1
            at = Read(node.input[0], node.output[0], 0)
            node = self._constants.producer(at.name)
        return at

    def vector(self, at: Read, channels: int) -> Read | None:
        """A stored vector of so many values; `None` for what is computed, or of another size."""
        found = self.leaf(at)
        node = self._constants.producer(found.name)
        values = self._values(found.name)
        is_stored = node is None or not any(node.input) or node.op_type == "DequantizeLinear"
        return found if is_stored and values is not None and values.size == channels else None

    def deviation(self, at: Read, channels: int) -> Spread | None:
        """A standard deviation: the root of a variance, or a vector that was computed before it was stored."""
        node = self._node(at)
        if node is not None and (node.op_type == "Sqrt" or self._is_power(node, 0.5)):
            return self._variance(inputs_of(node)[0], channels)
        return self._positive(at, channels, Form.DEVIATION)

    def inverse(self, at: Read, channels: int) -> Spread | None:
        """The inverse of a standard deviation, computed in the graph or before."""
        node = self._node(at)
        if node is None:
            return self._positive(at, channels, Form.INVERSE)
        given = inputs_of(node)
        if self._is_power(node, -0.5):
            return self._variance(given[0], channels)
        inside = given[0] if node.op_type == "Reciprocal" else None
        if node.op_type == "Div" and self.number(given[0].name) == 1.0:
            inside = given[1]
        told = None if inside is None else self.deviation(inside, channels)
        return told if told is not None and told.is_told else None

    def slope(self, at: Read, channels: int) -> Slope | None:
        """What normalizes, with gamma in it where the graph says so."""
        node = self._node(at)
        if node is not None and node.op_type == "Mul":
            for first, second in both_ways(node):
                spread, gamma = self.inverse(first, channels), self.vector(second, channels)
                if spread is not None and spread.is_told and gamma is not None:
                    return Slope(spread, gamma)
        if node is not None and node.op_type == "Div":
            gamma_over, below = inputs_of(node)
            deviation, gamma = self.deviation(below, channels), self.vector(gamma_over, channels)
            if deviation is not None and deviation.is_told and gamma is not None:
                return Slope(deviation, gamma)
        inverse = self.inverse(at, channels)
        return None if inverse is None else Slope(inverse)

    def offset(self, at: Read, slope: str, channels: int) -> tuple[Read, Read | None] | None:
        """Mean and beta of `beta - mean * slope`, as the graph computes it; `slope` is the factor's tensor."""
        node = self._node(at)
        if node is None:
            return None
        alone = self.shift(at, slope, channels, negated=True)
        if alone is not None:
            return alone, None
        if node.op_type not in ("Sub", "Add"):
            return None
        ways = [tuple(reversed(inputs_of(node)))] if node.op_type == "Sub" else list(both_ways(node))
        for shift, beta in ways:
            mean = self.shift(shift, slope, channels, negated=node.op_type == "Add")
            added = self.vector(beta, channels)
            if mean is not None and added is not None:
                return mean, added
        return None

    def shift(self, at: Read, slope: str, channels: int, *, negated: bool) -> Read | None:
        """The mean in `mean * slope`, or in `-mean * slope`."""
        node = self._node(at)
        if negated and node is not None and node.op_type == "Neg":
            return self.shift(inputs_of(node)[0], slope, channels, negated=False)
        if node is None or node.op_type != "Mul":
            return None
        for factor, mean in both_ways(node):
            if self.leaf(factor).name != self.leaf(Read(slope, "", 0)).name:
                continue
            minus = self._node(mean)
            if not negated:
                return self.vector(mean, channels)
            if minus is not None and minus.op_type == "Neg":
                return self.vector(inputs_of(minus)[0], channels)
        return None

    def number(self, name: str) -> float | None:
        """The one number that a constant holds; `None` for others."""
        values = self._values(name)
        return float(values[0]) if values is not None and values.size == 1 else None

    def _variance(self, at: Read, channels: int) -> Spread | None:
        node = self._node(at)
        if node is not None and node.op_type == "Add":
            for first, second in both_ways(node):
                eps, variance = self.number(second.name), self.vector(first, channels)
                if variance is not None and eps is not None and eps >= 0:
                    return Spread(variance, Form.VARIANCE, eps)
            return None
        stored = self.vector(at, channels)
        return None if stored is None else Spread(stored, Form.VARIANCE)

    def _positive(self, at: Read, channels: int, form: Form) -> Spread | None:
        stored = self.vector(at, channels)
        values = None if stored is None else self._values(stored.name)
        return None if stored is None or values is None or (values <= 0).any() else Spread(stored, form)

    def _node(self, at: Read) -> onnx.NodeProto | None:
        """The node that computes a value from other constants; `None` where it is stored."""
        node = self._constants.producer(self.leaf(at).name)
        return node if node is not None and is_arithmetic(node) else None

    def _is_power(self, node: onnx.NodeProto, exponent: float) -> bool:
        return node.op_type == "Pow" and self.number(node.input[1]) == exponent

    def _values(self, name: str) -> FloatArray | None:
        value = self._constants.value(name)
        return self._constants.channel_values(name) if value is not None and value.dtype.kind == "f" else None


_OF_ONE, _OF_TWO = {"Sqrt", "Reciprocal", "Neg"}, {"Add", "Sub", "Mul", "Div", "Pow"}


def is_arithmetic(node: onnx.NodeProto) -> bool:
    """Whether a node computes with one or two tensors, and has as many: what is damaged is told by who runs it."""
    wanted = 1 if node.op_type in _OF_ONE else 2 if node.op_type in _OF_TWO else None
    return node.domain in DEFAULT_DOMAINS and len(list(filter(None, node.input))) == wanted and len(node.output) == 1


def inputs_of(node: onnx.NodeProto) -> list[Read]:
    """The inputs of a node, each with where it is read."""
    return [Read(name, node.output[0], position) for position, name in enumerate(node.input)]


def both_ways(node: onnx.NodeProto) -> Iterator[tuple[Read, Read]]:
    """The two inputs of a node, either of them first."""
    first, second = inputs_of(node)[:2]
    yield first, second
    yield second, first
