"""Repairing a model: new statistics or weights, written into a file like the original, and proved.

`bncheck.repair(path, data, out=...)` is a function for its users and a package for its authors, and Python knows only
one thing of a name: so the package can be called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """This package, which calls `bncheck.repair.repairing.repair`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """See `bncheck.repair.repairing.repair`."""
        from bncheck.repair.repairing import repair

        return repair(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
