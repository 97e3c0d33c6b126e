"""What rules see of one cause: the link by which a rule that knows why replaces those that only see that."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Phenomenon(StrEnum):
    """Something that shows in a model or on data, and may have causes that another rule names.

    A page's head says which of them its rule `shows`, and which it `explains`. `MISFIT` and `LAYER_MISFIT` stand for
    several: statistics that are wrong in themselves show on data in any pattern, a wrong input in any of the layers'.
    """

    INITIAL = "initial statistics"
    UNPREDICTED = "other statistics than predicted"
    TINY_VARIANCE = "tiny variance"
    FOREIGN_INPUT = "foreign input"
    DRIFT = "drift"
    SINGLE_LAYER = "single layer"
    LAG = "lag"
    DROPOUT = "dropout"
    COMPOSITION = "batch composition"
    BATCH_DEPENDENCE = "batch dependence"
    LAYER_MISFIT = "misfit of layers"
    MISFIT = "misfit"

    @property
    def parts(self) -> frozenset[Phenomenon]:
        """Give the phenomena that it stands for: itself, or the several."""
        return _PARTS.get(self, frozenset({self}))


_OF_LAYERS = frozenset({Phenomenon.DRIFT, Phenomenon.SINGLE_LAYER, Phenomenon.LAG, Phenomenon.DROPOUT})
_PARTS = {
    Phenomenon.LAYER_MISFIT: _OF_LAYERS,
    Phenomenon.MISFIT: _OF_LAYERS | {Phenomenon.FOREIGN_INPUT},
}


def all_of(phenomena: Iterable[Phenomenon]) -> frozenset[Phenomenon]:
    """Give every single phenomenon that these stand for."""
    return frozenset(part for phenomenon in phenomena for part in phenomenon.parts)
