"""Random numbers of the user's loader, apart from those of whoever reads it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from bncheck.data.process_state import overlapping


class _Generator(NamedTuple):
    get_state: Callable[[], Any]
    set_state: Callable[[Any], object]
    seed: Callable[[int], object]


_PYTHON = _Generator(random.getstate, random.setstate, random.seed)
_NUMPY = _Generator(np.random.get_state, np.random.set_state, lambda seed: np.random.seed(seed % 2**32))


class IsolatedRandomness:
    """States of the global random generators that are the loader's own, seeded once.

    A loader is read in turns with the caller's code, so seeding before and restoring after the whole pass would
    let each disturb the other's numbers; here the states are swapped around every single batch. Python's
    `random`, NumPy's legacy global state and torch's CPU generator are covered, and what `cover` is given.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._generators: list[_Generator] = []
        self._own: list[Any] = []
        for generator in (_PYTHON, _NUMPY):
            self._add(generator)
        self.cover([torch.default_generator])

    def cover(self, generators: Iterable[torch.Generator]) -> None:
        """Keep these apart too: a loader's generator belongs to the user, and a pass must not advance it."""
        for generator in generators:
            self._add(_Generator(generator.get_state, generator.set_state, generator.manual_seed))

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Within it the states are the loader's; after it, however it ends, they are as they were."""
        with overlapping():
            outside = self._states()
            self._set(self._own)
            try:
                yield
            finally:
                self._own = self._states()
                self._set(outside)

    def _add(self, generator: _Generator) -> None:
        with overlapping():
            outside = generator.get_state()
            generator.seed(self._seed)
            self._own.append(generator.get_state())
            generator.set_state(outside)
        self._generators.append(generator)

    def _states(self) -> list[Any]:
        return [generator.get_state() for generator in self._generators]

    def _set(self, states: list[Any]) -> None:
        for generator, state in zip(self._generators, states, strict=True):
            generator.set_state(state)
