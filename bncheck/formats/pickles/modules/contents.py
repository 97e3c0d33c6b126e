"""What was read of a pickle, with modules where placeholders are ones, and plain tables of the others."""

from __future__ import annotations

from typing import Any

from torch import nn

from bncheck.formats.pickles.modules.building import build_module, is_module
from bncheck.formats.pickles.placeholders import ForeignObject

_DEEPEST = 8
"""Levels of a checkpoint that are looked through for a model; none that anybody wrote has it at the fifth."""


class Attributes(dict[str, Any]):
    """What an object had by name whose class was not imported.

    Attributes:
        class_name: of that class.
    """

    class_name: str = ""


def with_modules(content: Any) -> Any:
    """The content itself, its containers changed in place.

    Raises:
        ModelError: a module in it holds itself, or is nested too deep.
    """
    return _converted(content, {}, 0)


def _converted(value: Any, known: dict[int, Any], depth: int) -> Any:
    if depth > _DEEPEST or not isinstance(value, (dict, list, tuple, ForeignObject)):
        return value
    if id(value) in known:
        return known[id(value)]
    if isinstance(value, ForeignObject):
        return _of_object(value, known, depth)
    if isinstance(value, tuple):
        known[id(value)] = value
        parts = [_converted(part, known, depth + 1) for part in value]
        changed = any(new is not old for new, old in zip(parts, value, strict=True))
        known[id(value)] = tuple(parts) if changed else value
        return known[id(value)]
    known[id(value)] = value
    for key, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
        if isinstance(part, (dict, list, tuple, ForeignObject)):
            value[key] = _converted(part, known, depth + 1)
    return value


def _of_object(found: ForeignObject, known: dict[int, Any], depth: int) -> Any:
    if is_module(found):
        module = build_module(found)
        if _has_tensors(module):  # losses and metrics without any are no model
            known[id(found)] = module
            return module
    table = known[id(found)] = Attributes()
    table.class_name = found.class_name
    for name, part in found.attributes.items():
        table[name] = _converted(part, known, depth + 1)
    return table


def _has_tensors(module: nn.Module) -> bool:
    return any(True for _ in module.parameters()) or any(True for _ in module.buffers())
