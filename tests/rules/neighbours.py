"""What stands beside a value: the same in all but one place, where a number lies at each limit, or something lacks.

So every precondition of a rule is taken away by itself, and every number is put just below, at and above each limit.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from answers import brief

from bncheck.core import THRESHOLDS, Gap
from bncheck.evidence import Evidence, MeasuredLayer

Place = tuple[str, str, Any]
"""Where, what stands there, and the whole with it."""

ROOM = Path(__file__).parents[2] / "bncheck" / "rules"
EVIDENCE = [path for room in ("evidence", "core") for path in sorted((ROOM.parent / room).glob("*.py"))]
LEFT_OUT = {"advice", "notes", "batch_sizes", "model_path", "source", "channels", "skipped"}
"""Fields that are words, or say again what others do."""
SAID_BEFORE: Mapping[type, tuple[str, ...]] = {MeasuredLayer: ("layer",), Gap: ("kl",)}
"""What stands elsewhere, or goes into no rule."""
SEVERAL = 2
"""How many of a tuple or a mapping are changed."""
SHARES = {"predictions_changed", "changed_by_noise", "share", "lopsided", "decisions_changed", "p_value"}
SIGNED = {"gain", "slope", "intercept", "correlation", "lead", "low", "high"}
"""Numbers from 0 to 1, and those that may lie below 0."""
WORDS: Mapping[str, tuple[str, ...]] = {
    "dtype": ("float16", "bfloat16", "float32"),
    "deploy_dtype": ("float16", "bfloat16"),
    "name": ("", "a.b"),
    "layer": (""),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What a module goes by.

    Attributes:
        limits: the numbers of the thresholds that it reads itself, in order.
        fields: names of attributes that it reads, or what it takes from other modules of its room, or the evidence.
    """

    limits: tuple[float, ...]
    fields: frozenset[str]

    @classmethod
    def of(cls, *modules: Path) -> Reading:
        """Look it up in the text."""
        names = {name for path in modules for name in re.findall(r"THRESHOLDS\.(\w+)", path.read_text("utf-8"))}
        limits = sorted({getattr(THRESHOLDS, name) for name in names})
        texts = [path.read_text("utf-8") for path in (*_taken(*modules), *EVIDENCE)]
        return cls(tuple(limits), frozenset(name for text in texts for name in re.findall(r"\.(\w+)", text)))


def _taken(*modules: Path) -> set[Path]:
    """Give the modules and those of `judging` that they import, and those that these import."""
    found = new = set(modules)
    while new:
        names = {name for path in new for name in re.findall(r"rules\.judging\.(\w+) import", path.read_text("utf-8"))}
        new = {ROOM / "judging" / f"{name}.py" for name in names} - found
        found = found | new
    return found


def neighbours(value: Any, read: Reading) -> Iterator[Place]:
    """Yield what differs from a value in one place."""
    if isinstance(value, MeasuredLayer) and value.hidden is None:
        hidden = np.arange(value.layer.channels) == 0
        yield "hidden", "first", dataclasses.replace(value, hidden=hidden)
    for name in _fields(value):
        if name.name not in read.fields or any(
            isinstance(value, kind) and name.name in names for kind, names in SAID_BEFORE.items()
        ):
            continue
        for where, what, new in _others(getattr(value, name.name), name.type, name.name, read):
            yield f"{name.name}{where}", what, _replaced(value, name.name, new)


def _fields(value: Any) -> list[dataclasses.Field[Any]]:
    fields = [field for field in dataclasses.fields(value) if field.init and field.name not in LEFT_OUT]
    is_of_evidence = isinstance(value, Evidence)
    return fields if not is_of_evidence else sorted(fields, key=lambda field: field.name == "measured")


def _replaced(value: Any, name: str, new: Any) -> Any:
    """Put it in its place; a layer that was measured is changed there, too, and gone without statistics."""
    changed = dataclasses.replace(value, **{name: new})
    if not isinstance(value, Evidence) or name != "layers":
        return changed
    changed_layers = {id(old): one for old, one in zip(value.layers, new, strict=False)}
    layers = {key: changed_layers.get(id(one.layer), one.layer) for key, one in value.measured.items()}
    measured = {
        key: dataclasses.replace(one, layer=layers[key])
        for key, one in value.measured.items()
        if layers[key].has_statistics
    }
    return dataclasses.replace(changed, measured=measured)


