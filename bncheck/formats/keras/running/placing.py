"""Putting a file's weights into a built model, by the paths they are filed under, and naming the model's tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bncheck.errors import ModelError
from bncheck.formats.keras.config import counted, snake_case
from bncheck.formats.keras.places import TOP_LEVEL, Owner
from bncheck.formats.keras.reading import KerasFile
from bncheck.tensors import torch

Variables = dict[str, Any]
"""Keras' variables by the path of their weights in the file."""


def object_at(model: Any, path: str) -> Any:
    """The layer that Keras 3 files under a path; `None` where the model has none there."""
    found, parts = model, path.split("/") if path else []
    while parts:
        found = _attribute(found, parts.pop(0))
        while isinstance(found, list | tuple | dict):
            if not parts:
                return None
            found = _listed(found, parts.pop(0))
        if found is None:
            return None
    return found


def placed(model: Any, content: KerasFile, path: Path) -> Variables:
    """Set the model's weights.

    Raises:
        ModelError: the file has weights that the model has no place for, or others, or lacks some.
    """
    pairs = list(_numbered(model, content.owners, path) if content.legacy is None else _legacy(model, content, path))
    held = {at: content.tensors[name] for name, at in content.places.items()}
    variables: Variables = {}
    for at, variable in pairs:
        if tuple(variable.shape) != tuple(held[at].shape):
            raise ModelError(
                f"{path}: {at} has the shape {tuple(held[at].shape)}, and the model's {variable.path} "
                f"{tuple(variable.shape)}. {_ANEW}"
            )
        with torch.no_grad():
            variable.assign(held[at])
        variables[at] = variable
    known = {id(variable) for variable in variables.values()}
    if missing := [variable.path for variable in model.weights if id(variable) not in known]:
        raise ModelError(f"{path} has no values for {missing[0]} and {len(missing) - 1} more of the model's. {_ANEW}")
    return variables


_ANEW = "Weights and architecture do not belong together: save the model again, or name its own architecture."


def _numbered(model: Any, owners: Sequence[Owner], path: Path) -> Iterator[tuple[str, Any]]:
    """The variables of a file of Keras 3: each layer's own, in their order."""
    for owner in owners:
        if not owner.datasets:
            continue
        layer = object_at(model, owner.path)
        own = None if layer is None else own_variables(layer)
        if own is None or len(own) != len(owner.datasets):
            has = "no such part" if own is None else f"{len(own)} there"
            raise ModelError(
                f"{path} holds {len(owner.datasets)} weights of {owner.dotted or 'the model'}, and the model has {has}."
                f" {_ANEW}"
            )
        yield from zip(owner.datasets, own, strict=True)


def own_variables(layer: Any) -> list[Any] | None:
    """What a layer saves of its own; `None` for what saves nothing."""
    if not hasattr(layer, "_trainable_variables"):
        state = getattr(layer, "state", None)  # a generator of random numbers
        return None if state is None else [state]
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def _legacy(model: Any, content: KerasFile, path: Path) -> Iterator[tuple[str, Any]]:
    """The variables of a file of Keras 1 or 2: by the order of the layers that have any."""
    stored = {layer: paths for layer, paths in (content.legacy or {}).items() if paths and layer != TOP_LEVEL}
    layers = [layer for layer in model.layers if layer.weights]
    if len(stored) != len(layers):
        raise ModelError(f"{path} has weights of {len(stored)} layers, and the model has {len(layers)}. {_ANEW}")
    own = (content.legacy or {}).get(TOP_LEVEL, ())
    parts = [
        (paths, [*layer.trainable_weights, *layer.non_trainable_weights])
        for paths, layer in zip(stored.values(), layers, strict=True)
    ]
    for paths, variables in (*parts, *([(own, own_variables(model) or [])] if own else [])):
        if len(paths) != len(variables):
            raise ModelError(f"{path}: {paths[0]} and others are {len(paths)}, of {len(variables)}. {_ANEW}")
        yield from zip(paths, variables, strict=True)


def _attribute(owner: Any, name: str) -> Any:
    """An attribute that a file names: those of Python itself are none of a layer's."""
    if name.startswith("__") or not name.isidentifier():
        return None
    found = getattr(owner, "layers" if name == "_layer_checkpoint_dependencies" else name, None)
    return None if callable(found) and not hasattr(found, "weights") and not hasattr(found, "state") else found


def _listed(container: Any, name: str) -> Any:
    used: Counter[str] = Counter()
    lists: Counter[str] = Counter()
    for one in container.values() if isinstance(container, dict) else container:
        if isinstance(one, list | tuple | dict):
            if counted("container", lists) == name:
                return one
        elif counted(snake_case(type(one).__name__), used) == name:
            return one
    return None


def addresses(variables: Mapping[str, Any], places: Mapping[str, str]) -> dict[int, str]:
    """Names of tensors by their storage, see `ProgramBackend.tensor_names`."""
    return {
        variables[at].value.data_ptr(): name
        for name, at in places.items()
        if at in variables and variables[at].value.numel()
    }
