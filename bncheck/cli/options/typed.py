"""Values as they are typed: codes, numbers and sizes by comma, JSON, and functions by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from bncheck.errors import UsageError
from bncheck.results import json_of
from bncheck.settings import Fill, require_shard
from bncheck.user_code import import_callable
from bncheck.vocabulary import argument

_LONGEST_SHARD = 32


def as_typed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A command's parameters as its reports print them: those that are set, in their order."""
    return {
        name: value
        for name, value in parameters.items()
        if value is not None and value is not False and name != "context"
    }


def split_codes(values: list[str] | None) -> tuple[str, ...]:
    """Codes given by comma, by repetition, or both."""
    return tuple(code.strip() for value in values or [] for code in value.split(",") if code.strip())


def read_names(value: str | None) -> tuple[str, ...] | None:
    """Names separated by commas."""
    return None if value is None else tuple(name.strip() for name in value.split(",") if name.strip())


def read_integers(value: str, name: str) -> tuple[int, ...]:
    """Whole numbers separated by commas."""
    try:
        return tuple(int(part) for part in value.split(",") if part.strip())
    except ValueError as error:
        raise UsageError(
            f"{argument(name)} {value}: expected whole numbers separated by commas, like 1,8,64."
        ) from error


def read_floats(value: str | None, name: str) -> tuple[float, ...] | None:
    """Numbers separated by commas."""
    if value is None:
        return None
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError as error:
        raise UsageError(
            f"{argument(name)} {value}: expected numbers separated by commas, like 0.485,0.456,0.406."
        ) from error


def read_fill(value: str | None) -> Fill | None:
    """A number, or a word that the settings know."""
    try:
        return None if value is None else float(value)
    except ValueError:
        return cast("Fill", value)


def read_size(value: str | None, name: str) -> int | tuple[int, int] | None:
    """One side, or height and width."""
    if value is None:
        return None
    sizes = read_integers(value.replace("x", ","), name)
    if len(sizes) not in (1, 2) or min(sizes) < 1:
        raise UsageError(f"{argument(name)} {value}: expected one size, or height and width, like 224 or 224,320.")
    return sizes[0] if len(sizes) == 1 else (sizes[0], sizes[1])


def read_kwargs(text: str | None) -> dict[str, Any] | None:
    """The JSON object of `--arch-kwargs`."""
    if text is None:
        return None
    name = argument("arch_kwargs")
    try:
        value = json_of(text)
    except ValueError as error:
        raise UsageError(f"{name}: not JSON ({error}); write it like '{{\"depth\": 18}}'.") from error
    if not isinstance(value, dict):
        raise UsageError(f"{name}: expected a JSON object, like '{{\"depth\": 18}}'.")
    return value


def read_callable(target: str | None, name: str) -> Callable[..., Any] | None:
    """The function that `FILE.py:CALLABLE` means; this runs the user's code."""
    return import_callable(target, argument(name)) if target else None


def read_shard(text: str) -> tuple[int, int]:
    """Shard I of K, written I/K."""
    index, separator, count = text.partition("/")
    if not (separator and index.isascii() and index.isdecimal() and count.isascii() and count.isdecimal()):
        raise UsageError(f"{argument('shard')} {text}: expected I/K, like 3/64 for the third of 64.")
    if len(text) > _LONGEST_SHARD:
        raise UsageError(f"{argument('shard')} {text}: nobody has so many.")
    return require_shard("shard", (int(index), int(count)))
