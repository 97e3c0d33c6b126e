"""What is found by where it stands: the modules of a package, and what a caller adds to them for a while."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def modules_in(package: ModuleType, *, folders_only: bool = False) -> Iterator[ModuleType]:
    """Import the modules of a package, in the order of their names; `folders_only`: those that are packages."""
    for found in pkgutil.iter_modules(package.__path__):
        if found.ispkg or not folders_only:
            yield importlib.import_module(f"{package.__name__}.{found.name}")


@contextlib.contextmanager
def added(known: ContextVar[tuple[T, ...]], more: Iterable[T]) -> Iterator[None]:
    """Have `more` among what is known, before the rest, within the block."""
    token = known.set((*more, *known.get()))
    try:
        yield
    finally:
        known.reset(token)
