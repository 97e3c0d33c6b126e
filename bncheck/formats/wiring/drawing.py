"""Drawing a wiring step by step, with what every format knows alike: sums, gates, constants, flattening."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bncheck.core import FloatArray
from bncheck.formats.wiring.steps import (
    Activated,
    Added,
    Averaged,
    Constant,
    Fed,
    Flattened,
    Joined,
    Lost,
    Normalized,
    Padded,
    Part,
    Scaled,
    Step,
    Weighted,
    Wiring,
    sources_of,
)
from bncheck.vocabulary import Activation, Unpredicted

_BY_BOUNDS = {
    (0.0, None): Activation.RELU,
    (0.0, 6.0): Activation.RELU6,
    (-1.0, 1.0): Activation.HARD_TANH,
    (None, None): Activation.LINEAR,
}
_THREE, _SIXTH, _ROOT_OF_HALF = 3.0, 1 / 6, 0.5**0.5
_CLOSE = 1e-4
UNREADABLE = (RuntimeError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError)
"""What following a graph raises that no tool has written: it is not drawn, and names and shapes tell what they can."""


@dataclass(slots=True)
class Drawing:
    """A wiring while it is drawn.

    Attributes:
        steps: so far.
        channels: how many each has; `None` where that is not known.
        ranks: how many axes each has; `None` where that is not known.
    """

    steps: list[Step] = field(default_factory=list)
    channels: list[int | None] = field(default_factory=list)
    ranks: list[int | None] = field(default_factory=list)
    _lost: dict[Unpredicted, int] = field(default_factory=dict)

    def put(self, step: Step, channels: int | None = None) -> int:
        """Add a step; gives its place."""
        self.steps.append(step)
        self.channels.append(channels if channels is not None else self._channels(step))
        self.ranks.append(self._rank(step))
        return len(self.steps) - 1

    def lost(self, reason: Unpredicted = Unpredicted.UNKNOWN_OPERATION) -> int:
        """Give the value of which nothing is known for that reason."""
        if reason not in self._lost:
            self._lost[reason] = self.put(Lost(reason))
        return self._lost[reason]

    def finished(self) -> Wiring:
        """The wiring as it is."""
        return Wiring(tuple(self.steps))

    def clipped(self, source: int, low: float | None, high: float | None) -> int:
        """Add a value held between bounds."""
        before = self.steps[source]
        if low is None and isinstance(before, Activated) and before.function is Activation.RELU:
            low, source = 0.0, before.source
        known = _BY_BOUNDS.get((low, high))
        if known is Activation.LINEAR:
            return source
        return self.lost() if known is None else self.put(Activated(known, source))

    def leaky(self, source: int, slope: FloatArray) -> int:
        """Add a leaky ReLU or a PReLU with that slope below 0, shape (1,) or (C,)."""
        one_for_all = slope.size == 1
        if one_for_all and slope[0] == 0:
            return self.put(Activated(Activation.RELU, source))
        return self.put(Activated(Activation.LEAKY_RELU if one_for_all else Activation.PRELU, source, slope))

    def added(self, sources: Sequence[int], signs: Sequence[float]) -> int:
        """Add a sum; a sum of sums is one sum."""
        return self.put(Added(tuple(sources), tuple(signs)))

    def multiplied(self, one: int, other: int) -> int:
        """Add a product of two values: an activation, where one is a gate of the other by itself."""
        for source, gate in ((one, other), (other, one)):
            if (doubled := self._by_error_function(source, gate)) is not None:
                return self.scaled(self.put(Activated(Activation.GELU, source)), doubled)
            if self._is_moved_relu6(gate, source):
                return self.scaled(self.put(Activated(Activation.HARD_SWISH, source)), 1 / _SIXTH)
            if (function := self._gated(source, gate)) is not None:
                return self.put(Activated(function, source))
        return self.lost(Unpredicted.MULTIPLIED)

    def scaled(self, source: int, factor: FloatArray | float, offset: FloatArray | float = 0.0) -> int:
        """Add a value times constants plus constants; two such steps are one."""
        factor, offset = (np.atleast_1d(np.asarray(one, dtype=np.float64)) for one in (factor, offset))
        before = self.steps[source]
        if isinstance(before, Scaled):
            source, offset, factor = before.source, offset + factor * before.offset, factor * before.factor
        if _is(factor, 1.0) and _is(offset, 0.0):
            return source
        return self.put(Scaled(source, factor, offset))

    def flattened(self, source: int, *, last: bool = False) -> int:
        """Add positions as channels."""
        return self.put(Flattened(source, last))

    def split(self, source: int, sizes: Sequence[int]) -> list[int]:
        """Add the parts of so many channels each, one after the other."""
        places, begin = [], 0
        for size in sizes:
            places.append(self.put(Part(source, begin, begin + size), size))
            begin += size
        return places

    def wider(self, source: int, before: int, behind: int) -> int:
        """Add a value with channels of zeros before and behind its own."""
        parts = [self.put(Constant(np.zeros(size)), size) if size else None for size in (before, behind)]
        return self.put(Joined(tuple(part for part in (parts[0], source, parts[1]) if part is not None)))

    def _gated(self, source: int, gate: int) -> Activation | None:
        """The activation that a value times a function of it is."""
        made = self.steps[gate]
        if isinstance(made, Activated) and made.source == source:
            return {
                Activation.SIGMOID: Activation.SILU,
                Activation.HARD_SIGMOID: Activation.HARD_SWISH,
            }.get(made.function)
        if isinstance(made, Activated) and made.function is Activation.TANH:
            inner = self.steps[made.source]
            if isinstance(inner, Activated) and inner.function is Activation.SOFTPLUS and inner.source == source:
                return Activation.MISH
        if isinstance(made, Scaled) and _is(made.factor, _SIXTH) and _is(made.offset, 0.0):
            return Activation.HARD_SWISH if self._is_moved_relu6(made.source, source) else None
        return None

    def _is_moved_relu6(self, place: int, source: int) -> bool:
        """Whether it is ReLU6 of the source and three."""
        made = self.steps[place]
        if not isinstance(made, Activated) or made.function is not Activation.RELU6:
            return False
        moved = self.steps[made.source]
        if not isinstance(moved, Scaled) or moved.source != source:
            return False
        return _is(moved.factor, 1.0) and _is(moved.offset, _THREE)

    def _by_error_function(self, source: int, gate: int) -> float | None:
        """What a value times a gate is of GELU, whose gate is (1 + erf(x / sqrt 2)) / 2."""
        made = self.steps[gate]
        if not isinstance(made, Scaled) or made.factor.size != 1 or not _is(made.offset, float(made.factor[0])):
            return None
        inner = self.steps[made.source]
        if not isinstance(inner, Activated) or inner.function is not Activation.ERF:
            return None
        moved = self.steps[inner.source]
        by_root = isinstance(moved, Scaled) and moved.source == source and _is(moved.factor, _ROOT_OF_HALF)
        return 2 * float(made.factor[0]) if by_root else None

    def _rank(self, step: Step) -> int | None:
        """As a convolution's weight tells, which has as many axes as what it gives."""
        if isinstance(step, Weighted):
            return step.weight.dim()
        known = (self.ranks[one] for one in sources_of(step))
        return 2 if isinstance(step, Flattened) else next((rank for rank in known if rank is not None), None)

    def _channels(self, step: Step) -> int | None:
        match step:
            case Fed() | Lost() | Flattened():
                return None
            case Constant(values):
                return int(values.size)
            case Weighted():
                return int(step.weight.shape[1] * step.groups if step.transposed else step.weight.shape[0])
            case Joined(sources):
                counts = [self.channels[one] for one in sources]
                return None if None in counts else sum(one for one in counts if one is not None)
            case Added(sources, _):
                return next((self.channels[one] for one in sources if self.channels[one] is not None), None)
            case Part(source, begin, end):
                whole = self.channels[source]
                return None if whole is None else len(range(whole)[begin:end])
            case Normalized() | Activated() | Averaged() | Padded() | Scaled():
                return self.channels[step.source]


def _is(values: FloatArray, wanted: float) -> bool:
    return values.size == 1 and abs(float(values[0]) - wanted) < _CLOSE
