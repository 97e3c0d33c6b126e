"""Following values through the operators of a torch program, whatever runs or lists these."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from bncheck.formats.tracing.operators import meaning_of
from bncheck.formats.tracing.values import Call, Value
from bncheck.formats.wiring.drawing import Drawing

_MOST = 200_000
"""Calls of a program, beyond which it is not followed."""
_LARGEST = 2**28
"""Elements of constants that are computed from others, all together."""
_VIEWS = frozenset({"t", "transpose", "permute", "view", "unsqueeze", "squeeze", "select", "slice", "detach", "alias"})
_COMPUTED = _VIEWS | {
    *("reshape", "flatten", "clone", "contiguous", "to", "to_copy", "float", "lift_fresh_copy"),
    *("add", "sub", "rsub", "mul", "div", "neg", "sqrt", "rsqrt", "reciprocal", "mean", "sum", "var", "std"),
    *("norm", "linalg_vector_norm", "norm_except_dim", "weight_norm", "weight_norm_interface"),
}
"""PyTorch's operators that are computed of constants: what weights are turned, scaled and standardized by."""


class NotFollowedError(RuntimeError):
    """A program cannot be followed: it calls too many operators, or has a form that is not read."""


@dataclass(slots=True)
class Tracing:
    """A program while it is followed: what each of its values is.

    Attributes:
        names: its tensors' names by storage address.
        drawing: the wiring so far.
    """

    names: dict[int, str]
    drawing: Drawing = field(default_factory=Drawing)
    _held: dict[Hashable, Any] = field(default_factory=dict)
    _base: dict[Hashable, Hashable] = field(default_factory=dict)
    _alike: dict[Hashable, list[Hashable]] = field(default_factory=dict)
    _kept: list[Any] = field(default_factory=list)
    _calls: int = 0
    _room: int = _LARGEST

    def hold(self, key: Hashable, what: Any, base: Hashable | None = None) -> None:
        """Remember what stands under a key; with `base` it shares memory with what stands under that."""
        base = key if base is None else self._base.get(base, base)
        self._held[key], self._base[key] = what, base
        self._alike.setdefault(base, []).append(key)

    def what(self, key: Hashable, otherwise: Any = None) -> Any:
        """What stands under a key."""
        return self._held.get(key, otherwise)

    def call(
        self,
        operator: Any,
        given: Mapping[str, Any],
        keys: Mapping[str, Hashable],
        shapes: tuple[Sequence[Any] | None, Sequence[Any] | None] = (None, None),
    ) -> Any:
        """What a call of an operator gives; what it writes to is followed, too.

        Args:
            operator: an overload of PyTorch's; its schema alone is enough where constants need not be computed.
            given: its arguments by name: `Value`, tensors that the program holds, numbers, and lists of these.
            keys: under which its arguments stand, of those that stand under one.
            shapes: of its first argument and of its (first) result; `None` where they are not known.
        """
        self._calls += 1
        if self._calls > _MOST:
            raise NotFollowedError("it calls more operators than are followed")
        schema = getattr(operator, "_schema", operator)
        writes = [one.name for one in schema.arguments if one.alias_info is not None and one.alias_info.is_write]
        if not writes and callable(operator) and _of_constants(given):
            name = Call(schema.name, {}, {}).plain_name
            is_known = schema.name.startswith("aten::") and name in _COMPUTED
            return self._computed(operator, given, name) if is_known else Value(self.drawing.lost())
        if shapes[0] is None:
            shapes = (self._unsized(given), shapes[1])
        result = meaning_of(self.drawing, Call(schema.name, given, self.names, shapes))
        for name in writes:
            if name in keys:
                self._overwrite(keys[name], result)
        return result

    def _unsized(self, given: Mapping[str, Any]) -> Sequence[None] | None:
        """As many sizes as the first argument has axes, where that is known and they are not."""
        first = next(iter(given.values()), None)
        first = first[0] if isinstance(first, list) and first else first
        rank = self.drawing.ranks[first.place] if isinstance(first, Value) else None
        return None if rank is None else (None,) * rank

    @staticmethod
    def viewed(operator: Any, keys: Mapping[str, Hashable]) -> Hashable | None:
        """The key of the argument whose memory the result shares; `None` where it has its own."""
        schema = getattr(operator, "_schema", operator)
        if not any(one.alias_info is not None for one in schema.returns):
            return None
        first = next((one.name for one in schema.arguments if one.alias_info is not None), None)
        return None if first is None else keys.get(first)

    def _computed(self, operator: Any, given: Mapping[str, Any], name: str) -> Any:
        """What an operator makes of constants: a transposed weight, a standardized one."""
        arguments = {name: value for name, value in given.items() if name not in ("device", "pin_memory", "layout")}
        shape = np.broadcast_shapes(*(tuple(one.shape) for one in _tensors(given)))
        self._room -= 0 if name in _VIEWS else math.prod(shape)
        if self._room < 0:
            raise NotFollowedError("it computes constants larger than any weights")
        with torch.no_grad():
            found = operator(**arguments)
        if isinstance(found, torch.Tensor):
            self._kept.append(found)  # an address is taken again
            owner = next((self.names.get(one.data_ptr()) for one in _tensors(given) if one.numel()), None)
            if owner is not None and found.numel():
                self.names.setdefault(found.data_ptr(), owner)
        return found

    def _overwrite(self, key: Hashable, result: Any) -> None:
        """Have a key stand for what was written to it; what shares its memory is not known any more."""
        first = result[0] if isinstance(result, list | tuple) and result else result
        base = self._base.get(key, key)
        for other in self._alike.get(base, ()):
            if other != key and isinstance(self._held.get(other), Value):
                self._held[other] = Value(self.drawing.lost())
        self._alike[base] = [key]  # the others are lost for good, and need not be looked at again
        self._held[key] = first if isinstance(first, Value) else Value(self.drawing.lost())


def _tensors(given: Mapping[str, Any]) -> list[torch.Tensor]:
    flat = [one for value in given.values() for one in (value if isinstance(value, list | tuple) else [value])]
    return [one for one in flat if isinstance(one, torch.Tensor)]


def _of_constants(given: Mapping[str, Any]) -> bool:
    """Whether tensors of the program are all that it is computed from."""
    flat = [one for value in given.values() for one in (value if isinstance(value, list | tuple) else [value])]
    known = [one for one in flat if isinstance(one, torch.Tensor)]
    return bool(known) and not any(isinstance(one, Value) for one in flat) and not any(one.is_meta for one in known)
