"""The formats there are: the folders beside this file that define a `FORMAT`, and those a caller registers."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import zlib
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import bncheck.formats
from bncheck.discovery import added, modules_in
from bncheck.errors import UsageError
from bncheck.formats.format import Format

_REGISTERED: ContextVar[tuple[Format, ...]] = ContextVar("registered", default=())


def known_formats() -> tuple[Format, ...]:
    """Every format, in the order in which they are asked; registered ones before bncheck's own."""
    return (*_REGISTERED.get(), *_own_formats())


@contextlib.contextmanager
def registered(*formats: Format | Path) -> Iterator[None]:
    """Know further formats within the block.

    Args:
        formats: each a `Format`, or a folder with an `__init__.py` that defines one as `FORMAT`.

    Raises:
        UsageError: a folder defines none.
    """
    given = tuple(one if isinstance(one, Format) else format_in(one) for one in formats)
    with added(_REGISTERED, given):
        yield


def format_in(folder: Path) -> Format:
    """The format that a folder outside the package defines; its code is run.

    Raises:
        UsageError: it defines none.
    """
    file = folder / "__init__.py"
    name = f"bncheck_format_{zlib.crc32(str(folder.resolve()).encode()):08x}"  # no module's, and no other folder's
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None or not file.is_file():
        raise UsageError(f"{folder} is no format: there is no __init__.py in it that defines FORMAT.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that its own modules are found in it
    spec.loader.exec_module(module)
    found = _defined(module)
    if found is None:
        raise UsageError(f"{folder} is no format: its __init__.py defines no FORMAT that is a bncheck.formats.Format.")
    return found


@cache
def _own_formats() -> tuple[Format, ...]:
    """Those of the folders beside this file; importing one is cheap, see `Format`."""
    found = map(_defined, modules_in(bncheck.formats, folders_only=True))
    return tuple(sorted(filter(None, found), key=lambda one: one.rank))


def _defined(module: Any) -> Format | None:
    found = getattr(module, "FORMAT", None)
    return found if isinstance(found, Format) else None
