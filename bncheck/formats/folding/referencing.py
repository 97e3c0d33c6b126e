"""A model beside its reference: the file it was exported from, or what a stamp keeps of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from bncheck.core.layers import NormLayer
from bncheck.errors import ModelError, UsageError
from bncheck.evidence.comparison import ComparedLayer, Comparison
from bncheck.formats.folding import (
    AffineOperation,
    Fold,
    Reference,
    Source,
    compare_layers,
    match,
)
from bncheck.formats.model import Model
from bncheck.formats.onnx.graph import NormNode, OnnxGraph
from bncheck.formats.programs.affine import affine_operations as program_operations
from bncheck.formats.programs.affine import hidden_forms as program_forms
from bncheck.formats.programs.affine import tensor_operations
from bncheck.formats.tensors import channel_values, plain
from bncheck.results.notes import Note
from bncheck.results.notes.of_files import FoldedLayersRead, OwnGapsInherit, ReferenceLayersUnfound


def reference_of(model: Model) -> Reference:
    """What `model`, from before the folding, tells of its layers and of the weights that feed them.

    Raises:
        UsageError: it has no layers with statistics, so it cannot be anyone's reference.
    """
    layers = tuple(layer for layer in model.layers if layer.has_statistics and not layer.missing)
    if not layers:
        raise UsageError(
            f"--reference {model.path} has no normalization layers with stored statistics: name the file from before "
            "the folding, the training checkpoint or its state dict."
        )
    if model.graph is not None:
        return _of_graph(model, layers)
    tensors = model.tensors or (model.program.state_dict() if model.program is not None else {})
    return _of_tensors(model, layers, {name: value for name, value in tensors.items() if torch.is_tensor(value)})


def stamped_reference(model: Model) -> Reference | None:
    """What a stamp in the model's own file keeps of its reference; `None` without one.

    Raises:
        ModelError: the stamp is damaged.
    """
    if model.graph is None:
        return None
    from bncheck.formats.onnx.stamp import read_stamp

    return read_stamp(model.graph.proto, model.path)


def operations_of(model: Model) -> tuple[AffineOperation, ...]:
    """The convolutions and linear layers of `model`."""
    if model.graph is not None:
        from bncheck.formats.onnx.affine import affine_operations

        return affine_operations(model.graph.proto, model.graph.opset)
    if model.program is None:
        return tensor_operations(model.tensors)
    return program_operations(model.program, model.tensor_names)


def hidden_forms(model: Model) -> tuple[str, ...]:
    """What some weights of `model` are stored as that cannot be compared with a reference's; none for most models."""
    if model.graph is not None:
        from bncheck.formats.onnx.affine import hidden_forms as graph_forms

        return graph_forms(model.graph.proto, model.graph.opset)
    return () if model.program is None else program_forms(model.program)


def with_reference(model: Model, reference: Reference) -> Model:
    """`model` with the layers that were folded into it, and the comparison of all its layers with `reference`.

    Raises:
        ModelError: none of the reference's layers is found in the model, although all its weights could be compared.
    """
    reference = reference.named_as([layer.name for layer in model.layers if layer.has_statistics])
    kept = compare_layers(model.layers, reference.layers)
    named = {layer.original for layer in kept}
    rest = replace(reference, layers=tuple(layer for layer in reference.layers if layer.name not in named))
    matching = match(operations_of(model), rest)
    forms = hidden_forms(model)
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
        for fold in _once(matching.folds)
    )
    comparison = Comparison(
        reference.path, (*kept, *folded), tuple(layer.name for layer in matching.unfound), reference.stamped
    )
    unfolded = _unfolded(model, matching.folds)
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


def _once(folds: Sequence[Fold]) -> list[Fold]:
    """The folds of each layer once: a layer called twice was folded twice."""
    return list({fold.layer.name: fold for fold in reversed(folds)}.values())[::-1]


def _unfolded(model: Model, folds: tuple[Fold, ...]) -> Model:
    """The model with its folded layers listed, where they stand among the others if that is known."""
    by_key = {fold.key: fold for fold in folds}
    if model.graph is None:
        layers = tuple(fold.layer for fold in _once(folds))
        return replace(model, layers=(*model.layers, *layers), folds=by_key)
    graph = _with_folds(model.graph, by_key)
    running = {node.layer.name: node.layer for node in graph.nodes}
    others = tuple(layer for layer in model.layers if layer.name not in running)
    return replace(model, graph=graph, layers=(*running.values(), *others), folds=by_key)


def _with_folds(graph: OnnxGraph, folds: Mapping[int | str, Fold]) -> OnnxGraph:
    kept = {node.output: node for node in graph.nodes}
    outputs = [name for node in graph.proto.graph.node for name in node.output]
    nodes = (
        kept.get(name) or NormNode(name, folds[name].layer, folds[name])
        for name in outputs
        if name in kept or name in folds
    )
    return replace(graph, nodes=tuple(nodes))


def _notes(comparison: Comparison, forms: Sequence[str]) -> list[Note]:
    folded = sum(layer.folded for layer in comparison.layers)
    reference = None if comparison.stamped else comparison.path
    notes: list[Note] = [FoldedLayersRead(folded, reference)] if folded else []
    if comparison.unfound:
        notes.append(ReferenceLayersUnfound(tuple(comparison.unfound), reference, tuple(forms)))
        if folded:
            notes.append(OwnGapsInherit())
    return notes


def _of_tensors(model: Model, layers: tuple[NormLayer, ...], tensors: Mapping[str, torch.Tensor]) -> Reference:
    positions: dict[str, int] = {}
    sources: list[Source] = []
    for number, (name, tensor) in enumerate(tensors.items()):
        module, _, leaf = name.rpartition(".")
        positions.setdefault(module, number)
        positions[name] = number
        if tensor.dim() >= 2 and tensor.is_floating_point():
            bias = tensors.get(f"{module}.bias" if module else "bias") if leaf == "weight" else None
            offset = None if bias is None or bias.dim() != 1 else channel_values(bias)
            sources.append(Source(name, plain(tensor).cpu().float().numpy(), bias=offset))
    return Reference(model.path, layers, tuple(sources), positions, model.sha256)


def _of_graph(model: Model, layers: tuple[NormLayer, ...]) -> Reference:
    if model.graph is None:
        raise ValueError(f"{model.path} has no graph")
    order = {name: number for number, node in enumerate(model.graph.proto.graph.node) for name in node.output}
    operations = operations_of(model)
    positions = {node.layer.name: order[node.output] for node in model.graph.nodes}
    positions |= {operation.name: order[str(operation.key)] for operation in operations}
    sources = tuple(Source(operation.name, operation.weight, bias=operation.bias) for operation in operations)
    return Reference(model.path, layers, sources, positions, model.sha256)
