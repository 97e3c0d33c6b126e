"""Which classes of a pickle were left out, and the packages that they are from; nothing is imported."""

from __future__ import annotations

import importlib.util
from _compat_pickle import IMPORT_MAPPING
from collections.abc import Iterable

from bncheck.tensors import torch

SCRIPT = "__main__"
"""Where classes are from that were defined in the script that saved the file."""


def classes_left_out(module: torch.nn.Module) -> tuple[str, ...]:
    """The classes of its parts that were not imported, in full, each once; PyTorch's own where there are no others."""
    from bncheck.formats.pickles.modules.building import ForeignModule

    every = dict.fromkeys(one.full_name for one in module.modules() if isinstance(one, ForeignModule))
    return tuple(name for name in every if not name.startswith("torch.")) or tuple(every)


def packages_of(names: Iterable[str]) -> tuple[str, ...]:
    """The packages that the names begin with, each once, PyTorch's and Python's own left out."""
    tops = (name.partition(".")[0] for name in names)
    found = dict.fromkeys(IMPORT_MAPPING.get(top, top) for top in tops)
    return tuple(one for one in found if one not in _OWN and one)


def missing_packages(names: Iterable[str]) -> tuple[str, ...]:
    """Those of them that cannot be imported here."""
    return tuple(one for one in packages_of(names) if one != SCRIPT and not _is_here(one))


def _is_here(package: str) -> bool:
    """Looks for its file alone: a package at the top is found without running anything of it."""
    try:
        return package.isidentifier() and importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


_OWN = frozenset(("builtins", "torch", "collections", "copyreg", "_codecs"))
