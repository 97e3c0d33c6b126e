"""Workers of a loader whose data set is a stream: each has a copy of its own, and reads all of it unless it asks."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from torch.utils.data import DataLoader, IterableDataset

_ASKS = {"get_worker_info", "worker_info", "worker_id", "num_workers"}
"""What code calls that a stream finds out with which worker it is in; and what worker functions are given."""
_SHARD_THEMSELVES = {"datasets", "webdataset", "torchdata", "litdata", "streaming", "wids", "tensorflow_datasets"}
_DEEPEST, _MOST = 3, 500
"""How far attributes and functions of a data set are followed, and how many of them."""


def without_copies(loader: Any) -> tuple[Any, int]:
    """A loader that reads each sample once, and how many workers were left out.

    A loader of several workers over a stream whose code never asks which worker it is in gives each sample as often as
    it has workers; one worker reads all of it too. The user's loader is left as it is.
    """
    workers = loader.num_workers if isinstance(loader, DataLoader) else 0
    if workers < 2 or not isinstance(loader.dataset, IterableDataset) or _asks(loader.dataset, loader.worker_init_fn):
        return loader, 0
    alone = copy.copy(loader)
    alone.num_workers = 1
    alone._iterator = None  # of workers that go on living
    return alone, workers - 1


def _asks(dataset: Any, started_by: Any) -> bool:
    """Whether a worker may be told apart: by code of the data set, of what it holds, or of what starts the workers."""
    if started_by is not None:
        return True
    return any(
        type(one).__module__.partition(".")[0] in _SHARD_THEMSELVES or any(map(_names_worker, _functions(type(one))))
        for one in _held(dataset)
    )


def _held(dataset: Any) -> Iterator[Any]:
    """The data set, and the objects that it holds: streams are often put into one another."""
    level, seen = [dataset], set[int]()
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for one in level:
            if id(one) in seen or len(seen) > _MOST:
                continue
            seen.add(id(one))
            yield one
            values = list(getattr(one, "__dict__", {}).values())
            inner += [part for value in values for part in (value if isinstance(value, list | tuple) else (value,))]
        level = [one for one in inner if hasattr(one, "__dict__") and not inspect.isclass(one)]


def _functions(kind: type) -> Iterator[FunctionType]:
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] not in ("torch", "builtins", "typing"):
            yield from (value for value in vars(base).values() if isinstance(value, FunctionType))


def _names_worker(function: FunctionType, depth: int = _DEEPEST) -> bool:
    """Whether the code of a function, or of a function that it calls by name, asks which worker it is in."""
    names = set(_names(function.__code__))
    if names & _ASKS:
        return True
    called = [function.__globals__.get(name) for name in sorted(names)[:_MOST]] if depth else []
    return any(_names_worker(one, depth - 1) for one in called if isinstance(one, FunctionType))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
