"""What models are called with, walked one way: tensors within tuples, lists, dicts, packed sequences and objects."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bncheck.tensors import torch

if TYPE_CHECKING:
    from torch.nn.utils.rnn import PackedSequence as PackedSequence
else:
    PackedSequence = torch.nn.utils.rnn.PackedSequence

OnTensor = Callable[[torch.Tensor], torch.Tensor]


class PerSample(list[Any]):
    """One entry for each sample where they have sizes of their own: a detector's images, texts."""


@dataclass(frozen=True, slots=True, eq=False)
class Carrier:
    """An object that carries tensors as attributes, as a graph of PyTorch Geometric does.

    Attributes:
        carried: the user's own, which is never written to.
        values: its tensors by attribute; those that are read here, converted.
    """

    carried: Any
    values: dict[str, torch.Tensor]

    def mapped(self, function: OnTensor) -> Carrier:
        """The same object with `function` applied to what it carries."""
        return Carrier(self.carried, {name: function(value) for name, value in self.values.items()})

    def rebuilt(self) -> Any:
        """A shallow copy of the object that carries these tensors."""
        twin = copy.copy(self.carried)
        for name, value in self.values.items():
            setattr(twin, name, value)
        return twin


def leaves(value: object) -> Iterator[torch.Tensor]:
    """The tensors anywhere in `value`, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, PackedSequence):
        yield value.data
    elif isinstance(value, Carrier):
        yield from value.values.values()
    else:
        for inner in _within(value):
            yield from leaves(inner)


def map_leaves(value: Any, function: OnTensor) -> Any:
    """`value` in the same form, with `function` applied to every tensor; what is no container stays as it is."""
    if isinstance(value, torch.Tensor):
        return function(value)
    if isinstance(value, PackedSequence):
        return PackedSequence(function(value.data), *value[1:])
    if isinstance(value, Carrier):
        return value.mapped(function)
    return _again(value, lambda inner: map_leaves(inner, function))


def columns(value: object) -> Iterator[torch.Tensor | PerSample]:
    """What has an entry for each sample, in order: tensors, and lists with one entry each."""
    if isinstance(value, PerSample | torch.Tensor):
        yield value
    else:
        for inner in _within(value):
            yield from columns(inner)


def map_columns(value: Any, function: Callable[[Any], Any]) -> Any:
    """`value` in the same form, with `function` applied to every column."""
    if isinstance(value, PerSample | torch.Tensor):
        return function(value)
    return _again(value, lambda inner: map_columns(inner, function))


def shape_of(value: object) -> object:
    """What is left of `value` without its samples: equal where two can be joined."""
    if isinstance(value, torch.Tensor):
        return value.dtype, value.device, value.shape[1:]
    if isinstance(value, PerSample):
        return PerSample
    if isinstance(value, Mapping):
        return dict, tuple((key, shape_of(inner)) for key, inner in value.items())
    if isinstance(value, tuple | list):
        return type(value), tuple(map(shape_of, value))
    return value if isinstance(value, str | int | float | bool | None) else id(value)


def is_apart(value: object) -> bool:
    """Whether something in `value` has samples that cannot be told apart: a packed sequence, a graph."""
    return isinstance(value, PackedSequence | Carrier) or any(map(is_apart, _within(value)))


def _within(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, tuple | list) and not isinstance(value, PackedSequence):
        yield from value


def _again(value: Any, make: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: make(inner) for key, inner in value.items()}
    if isinstance(value, PackedSequence):
        return value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(make(inner) for inner in value))
    if isinstance(value, PerSample):
        return PerSample(make(inner) for inner in value)
    if isinstance(value, tuple | list):
        return type(value)(make(inner) for inner in value)
    return value
