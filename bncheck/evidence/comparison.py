"""Whether a model's layers store what its reference stores."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ComparedLayer:
    """A layer of the model and the same layer of the reference.

    Attributes:
        name: of the layer in the model.
        original: its name in the reference.
        error: RMS gap of the model's statistics from the reference's.
        worst_channel: where they differ most.
        agrees: whether that is no more than rounding.
        folded: whether it was folded into an operation.
    """

    name: str
    original: str
    error: float
    worst_channel: int
    agrees: bool
    folded: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing with a reference gave.

    Attributes:
        path: of the reference.
        layers: those found in both.
        unfound: names of the reference's layers that the model does not have.
        stamped: whether the reference is a stamp in the model's own file.
    """

    path: str
    layers: tuple[ComparedLayer, ...]
    unfound: tuple[str, ...]
    stamped: bool = False
