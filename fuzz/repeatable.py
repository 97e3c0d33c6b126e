"""Draws that a seed alone decides: not the modules that happen to be loaded, not the clock, not an address."""

from __future__ import annotations

import io
import pickle
from types import SimpleNamespace
from typing import IO, Any

import torch
from hypothesis.internal.conjecture import providers


def draw_by_seed_alone() -> None:
    """Keep Hypothesis from the constants of loaded modules.

    One draw in forty is a string or a number that stands in the code of a module of ours. Which modules are loaded
    depends on what ran before, in tests on what else a worker was given: the same seed drew other cases on another
    machine. No setting leaves them out.
    """
    if hasattr(providers, "_get_local_constants"):
        none = providers.Constants()
        providers._get_local_constants = lambda: none
        providers.CONSTANTS_CACHE.cache.clear()


def old_form(content: Any) -> bytes:
    """Write as `torch.save` does in its old form, the storages named by the order in which they are met.

    PyTorch names and sorts them by their addresses, which no two runs have in common.
    """
    stream = io.BytesIO()
    torch.save(content, stream, _pickle_by_order(), _use_new_zipfile_serialization=False)
    return stream.getvalue()


def plain_pickle(content: Any) -> bytes:
    """Write as `pickle` does, which keeps each storage in PyTorch's old form."""
    stream = io.BytesIO()
    _PlainPickler(stream).dump(content)
    return stream.getvalue()


class _PlainPickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, torch.TypedStorage | torch.UntypedStorage):
            return torch.storage._load_from_bytes, (old_form(obj),)  # type: ignore[attr-defined]
        return NotImplemented


def _pickle_by_order() -> SimpleNamespace:
    """Make a `pickle_module` for one call of `torch.save`."""
    names: dict[str, str] = {}

    class Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]  # the one whose parts can be overridden
        def save_pers(self, pid: tuple[Any, ...]) -> None:
            kind, type, key, *rest = pid
            super().save_pers((kind, type, names.setdefault(key, str(len(names))), *rest))

    def dump(content: Any, stream: IO[bytes], protocol: int) -> None:
        if isinstance(content, list):  # the keys, in whose order the storages are then written
            content.sort(key=lambda key: int(names[key]))
            content = [names[key] for key in content]
        pickle.dump(content, stream, protocol)

    return SimpleNamespace(Pickler=Pickler, dump=dump, __name__="pickle")
