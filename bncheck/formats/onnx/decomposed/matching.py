"""Finding normalization that is written as arithmetic with constants.

(x - mean) / sqrt(var + eps) * gamma + beta stands in graphs with the root computed there or stored, divided by or
multiplied, and as x * k + (beta - mean * k) with k = gamma / sqrt(var + eps). Where k is stored as one constant,
variance and gamma are not told apart, and where both constants of x * a + b are, nothing is: an affine map.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import onnx

from bncheck.formats.onnx.constants import Constants
from bncheck.formats.onnx.decomposed.stored import Read, Spread, StoredParts, both_ways, inputs_of, is_arithmetic
from bncheck.formats.onnx.graph import nodes_below

_FEWEST_CHANNELS = 2
_LONGEST_WAY = 64
_OF_THE_INPUT = {
    *("Cast", "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Resize", "Pad"),
    *("Slice", "Gather", "Clip", "Split", "Concat", "Mul", "Div", "Sub", "Add", "DequantizeLinear"),
    *("QuantizeLinear"),
}
"""What preprocessing within a graph consists of."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Nodes that normalize together.

    Attributes:
        fed: the tensor that is normalized.
        trunk: the nodes, each of which feeds the next alone.
        channels: how many there are.
        behind: axes behind the channels', as the constants' shapes tell.
        mean: as stored.
        spread: variance or standard deviation as stored; `None` where gamma and it are one constant.
        gamma, beta: as stored; `None` without.
    """

    fed: str
    trunk: tuple[onnx.NodeProto, ...]
    channels: int
    behind: int
    mean: Read
    spread: Spread | None = None
    gamma: Read | None = None
    beta: Read | None = None

    @property
    def end(self) -> onnx.NodeProto:
        """The node that gives the normalized values."""
        return self.trunk[-1]


def patterns_in(graph: onnx.GraphProto, constants: Constants) -> Iterator[Pattern]:
    """Every pattern of the graph, in running order; those in bodies of control flow are left."""
    matcher = _Matcher(graph, constants)
    for node in filter(is_arithmetic, graph.node):
        pattern = matcher.centred(node) if node.op_type in ("Sub", "Add") else None
        if node.op_type == "Mul":
            pattern = matcher.shifted(node)
        if pattern is not None and matcher.is_layer(pattern):
            yield pattern


class _Matcher:
    """Follows what each node gives to the next."""

    def __init__(self, graph: onnx.GraphProto, constants: Constants) -> None:
        self._constants = constants
        self._parts = StoredParts(constants)
        self._inputs = {value.name for value in graph.input}
        self._readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        self._outputs = {value.name for value in graph.output}
        for node in graph.node:
            for name in node.input:
                self._readers[name].append(node)
            self._outputs.update(name for inner, _ in nodes_below(node) for name in inner.input)

    def centred(self, node: onnx.NodeProto) -> Pattern | None:
        """A pattern that begins by taking the mean away."""
        begun = self._mean(node)
        if begun is None:
            return None
        pattern, spread, gamma = begun, None, None
        factors: list[Read] = []
        while (step := self._step(pattern, ("Mul", "Div"))) is not None and len(factors) < 2:
            follower, constant = step
            if follower.op_type == "Div":
                if spread is not None or follower.input[0] != pattern.end.output[0]:
                    break
                spread = self._parts.deviation(constant, pattern.channels)
                if spread is None:
                    return None
            else:
                factors.append(constant)
            pattern = replace(pattern, trunk=(*pattern.trunk, follower))
            if spread is not None and factors:
                break
        if not factors and spread is None:
            return None
        found = self._told_apart(factors, spread, pattern.channels)
        if found is None:
            return None
        spread, gamma = found
        return self._with_beta(replace(pattern, spread=spread, gamma=gamma))

    def shifted(self, node: onnx.NodeProto) -> Pattern | None:
        """A pattern that begins by multiplying, and whose offset the graph computes from mean and beta."""
        for fed, constant in both_ways(node):
            found = self._begun(node, fed, constant)
            slope = None if found is None else self._parts.slope(constant, found.channels)
            if found is None or slope is None or not slope.spread.is_told:
                continue
            found = replace(found, spread=slope.spread, gamma=slope.gamma)
            step = self._step(found, ("Add", "Sub"))
            if step is None:
                continue
            follower, added = step
            grown = replace(found, trunk=(node, follower))
            if follower.op_type == "Sub":
                mean = self._parts.shift(added, constant.name, found.channels, negated=False)
                if mean is not None and follower.input[0] == node.output[0]:
                    return self._with_beta(replace(grown, mean=mean))
                continue
            offset = self._parts.offset(added, constant.name, found.channels)
            if offset is not None:
                whole = replace(grown, mean=offset[0], beta=offset[1])
                return whole if whole.beta is not None else self._with_beta(whole)
        return None

    def is_layer(self, pattern: Pattern) -> bool:
        """Whether it can be nothing else: standardized inputs and scales of quantization look alike.

        What is divided by a stored constant and neither scaled nor shifted then, is standardized only; so is an input
        by any stored constants.
        """
        told = pattern.spread is not None and pattern.spread.is_told
        if pattern.spread is None:
            return pattern.beta is not None and not self._is_input(pattern.fed)
        if told:
            return not self._is_input(pattern.fed) or (pattern.gamma is not None and pattern.beta is not None)
        return (pattern.gamma is not None or pattern.beta is not None) and not self._is_input(pattern.fed)

    def _mean(self, node: onnx.NodeProto) -> Pattern | None:
        for fed, constant in both_ways(node):
            if node.op_type == "Sub" and fed.position:
                continue
            begun = self._begun(node, fed, constant)
            if begun is None:
                continue
            if node.op_type == "Sub":
                mean = self._parts.vector(constant, begun.channels)
            else:
                negated = self._constants.producer(self._parts.leaf(constant).name)
                is_negated = negated is not None and negated.op_type == "Neg" and is_arithmetic(negated)
                inside = inputs_of(negated)[0] if negated is not None and is_negated else None
                mean = None if inside is None else self._parts.vector(inside, begun.channels)
            if mean is not None:
                return replace(begun, mean=mean)
        return None

    def _begun(self, node: onnx.NodeProto, fed: Read, constant: Read) -> Pattern | None:
        """A pattern of one node, if it takes one constant per channel of something that is none; its mean is to come.

        The shape of the constant says where the channels are.
        """
        value = self._constants.value(constant.name)
        if value is None or value.dtype.kind != "f" or self._constants.value(fed.name) is not None:
            return None
        wide = [axis for axis, size in enumerate(value.shape) if size > 1]
        if len(wide) != 1 or value.size < _FEWEST_CHANNELS:
            return None
        return Pattern(fed.name, (node,), int(value.size), value.ndim - 1 - wide[0], constant)

    def _step(self, pattern: Pattern, operators: Sequence[str]) -> tuple[onnx.NodeProto, Read] | None:
        """The one node that reads what the pattern gives, where it takes one constant per channel too."""
        given = pattern.end.output[0]
        readers = self._readers[given]
        if len(readers) != 1 or given in self._outputs or readers[0].op_type not in operators:
            return None
        if not is_arithmetic(readers[0]):
            return None
        for fed, constant in both_ways(readers[0]):
            if fed.name != given:
                continue
            begun = self._begun(readers[0], fed, constant)
            if begun is not None and (begun.channels, begun.behind) == (pattern.channels, pattern.behind):
                return readers[0], constant
        return None

    def _told_apart(
        self, factors: Sequence[Read], spread: Spread | None, channels: int
    ) -> tuple[Spread | None, Read | None] | None:
        """Spread and gamma among what is multiplied by; no spread where one constant holds both; `None` for neither."""
        if spread is not None:
            gammas = [self._parts.vector(factor, channels) for factor in factors]
            return None if None in gammas else (spread, gammas[0] if gammas else None)
        slopes = [self._parts.slope(factor, channels) for factor in factors]
        told = [number for number, slope in enumerate(slopes) if slope is not None and slope.spread.is_told]
        if len(told) > 1:
            return None
        if len(factors) == 1:
            slope = slopes[0]
            if told and slope is not None:
                return slope.spread, slope.gamma
            return None if self._parts.vector(factors[0], channels) is None else (None, None)
        first = told[0] if told else 0
        slope, gamma = slopes[first], self._parts.vector(factors[1 - first], channels)
        return None if slope is None or slope.gamma is not None or gamma is None else (slope.spread, gamma)

    def _with_beta(self, pattern: Pattern) -> Pattern:
        """The pattern with the constant that the node behind it adds, if there is one."""
        step = self._step(pattern, ("Add",))
        beta = None if step is None else self._parts.vector(step[1], pattern.channels)
        if step is None or beta is None:
            return pattern
        return replace(pattern, trunk=(*pattern.trunk, step[0]), beta=beta)

    def _is_input(self, name: str) -> bool:
        """Whether a tensor is an input of the graph, or one that was only shaped, cast and scaled."""
        for _ in range(_LONGEST_WAY):
            node = self._constants.producer(name)
            if node is None:
                return name in self._inputs
            if node.op_type not in _OF_THE_INPUT:
                return False
            open_ones = [one for one in node.input if one and self._constants.value(one) is None]
            if len(open_ones) != 1:
                return False
            name = open_ones[0]
        return False