def _others(value: Any, kind: str, name: str, read: Reading) -> Iterator[Place]:
    """Yield what may stand in place of a value: where in it, what, and the new value."""
    if "None" in kind and value is not None:
        yield "", "None", None
    if dataclasses.is_dataclass(value):
        yield from ((f".{where}", what, new) for where, what, new in neighbours(value, read))
    elif isinstance(value, np.ndarray):
        yield from (
            ("", what, new)
            for what, new in _arrays(value, read if name == "gap" else dataclasses.replace(read, limits=()))
        )
    elif isinstance(value, Mapping):
        yield from _mappings(value, name, read)
    elif isinstance(value, tuple | frozenset):
        yield from _collections(value, name, read)
    elif isinstance(value, Enum):
        yield from (("", one.name, one) for one in type(value) if one is not value)
    else:
        yield from (("", repr(one), one) for one in _singles(value, kind, name, read) if not _is_same(one, value))


def _is_same(one: Any, other: Any) -> bool:
    return bool(one == other) and type(one) is type(other)


def _singles(value: Any, kind: str, name: str, read: Reading) -> tuple[Any, ...]:
    if kind.startswith("bool"):
        return (True, False)
    if "str" in kind:
        return WORDS.get(name, ())
    if not re.match(r"(float|int)( \| None)?$", kind):
        return ()
    if "float" in kind:
        own = () if value is None else (0.5 * value, 2.0 * value, -value)
        least, most = -math.inf if name in SIGNED else 0.0, 1.0 if name in SHARES else math.inf
        found = dict.fromkeys(float(one) for one in (*own, 0.0, 1.0, *read.limits, math.inf))
        return (*(one for one in found if least <= one <= most), math.nan)
    whole = [int(one) for one in read.limits if one == int(one)]
    own = () if value is None else (value - 1, value + 1, value // 2, value * 2)
    return tuple(dict.fromkeys(one for one in (*own, 0, 1, 2, *whole) if one >= 0))


def _arrays(value: np.ndarray, read: Reading) -> Iterator[tuple[str, np.ndarray]]:
    if value.dtype == bool:
        yield "all turned round", ~value
        return
    first = np.arange(value.size) == 0
    yield "half as large", value / 2
    yield "twice as large", value * 2
    yield from ((f"first {one!r}", np.where(first, one, value)) for one in (0.0, -1.0, 100.0, math.nan, math.inf))
    yield from ((f"all {one!r}", np.full(value.shape, one)) for one in (0.0, 1.0, *read.limits))


def _mappings(value: Mapping[str, Any], name: str, read: Reading) -> Iterator[Place]:
    yield "", "empty", {}
    for key in list(value)[:SEVERAL]:
        if len(value) > 1:
            yield f"[{key}]", "left out", {other: one for other, one in value.items() if other != key}
        kind = type(value[key]).__name__
        for where, what, new in _others(value[key], kind, name, read):
            yield f"[{key}]{where}", what, {**value, key: new}


def _collections(value: tuple[Any, ...] | frozenset[Any], name: str, read: Reading) -> Iterator[Place]:
    yield "", "empty", type(value)()
    if isinstance(value, frozenset):
        return
    if value and isinstance(value[0], str):
        yield "", "seven", tuple(f"{value[0]}{i}" for i in range(7))
        return
    for i, one in enumerate(value[:SEVERAL]):
        if len(value) > 1:
            yield f"[{i}]", "left out", value[:i] + value[i + 1 :]
        for where, what, new in _others(one, type(one).__name__, name, read):
            yield f"[{i}]{where}", what, (*value[:i], new, *value[i + 1 :])


def table(value: Any, ask: Callable[[Any], Any], read: Reading) -> str:
    """Write what is answered to a value, and in which places it would be answered otherwise."""
    usually = brief(ask(value))
    lines: list[str] = []
    answers: dict[str, dict[str, list[str]]] = {}
    for where, what, new in neighbours(value, read):
        answers.setdefault(where, {}).setdefault(_answer(new, ask), []).append(what)
    for where, those in answers.items():
        told = [f"    {one}: {', '.join(whats)}" for one, whats in those.items() if one != usually]
        lines += [where, *told] if told else []
    return "\n".join(lines) + "\n"


def _answer(value: Any, ask: Callable[[Any], Any]) -> str:
    """Ask; what no run collects may be refused."""
    try:
        with np.errstate(all="ignore"):
            return brief(ask(value))
    except (ValueError, ArithmeticError, LookupError) as refused:
        return f"impossible ({type(refused).__name__})"
