"""Reading a file of JSON that a stranger may have written: ordinary, not huge, and JSON."""

from __future__ import annotations

import json
import stat
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

from bncheck.errors import UnreadableError
from bncheck.results.codec import Origin
from bncheck.results.misfit import shown

LARGEST_FILE = 64 * 2**20
"""Bytes. A report takes about 700 for each layer, and a repair holds two reports."""
_SAID = 200
"""Characters of what is wrong."""


def json_in(path: str | Path, origin: Origin) -> Any:
    """The document in a file.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableError: it is no ordinary file, too large, or no JSON (or the `error` of `origin`).
    """
    try:
        return json_of(_content(Path(path), origin))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise origin.error(f"{origin.name} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise origin.is_none(f"{error}") from error


def json_of(text: str | bytes) -> Any:
    """What JSON says, read in the one way that no text of a stranger's can disturb.

    Raises:
        ValueError: it is neither UTF-8 nor JSON to the letter, is nested too deeply, has a number of thousands of
            digits or a key twice; it says which, in a few words.
    """
    try:
        whole = text.decode("utf-8") if isinstance(text, bytes) else text
        return json.loads(whole, parse_constant=_refuse, object_pairs_hook=_object_of)
    except UnicodeDecodeError as error:
        raise ValueError("it is no text (models and data are binary)") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(_first_line(error)) from error


def _content(path: Path, origin: Origin) -> bytes:
    """What the file holds. A pipe or a device is not opened: it may never end, or wait for ever."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise _unfit(origin, "it is no ordinary file")
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise _unfit(origin, f"it is larger than {LARGEST_FILE // 2**20} MiB")
    return content


def _unfit(origin: Origin, why: str) -> UnreadableError:
    return origin.error(f"{origin.name} is not read: {why}.")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, whose keys must differ: of two values for one, readers would take either."""
    found = dict(pairs)
    if len(found) < len(pairs):
        counted = Counter(key for key, _ in pairs)
        raise ValueError(f"the key {shown(next(key for key in counted if counted[key] > 1))} stands twice in an object")
    return found


def _first_line(error: ValueError) -> str:
    return (str(error).splitlines() or ["it cannot be read"])[0][:_SAID].rstrip(".")
