"""What was read of a pickle, with modules where placeholders are ones, and plain tables of the others."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bncheck.formats.pickles.placeholders import ForeignObject

if TYPE_CHECKING:
    from bncheck.formats.pickles.modules.building import ModuleBuilder

_DEEPEST = 8
"""Levels of a checkpoint that are looked through for a model; none that anybody wrote has it at the fifth."""
_TABLES = ("_parameters", "_buffers", "_modules")


class Attributes(dict[str, Any]):
    """What an object had by name whose class was not imported.

    Attributes:
        class_name: of that class.
    """

    class_name: str = ""


def is_module(found: ForeignObject) -> bool:
    """Whether it has the three tables that every module has."""
    attributes = found.attributes
    return all(isinstance(attributes.get(table), dict) for table in _TABLES)


def with_modules(content: Any) -> Any:
    """The content itself, its containers changed in place.

    Raises:
        ModelError: a module in it holds itself, or is nested too deep.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constructors, on arguments that the user has not given
        return _Conversion().of(content, 0)


class _Conversion:
    """Looks at every object once, wherever it stands."""

    def __init__(self) -> None:
        self._known: dict[int, Any] = {}

    @cached_property
    def _builder(self) -> ModuleBuilder:
        from bncheck.formats.pickles.modules.building import ModuleBuilder  # of PyTorch's classes

        return ModuleBuilder()

    def of(self, value: Any, depth: int) -> Any:
        if depth > _DEEPEST or not isinstance(value, _LOOKED_INTO):
            return value
        if id(value) in self._known:
            return self._known[id(value)]
        if isinstance(value, ForeignObject):
            return self._of_object(value, depth)
        self._known[id(value)] = value
        if isinstance(value, tuple):
            parts = [self.of(part, depth + 1) for part in value]
            if any(new is not old for new, old in zip(parts, value, strict=True)):
                self._known[id(value)] = tuple(parts)
            return self._known[id(value)]
        for key, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
            if isinstance(part, _LOOKED_INTO):
                value[key] = self.of(part, depth + 1)
        return value

    def _of_object(self, found: ForeignObject, depth: int) -> Any:
        if is_module(found) and (module := self._builder.model(found)) is not None:
            self._known[id(found)] = module
            return module
        table = self._known[id(found)] = Attributes()
        table.class_name = found.class_name
        for name, part in found.attributes.items():
            table[name] = self.of(part, depth + 1)
        return table


_LOOKED_INTO = (dict, list, tuple, ForeignObject)
