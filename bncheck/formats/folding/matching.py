"""Which layer of the reference went into which operation of a folded model.

Names seldom survive an export, numbers do: the folded weight is w gamma / sqrt(var + eps), row by row a
multiple of the reference's w, and those multiples with the folded bias tell what was folded in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bncheck.core import NormLayer
from bncheck.formats.folding.explanation import changes_nothing, explained, gain_of, is_plain
from bncheck.formats.folding.fold import Fold
from bncheck.formats.folding.operations import AffineOperation
from bncheck.formats.folding.reference import Reference


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """The folds found.

    Attributes:
        folds: by operation, in the order of the operations.
        unfound: layers of the reference that went into none of them.
    """

    folds: tuple[Fold, ...]
    unfound: tuple[NormLayer, ...]


def match(operations: Sequence[AffineOperation], reference: Reference) -> Matching:
    """Find the operations that hold a layer of the reference.

    First those that hold a layer with exactly its statistics, then, by their place in the reference, those
    that hold it with others.
    """
    found: dict[int, Fold] = {}
    for number, operation in enumerate(operations):
        folds = (fold for reading in operation.readings for fold in _explanations(reading, reference))
        if (fold := next((fold for fold in folds if fold.agrees), None)) is not None:
            found[number] = fold
    taken = {fold.layer.name for fold in found.values()}
    for number, operation in enumerate(operations):
        if number not in found and (fold := _free(operation, reference, taken)) is not None:
            found[number] = fold
            taken.add(fold.layer.name)
    kept = tuple(found[number] for number in sorted(found))
    return Matching(kept, tuple(layer for layer in reference.layers if layer.name not in taken))


def _free(operation: AffineOperation, reference: Reference, taken: set[str]) -> Fold | None:
    """The likeliest layer that no other operation holds, in the reading that differs least from the reference."""
    first = (
        next((fold for fold in _explanations(reading, reference) if fold.layer.name not in taken), None)
        for reading in operation.readings
    )
    return min((fold for fold in first if fold is not None), key=lambda fold: fold.error, default=None)


def _explanations(operation: AffineOperation, reference: Reference) -> Iterator[Fold]:
    """Every way in which the operation may hold a layer of the reference, the likeliest first."""
    for source in reference.sources:
        gain = gain_of(operation, source)
        if gain is None:
            continue
        layers = reference.after(source)
        if is_plain(operation, source, gain):
            # Nothing was folded in, or a layer that changes nothing: only the next one can be meant.
            layers = [layer for layer in layers[:1] if changes_nothing(layer)]
        for layer in layers:
            fold = explained(operation, source, gain, layer)
            # A stamp knows which weight it speaks of; by numbers alone it has to fit.
            if fold is not None and (fold.agrees or source.layer is None or source.name == operation.name):
                yield fold
