"""The parts of a batch by name or index, and which of them are inputs and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any, Final

import numpy as np

from bncheck.data.forms.structure import PackedSequence
from bncheck.errors import DataError
from bncheck.settings import DataSettings
from bncheck.tensors import torch
from bncheck.vocabulary import argument, with_article

LABEL_KEYS = ("y", "label", "labels", "target", "targets")
NO_LABEL = "none"
DEEPEST = 16
"""How deep parts may stand within parts."""
PAIR = 2
"""Parts of a pair, input and label."""
AS_GIVEN: Final = DataSettings()


def fields_of(value: object) -> dict[str, object] | None:
    """The parts of what is more than one, by name or index."""
    if isinstance(value, PackedSequence):
        return None
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    if isinstance(value, tuple | list):
        return {str(place): part for place, part in enumerate(value)}
    return dict(attributes(value)) if is_graph(value) else None


def label_of(value: object, fields: Mapping[str, object], reading: DataSettings, where: str) -> str | None:
    """The name of the part that holds the labels."""
    if reading.label is not None:
        return None if reading.label == NO_LABEL else reading.label
    taken = reading.input or ()
    if _is_named(value):
        keys = [key for key in LABEL_KEYS if key in fields and key not in taken]
        if len(keys) > 1:
            raise DataError(
                f"{where}: both {keys[0]!r} and {keys[1]!r} could be the labels; keep one of them, or choose it with "
                f"{argument('label')}."
            )
        return keys[0] if keys else None
    rest = [name for name in fields if name not in taken]
    if len(fields) > 2 and not (taken and len(rest) == 1):
        raise DataError(
            f"{where}: {with_article(type_name(value))} of {len(fields)} elements. Accepted are x, (x, y) and a dict; "
            "several inputs are ((x1, x2), y), or a dict of inputs by name; several labels are (x, (y1, y2)), or a "
            f"dict of labels by output. Or say which is what of {_listed(fields)}, like {argument('input')} 0 and "
            f"{argument('label')} 1 (or none)."
        )
    return rest[-1] if len(fields) > 1 and rest else None


def inputs_of(value: object, fields: Mapping[str, object], label: str | None, where: str) -> tuple[str, ...]:
    """The names of the inputs where only the label is known: what stands before it, or, with names, all others."""
    names = list(fields)
    if _is_named(value):
        found = [name for name in names if name not in LABEL_KEYS and name != label]
    elif label is None:
        if len(names) > 2:
            raise DataError(
                f"{where}: {with_article(type_name(value))} of {len(names)} elements; say {argument('input')} too."
            )
        found = names[:1]
    else:
        place = names.index(label) if label in names else len(names)
        found = names[:place] or names[1:]
    if not found:
        raise DataError(f"{where}: no input, only {', '.join(map(repr, names))}; expected 'x'.")
    return tuple(found)


def without_slices(
    value: object, fields: dict[str, object], reading: DataSettings, column: str | None
) -> dict[str, object]:
    """The parts without what only names the slices; what is chosen as an input, or is the label, stays.

    Args:
        value: that has the parts.
        fields: the parts.
        reading: which of them are inputs and label.
        column: the name of what slices them.
    """
    chosen = (*(reading.input or ()), reading.label)
    aside = set()
    for name in (column, reading.aside):
        place = None if name is None else _place(fields, name)
        if place is None or place in chosen or name in chosen:
            continue
        if not (reading.label is None and place in LABEL_KEYS if _is_named(value) else len(fields) <= PAIR):
            aside.add(place)
    return {name: part for name, part in fields.items() if name not in aside} if len(aside) < len(fields) else fields


def _place(fields: Mapping[str, object], name: str) -> str | None:
    """The name of the part that is meant, or that it lies in."""
    if name in fields:
        return name
    if name.lstrip("-").isdigit() and -len(fields) <= int(name) < len(fields):
        return list(fields)[int(name)]
    outer = name.partition(".")[0]
    return outer if outer in fields else None


def part_of(fields: Mapping[str, object], name: str, where: str, role: str) -> object:
    """One of the parts; with dots, a part of a part.

    Raises:
        DataError: there is none of that name.
    """
    if name in fields:
        return fields[name]
    if name.lstrip("-").isdigit() and -len(fields) <= int(name) < len(fields):
        return list(fields.values())[int(name)]
    outer, _, inner = name.partition(".")
    within = fields_of(fields[outer]) if outer in fields else None
    if inner and within is not None:
        return part_of(within, inner, where, role)
    raise DataError(f"{where}: {argument(role)} {name}: there is none; there are {_listed(fields)}.")


def _is_named(value: object) -> bool:
    return isinstance(value, Mapping) or hasattr(value, "_fields") or not isinstance(value, tuple | list)


def is_graph(value: object) -> bool:
    """Whether it is a graph of PyTorch Geometric or of DGL: told by what it has, since neither need be installed."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return False
    has_edges = isinstance(getattr(value, "edge_index", None), torch.Tensor)
    return has_edges or (hasattr(value, "ndata") and hasattr(value, "edata"))


def attributes(value: Any) -> Mapping[str, object]:
    """What an object carries: as its class tells it, or as it stands there."""
    told = value.to_dict() if callable(getattr(value, "to_dict", None)) else vars(value)
    return {str(name): part for name, part in told.items() if isinstance(part, torch.Tensor)}


def is_text(value: object) -> bool:
    """Whether it is a text, a list of texts, or nothing."""
    if isinstance(value, tuple | list):
        return bool(value) and all(isinstance(one, str | bytes | None) for one in value)
    return isinstance(value, str | bytes | None)


def left_out(value: object, reading: DataSettings = AS_GIVEN) -> tuple[str, ...]:
    """The names of what a batch holds and no model is fed unless it is chosen: texts."""
    if not isinstance(value, Mapping) or reading.input is not None:
        return ()
    aside = (*LABEL_KEYS, reading.by, reading.aside)
    return tuple(str(name) for name, part in value.items() if is_text(part) and name not in aside)


def type_name(value: object) -> str:
    """The type of `value` as a reader knows it: ``list``, ``numpy.ndarray``."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def entries(value: object) -> int | None:
    """How many entries it has, along its first axis; `None` for what has none, and for what is named."""
    if isinstance(value, torch.Tensor | np.ndarray):
        if isinstance(value, torch.Tensor) and value.is_nested:
            return value.size(0)
        return value.shape[0] if value.ndim else None
    return len(value) if isinstance(value, Sized) and not isinstance(value, Mapping) else None


def _listed(fields: Mapping[str, object]) -> str:
    return ", ".join(f"{name} ({_shape(part)})" for name, part in list(fields.items())[:12])


def _shape(part: object) -> str:
    if isinstance(part, torch.Tensor) and part.is_nested:
        return "nested"
    if isinstance(part, torch.Tensor | np.ndarray):
        return f"{str(part.dtype).removeprefix('torch.')} {tuple(part.shape)}"
    return type_name(part)
