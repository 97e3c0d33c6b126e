"""A model beside its reference: the file it was exported from, or what a stamp keeps of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bncheck.core import NormLayer
from bncheck.errors import ModelError, UsageError
from bncheck.evidence import ComparedLayer, Comparison
from bncheck.formats.backend import Backend
from bncheck.formats.folding import Reference, compare_layers, folded_once, match
from bncheck.results import FoldedLayersRead, Note, OwnGapsInherit, ReferenceLayersUnfound
from bncheck.vocabulary import argument


def reference_of(model: Backend) -> Reference:
    """What `model`, from before the folding, tells of its layers and of the weights that feed them.

    Raises:
        UsageError: it has no layers with statistics, so it cannot be anyone's reference.
    """
    layers = tuple(layer for layer in model.layers if layer.has_statistics and not layer.missing)
    if not layers:
        raise UsageError(
            f"{argument('reference')} {model.path} has no normalization layers with stored statistics: name the file "
            "from before the folding, the training checkpoint or its state dict."
        )
    found = model.sources()
    return Reference(model.path, layers, found.sources, found.positions, model.sha256)


@np.errstate(all="ignore")  # values out of a file may be of any size
def with_reference(model: Backend, reference: Reference) -> Backend:
    """`model` with the layers that were folded into it, and the comparison of all its layers with `reference`.

    Raises:
        ModelError: none of the reference's layers is found in the model, although all its weights could be compared.
    """
    reference = reference.named_as([layer.name for layer in model.layers if layer.has_statistics])
    kept = compare_layers(model.layers, reference.layers)
    named = {layer.original for layer in kept}
    rest = replace(reference, layers=tuple(layer for layer in reference.layers if layer.name not in named))
    matching = match(model.operations(), rest)
    forms = model.hidden_forms()
    if not kept and not matching.folds and not forms:
        if reference.stamped:
            raise ModelError(
                f"{model.path} was changed since it was stamped: no layer of its stamp is found in it. Stamp it again, "
                "from the checkpoint it was exported from."
            )
        raise ModelError(
            f"No normalization layer of {reference.path} is found in {model.path}: its weights are others. Is it the "
            "very checkpoint that this model was exported from?"
        )
    folded = tuple(
        ComparedLayer(fold.layer.name, fold.layer.name, fold.error, fold.worst_channel, fold.agrees, folded=True)
        for fold in folded_once(matching.folds)
    )
    comparison = Comparison(
        reference.path, (*kept, *folded), tuple(layer.name for layer in matching.unfound), reference.stamped
    )
    unfolded = model.with_folds(matching.folds)
    return replace(
        unfolded,
        layers=_in_order(unfolded.layers, matching.unfound, reference, comparison),
        comparison=comparison,
        notes=(*model.notes, *_notes(comparison, forms)),
    )


def _in_order(
    layers: Sequence[NormLayer], unfound: Sequence[NormLayer], reference: Reference, comparison: Comparison
) -> tuple[NormLayer, ...]:
    """The model's layers in their order, and those that only the reference has behind what comes before them there."""
    missing = {layer.name for layer in unfound}
    names = {layer.original: layer.name for layer in comparison.layers}
    order, position = list(layers), 0
    for layer in reference.layers:
        if layer.name in missing:
            order.insert(position, _without_values(layer))
            position += 1
        elif layer.name in names:
            position = [one.name for one in order].index(names[layer.name]) + 1
    return tuple(order)


def _without_values(layer: NormLayer) -> NormLayer:
    """A layer that only the reference has: what it stores there says nothing about the model."""
    return replace(layer, mean=None, var=None, weight=None, bias=None, expects_statistics=False)


def _notes(comparison: Comparison, forms: Sequence[str]) -> list[Note]:
    folded = sum(layer.folded for layer in comparison.layers)
    reference = None if comparison.stamped else comparison.path
    notes: list[Note] = [FoldedLayersRead(folded, reference)] if folded else []
    if comparison.unfound:
        notes.append(ReferenceLayersUnfound(tuple(comparison.unfound), reference, tuple(forms)))
        if folded:
            notes.append(OwnGapsInherit())
    return notes
