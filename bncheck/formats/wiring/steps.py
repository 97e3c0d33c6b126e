"""What a model's graph computes, as far as the moments of its channels can be followed through it.

Channels are the second axis of every value, as PyTorch has them, whatever the format's own layout is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bncheck.core import FloatArray
from bncheck.tensors import torch
from bncheck.vocabulary import Activation, Unpredicted


@dataclass(frozen=True, slots=True)
class Fed:
    """What the model is given."""


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """Channels that are the same everywhere, whatever the model is given, shape (C,)."""

    values: FloatArray


@dataclass(frozen=True, slots=True)
class Lost:
    """A value of which nothing is known.

    Attributes:
        reason: why.
    """

    reason: Unpredicted


@dataclass(frozen=True, slots=True)
class Normalized:
    """What a normalization layer with statistics gives.

    Attributes:
        layer: its name in the model.
        source: what it is given.
    """

    layer: str
    source: int


@dataclass(frozen=True, slots=True, eq=False)
class Activated:
    """What an activation gives.

    Attributes:
        function: which.
        source: what it is given.
        slope: of a leaky ReLU or a PReLU, below 0, shape (1,) or (C,).
    """

    function: Activation
    source: int
    slope: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """What a convolution or a linear layer gives.

    Attributes:
        name: of its weight.
        source: what it is given.
        weight: shape (O, C / groups, ...), of a transposed one (C, O / groups, ...).
        bias: shape (O,); `None` without.
        groups: of channels that do not meet.
        padded: positions at the border meet zeros.
        transposed: it is a transposed convolution.
        strides: along each axis; of a transposed one they say which taps meet.
    """

    name: str
    source: int
    weight: torch.Tensor
    bias: torch.Tensor | None
    groups: int = 1
    padded: bool = False
    transposed: bool = False
    strides: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Added:
    """A sum of values.

    Attributes:
        sources: each once for every time that it is added.
        signs: 1 or -1, or what else each is multiplied by.
    """

    sources: tuple[int, ...]
    signs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """The channels of several values, one after the other."""

    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a value's channels, as a slice has them."""

    source: int
    begin: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Averaged:
    """Means over neighbouring positions, or over all; the mean stays, the variance is less by what nobody knows."""

    source: int


@dataclass(frozen=True, slots=True)
class Padded:
    """A value with a border of zeros, which the weight behind it meets."""

    source: int


@dataclass(frozen=True, slots=True)
class Flattened:
    """Positions as channels, those of a channel beside each other or (`last`) the channels of a position."""

    source: int
    last: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """A value times constants, plus constants.

    Attributes:
        source: the value.
        factor, offset: shape (1,) or (C,).
    """

    source: int
    factor: FloatArray
    offset: FloatArray


Step = (
    Fed
    | Constant
    | Lost
    | Normalized
    | Activated
    | Weighted
    | Added
    | Joined
    | Part
    | Averaged
    | Padded
    | Flattened
    | Scaled
)


@dataclass(frozen=True, slots=True, eq=False)
class Wiring:
    """The steps of a model in an order in which they can be computed: each names only steps before it.

    Attributes:
        steps: what is computed; a layer that is called twice is in two of them.
    """

    steps: tuple[Step, ...]

    def sites(self) -> Mapping[str, tuple[Normalized, ...]]:
        """Every call of each layer, by its name."""
        found: dict[str, tuple[Normalized, ...]] = {}
        for step in self.steps:
            if isinstance(step, Normalized):
                found[step.layer] = (*found.get(step.layer, ()), step)
        return found


def sources_of(step: Step) -> Iterator[int]:
    """The places of the steps that a step is computed from."""
    if isinstance(step, Added | Joined):
        yield from step.sources
    elif not isinstance(step, Fed | Constant | Lost):
        yield step.source
