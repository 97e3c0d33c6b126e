"""Options in a file: `[tool.bncheck]` of pyproject.toml, or bncheck.toml, the nearest one upwards."""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from bncheck.encoding import text_of
from bncheck.errors import UsageError
from bncheck.rules import matching
from bncheck.settings import LayerIgnore

_LARGEST = 4 * 2**20
"""Bytes of a configuration."""
_SAID = 200
"""Characters of what is wrong."""
OWN_FILE, SHARED_FILE = "bncheck.toml", "pyproject.toml"
IGNORES = "ignore-layers"
PER_RUN = {
    "trust-pickle": "Whether a pickle may run code",
    "allow-op": "Which operators beyond those that compute a program may call",
    "shard": "Which share of the data one process runs",
}
"""Options that no file may set, and what each decides."""
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class OptionKind:
    """What an option takes.

    Attributes:
        value: `text`, `whole` (a number), `number` or `flag`.
        repeatable: it can be given several times.
        least: the smallest number it takes.
        names: what its value names: a `path`, `code` (FILE.py:CALLABLE), either (`data`), a `report`
            ([FORMAT=]PATH), or nothing.
    """

    value: Literal["text", "whole", "number", "flag"] = "text"
    repeatable: bool = False
    least: float | None = None
    names: Literal["path", "code", "data", "report"] | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a file says.

    Attributes:
        source: the file, and the table in it.
        values: by option, without its dashes; paths are relative to the current folder.
        ignores: findings that are meant to be there.
        read: every file that was looked into for it.
    """

    source: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    ignores: tuple[LayerIgnore, ...] = ()
    read: tuple[Path, ...] = field(default=(), compare=False)


def find_configuration(folder: Path, options: Callable[[], Mapping[str, OptionKind]]) -> Configuration:
    """The configuration that holds in `folder`: in it, or in the nearest folder above that has one.

    Args:
        folder: usually the current one.
        options: gives those that exist, by name without dashes; asked only where there is a file.

    Raises:
        UsageError: the file cannot be read, or says something that no option means.
    """
    read: list[Path] = []
    for above in (folder, *folder.parents):
        own = above / OWN_FILE
        if own.is_file():
            found = _configuration(_toml(own), own, _shown(own), options())
            return replace(found, read=(*read, own))
        shared = above / SHARED_FILE
        if shared.is_file():
            read.append(shared)
            table = _table_in(_toml(shared), shared)
            if table is not None:
                found = _configuration(table, shared, f"{_shown(shared)} [tool.bncheck]", options())
                return replace(found, read=tuple(read))
    return Configuration(read=tuple(read))


def _toml(path: Path) -> dict[str, Any]:
    import tomllib  # most runs have no such file

    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST // 2**20} MiB")
        return tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise UsageError(f"{_shown(path)} cannot be read: {error.strerror}. --no-config leaves it out.") from error
    except RecursionError as error:
        raise UsageError(f"{_shown(path)} is nested too deeply. --no-config leaves it out.") from error
    except ValueError as error:  # neither UTF-8 nor TOML, or a number of thousands of digits
        said = text_of(error)[:_SAID].rstrip(".")
        raise UsageError(f"{_shown(path)} is not TOML: {said}. --no-config leaves it out.") from error


def _table_in(content: Mapping[str, Any], path: Path) -> Any:
    """What stands under `[tool.bncheck]`; `None` where nothing does."""
    tool = content.get("tool", _NOTHING)
    if not isinstance(tool, Mapping):
        raise UsageError(f"{_shown(path)}: tool should be a table, and is {reprlib.repr(tool)}.")
    return tool.get("bncheck")


def _configuration(
    table: Mapping[str, Any], path: Path, source: str, options: Mapping[str, OptionKind]
) -> Configuration:
    if not isinstance(table, Mapping):
        raise UsageError(f"{source} should be a table of options, and is {reprlib.repr(table)}.")
    values = {}
    for key, value in table.items():
        if key == IGNORES:
            continue
        if key in PER_RUN:
            raise UsageError(
                f"{source}: {key} cannot stand in a file. {PER_RUN[key]} is decided run by run, on the command line."
            )
        if path.name == OWN_FILE and isinstance(value, dict) and key in ("tool", "bncheck"):
            raise UsageError(
                f"{source}: its options stand at its top level, without a header; [tool.bncheck] is the header in "
                f"{SHARED_FILE}, and [[{IGNORES}]] the only one here."
            )
        if key not in options:
            raise UsageError(f"{source}: there is no option {reprlib.repr(key)}{_nearest(key, options)}.")
        values[key] = _value(value, options[key], f"{source}: {key}", path.parent)
    return Configuration(source, values, _ignores(table.get(IGNORES, []), source))


def _nearest(key: str, options: Mapping[str, OptionKind]) -> str:
    close = get_close_matches(key.replace("_", "-").lower(), [*options, IGNORES], n=1)
    return f" (did you mean {close[0]}?)" if close else "; `bncheck inspect --help` lists them"


def _value(value: Any, kind: OptionKind, place: str, folder: Path) -> Any:
    """The value as the command line would have it."""
    if kind.value == "flag":
        return value if isinstance(value, bool) else _refuse(place, "true or false", value)
    if kind.value != "text":
        return _number(value, kind, place)
    if kind.repeatable:
        items = value if isinstance(value, list) else [value]
        return [_named(_text(item, place), kind, folder) for item in items]
    if isinstance(value, dict):
        return _json_text(value, place)
    if isinstance(value, list):
        return ",".join(_text(item, place) for item in value)
    return _named(_text(value, place), kind, folder)


def _json_text(value: Mapping[str, Any], place: str) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:  # a date, or what is not finite
        raise UsageError(f"{place} should hold texts, finite numbers, lists and tables alone.") from error


def _number(value: Any, kind: OptionKind, place: str) -> float:
    accepted = (int,) if kind.value == "whole" else (int, float)
    if not isinstance(value, accepted) or isinstance(value, bool):
        _refuse(place, "a whole number" if kind.value == "whole" else "a number", value)
    if kind.least is not None and not value >= kind.least:
        _refuse(place, f"at least {kind.least:g}", value)
    return value  # type: ignore[no-any-return]  # isinstance narrowed an Any


def _text(value: Any, place: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        _refuse(place, "text or a number", value)
    return str(value)


def _refuse(place: str, expected: str, value: Any) -> Any:
    raise UsageError(f"{place} should be {expected}, and is {reprlib.repr(value)}.")


def _named(text: str, kind: OptionKind, folder: Path) -> str:
    """The text with the path it names taken from the file's folder."""
    if kind.names == "report":
        form, separator, path = text.partition("=")
        start, path = (f"{form}=", path) if separator else ("", text)
        return text if path == "-" else start + _from_here(folder, path)
    location, separator, attribute = text.rpartition(":")
    is_code = kind.names == "code" or (kind.names == "data" and not (folder / text).exists())
    if is_code and separator:
        return f"{_from_here(folder, location)}:{attribute}" if location.endswith(".py") else text
    return text if kind.names is None else _from_here(folder, text)


