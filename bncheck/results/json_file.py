"""Reading a file of JSON that a stranger may have written: ordinary, not huge, and JSON."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any, NoReturn

from bncheck.errors import UnreadableError
from bncheck.results.codec import Origin

LARGEST_FILE = 64 * 2**20
"""Bytes. A report takes about 700 for each layer, and a repair holds two reports."""


def json_in(path: str | Path, origin: Origin) -> Any:
    """The document in a file.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableError: it is no ordinary file, too large, or no JSON (or the `error` of `origin`).
    """
    try:
        text = _content(Path(path), origin).decode("utf-8")
        return json.loads(text, parse_constant=_refuse)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise origin.error(f"{origin.name} cannot be read: {error.strerror}.") from error
    except RecursionError as error:
        raise origin.is_none("it is nested too deeply") from error
    except ValueError as error:  # neither UTF-8 nor JSON, or a number of thousands of digits
        raise origin.is_none(_first_line(error)) from error


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


def _first_line(error: ValueError) -> str:
    return (str(error).splitlines() or ["it cannot be read"])[0].rstrip(".")
