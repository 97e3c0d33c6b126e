"""Other code for functions that are already loaded: no file is written, and nothing is imported anew."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType

Place = tuple[str, str, int]
"""A file, and the qualified name and first line of a function in it."""


class LiveFunctions:
    """The functions of some files that exist in this process, decorated or not, by their place."""

    def __init__(self, paths: Sequence[Path]) -> None:
        files = {str(path.resolve()) for path in paths}
        self._known: dict[Place, list[FunctionType]] = defaultdict(list)
        for one in _objects():
            if type(one) is FunctionType and one.__code__.co_filename in files:
                self._known[_place(one.__code__)].append(one)

    def run(self, module: CodeType) -> None:
        """Have every live function of that file run what stands at its place in `module`."""
        for code in _codes(module):
            for function in self._known.get(_place(code), ()):
                if function.__code__.co_freevars == code.co_freevars:
                    function.__code__ = code


def _objects() -> list[object]:
    """What lives in this process; by itself the collector tells nothing of what `tests/conftest.py` froze."""
    frozen = gc.get_freeze_count()
    gc.unfreeze()
    found = gc.get_objects()
    if frozen:
        gc.freeze()
    return found


def _place(code: CodeType) -> Place:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)