def _from_here(folder: Path, path: str) -> str:
    return path if Path(path).is_absolute() else os.path.relpath(folder / path)


def _ignores(tables: Any, source: str) -> tuple[LayerIgnore, ...]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        heading = f"tool.bncheck.{IGNORES}" if source.endswith("[tool.bncheck]") else IGNORES
        raise UsageError(f"{source}: {IGNORES} should be a list of tables, each headed [[{heading}]].")
    return tuple(_ignore(table, f"{source}: {IGNORES}[{at}]", source) for at, table in enumerate(tables))


def _ignore(table: Mapping[str, Any], place: str, source: str) -> LayerIgnore:
    unknown = sorted(table.keys() - {"layer", "codes", "reason"})
    if unknown:
        raise UsageError(f"{place} has {reprlib.repr(unknown[0])}; it takes layer, codes and reason.")
    layer, reason, codes = table.get("layer"), table.get("reason"), table.get("codes")
    if not isinstance(layer, str) or not layer:
        raise UsageError(f"{place} needs a layer: its name, with * and ? for any characters.")
    if not _are_texts(codes) or not codes:
        raise UsageError(f'{place} needs codes: a list of rules, like ["BN603"].')
    if not isinstance(reason, str) or not reason.strip():
        raise UsageError(f"{place} needs a reason: why the findings in {layer} are meant to be there.")
    chosen = tuple(code.upper() for code in codes)
    matching(chosen, f"{place}: codes")
    return LayerIgnore(layer, chosen, reason.strip().rstrip("."), source)


def _are_texts(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(item, str) for item in value)


def _shown(path: Path) -> str:
    return os.path.relpath(path)
