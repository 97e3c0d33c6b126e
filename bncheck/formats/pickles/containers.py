"""Plain containers out of pickles: made anew of what they hold, without a class of the file's choice among them."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from bncheck.formats.pickles.budget import Budget
from bncheck.formats.pickles.made import Known, NotMadeError, made_by
from bncheck.formats.pickles.placeholders import ForeignName, ForeignObject
from bncheck.tensors import torch
from bncheck.vocabulary import with_article

_ITEM = 64
"""Bytes that an item takes, about."""
_LARGEST_KEY = 2**60
"""Whole numbers beyond it, and fractions, can be chosen so that all of them fall into one place of a table."""
_DEEPEST_KEY = 8
_WIDEST_KEY = 64
_CODINGS = ("latin1", "latin-1")
_SIMPLE_KEYS = (
    *(str, bytes, bool, type(None), frozenset, torch.Tensor, np.dtype),
    *(torch.dtype, torch.device, torch.Size, ForeignName, ForeignObject),
)


def as_key(value: Any, budget: Budget, depth: int = 0) -> Any:
    """The value, if it may be a key or a member of a set: nothing deep, and not too much whose hash can be chosen.

    Raises:
        ValueError: it may not.
        ModelError: there were too many of the kind.
    """
    if isinstance(value, _SIMPLE_KEYS) or (isinstance(value, (int, np.integer)) and abs(int(value)) < _LARGEST_KEY):
        return value
    if isinstance(value, (int, float, complex, np.generic)):
        budget.count_odd_key()
        return value
    if type(value) is tuple and depth < _DEEPEST_KEY and len(value) <= _WIDEST_KEY:
        for part in value:
            as_key(part, budget, depth + 1)
        return value
    raise ValueError(f"{with_article(type(value).__name__)} is a key, or a member of a set")


def _mapping(kind: type[dict[Any, Any]]) -> Any:
    def make(arguments: tuple[Any, ...], budget: Budget) -> Any:
        """Of nothing, of another, or of pairs; keyword arguments stay with the placeholder."""
        made = kind()
        for given in arguments[:1]:
            pairs = given.items() if isinstance(given, dict) else given
            for pair in _items(pairs, budget):
                if type(pair) not in (tuple, list) or len(pair) != 2:
                    raise NotMadeError
                made[as_key(pair[0], budget)] = pair[1]
        if len(arguments) > 1:
            raise NotMadeError
        return made

    return make


def _without_factory(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """A defaultdict that makes nothing for keys that it lacks: its factory is a function."""
    return defaultdict(None)


def _sequence(kind: Any) -> Any:
    def make(arguments: tuple[Any, ...], budget: Budget) -> Any:
        if len(arguments) > 1:
            raise NotMadeError
        return kind(_items(arguments[0], budget) if arguments else ())

    return make


def _set(kind: Any) -> Any:
    def make(arguments: tuple[Any, ...], budget: Budget) -> Any:
        if len(arguments) > 1:
            raise NotMadeError
        items = _items(arguments[0], budget) if arguments else ()
        return kind(as_key(item, budget) for item in items)

    return make


def _deque(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """Its limit is left out: what it held when it was saved is what it holds."""
    return deque(_items(arguments[0], budget) if arguments else ())


def _items(given: Any, budget: Budget) -> Iterable[Any]:
    """The items, copied, so that a container can be made of itself."""
    if not isinstance(given, (list, tuple, set, frozenset, deque, type({}.items()))):
        raise NotMadeError
    budget.charge(_ITEM * len(given))
    return list(given)


def _encoded(arguments: tuple[Any, ...], budget: Budget) -> bytes:
    """Bytes, which the older protocols write as text."""
    if len(arguments) != 2 or type(arguments[0]) is not str or arguments[1] not in _CODINGS:
        raise NotMadeError
    budget.charge(len(arguments[0]))
    return arguments[0].encode("latin-1")


def _bytes(kind: Any) -> Any:
    def make(arguments: tuple[Any, ...], budget: Budget) -> Any:
        """Never of a number: that would be so many zeros."""
        match arguments:
            case ():
                return kind()
            case (bytes() | bytearray() as given,):
                budget.charge(len(given))
                return kind(given)
            case (str(), _):
                return kind(_encoded(arguments, budget))
        raise NotMadeError

    return make


def _complex(arguments: tuple[Any, ...], budget: Budget) -> complex:
    match arguments:
        case (int() | float() as real, int() | float() as imaginary):
            return complex(real, imaginary)
    raise NotMadeError


def _size(arguments: tuple[Any, ...], budget: Budget) -> torch.Size:
    match arguments:
        case (tuple() | list() as numbers,) if all(type(number) is int and 0 <= number < 2**63 for number in numbers):
            return torch.Size(numbers)
    raise NotMadeError


def _device(arguments: tuple[Any, ...], budget: Budget) -> torch.device:
    match arguments:
        case (str(),) | (str(), int()):
            try:
                return torch.device(*arguments)
            except (RuntimeError, TypeError) as error:
                raise NotMadeError from error
    raise NotMadeError


def _new(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """`copyreg.__newobj__(class, *arguments)`: what an operation of its own does in later protocols."""
    if not arguments:
        raise NotMadeError
    return made_by(arguments[0], arguments[1:], budget)


def _reconstructed(arguments: tuple[Any, ...], budget: Budget) -> Any:
    """`copyreg._reconstructor(class, base, state)` of the oldest protocols."""
    if len(arguments) != 3:
        raise NotMadeError
    kind, _, state = arguments
    return made_by(kind, () if state is None else (state,), budget)


CONTAINERS = (
    Known("builtins.dict", _mapping(dict)),
    Known("collections.OrderedDict", _mapping(OrderedDict)),
    Known("collections.Counter", _mapping(Counter)),
    Known("collections.defaultdict", _without_factory),
    Known("collections.deque", _deque),
    Known("builtins.list", _sequence(list)),
    Known("builtins.tuple", _sequence(tuple)),
    Known("builtins.set", _set(set)),
    Known("builtins.frozenset", _set(frozenset)),
    Known("builtins.bytes", _bytes(bytes)),
    Known("builtins.bytearray", _bytes(bytearray)),
    Known("builtins.complex", _complex),
    Known("_codecs.encode", _encoded),
    Known("copyreg.__newobj__", _new),
    Known("copyreg._reconstructor", _reconstructed),
    Known("torch.Size", _size),
    Known("torch.device", _device),
)
