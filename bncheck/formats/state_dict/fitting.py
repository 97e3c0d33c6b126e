"""Putting a state dict into an architecture: all of it, or a message that says what does not fit."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from bncheck.core import NormLayer
from bncheck.errors import ModelError, UsageError
from bncheck.formats.messages import block, listed
from bncheck.formats.quantization import packed_values, shape_of
from bncheck.formats.state_dict.names.flat import (
    BOOKKEEPING,
    is_beside,
    leaf,
)
from bncheck.formats.state_dict.names.matching import Match, matched, misfits
from bncheck.formats.state_dict.names.prefixes import name_in_file
from bncheck.formats.tensors import dtype_name, plain, same_storage
from bncheck.formats.torch_module.listing import list_layers, require_state
from bncheck.results import Note, PrecisionChanged
from bncheck.tensors import torch
from bncheck.user_code import users_code
from bncheck.vocabulary import argument

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """An architecture with a file's values in it.

    Attributes:
        layers: the normalization layers, with the dtype the file stores and `missing` where it has no statistics.
        notes: what was done to make it fit.
        names: the file's names of each tensor of the architecture, see `TensorsOrigin.names`.
        prefix: under which the model stands, where others stand beside it.
    """

    layers: tuple[NormLayer, ...]
    notes: tuple[Note, ...]
    names: Mapping[str, tuple[str, ...]]
    prefix: str = ""


def fit(
    module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], source: str, packed: Mapping[str, Any] = _NOTHING
) -> Fitted:
    """Copy `tensors` into `module`, whose dtypes are kept, under the prefix that fits best.

    Statistics may be absent, where everything else is there; so may counters. What quantized layers keep in tuples
    (`packed`) goes in as it is. Of several models in the file the one that fits is taken, and what is called like no
    part of the architecture is left out.

    Raises:
        UsageError: several models fit, and none is the raw one of averages.
        ModelError: anything else is missing, left over, of another shape, or complex where the architecture is real.
    """
    with users_code(lambda said: ModelError(f"{source}: state_dict() of the architecture raised {said}")):
        require_state(module)
        held = module.state_dict()
    expected = {name: value for name, value in held.items() if isinstance(value, torch.Tensor)}
    shapes = {name: shape_of(value) for name, value in (expected | packed_values(held)).items()}
    match = matched(tensors, packed, shapes, source)
    given = match.given
    complex_ = {name for name, value in given.items() if name in expected and _loses_a_part(value, expected[name])}
    wrong = [(name, dtype_name(given[name])) for name in sorted(complex_) if leaf(name) not in BOOKKEEPING]
    shapes |= _resized_by_loading(module, given, shapes)
    if wrong or misfits(match.shapes, shapes):
        lines = misfits(match.all_shapes, shapes)
        lines += block("complex in the file, real in the architecture", wrong) if wrong else []
        models = [name for name in match.models if is_beside(name, shapes)]  # what is called like a part is one
        raise ModelError(f"{source} does not fit the architecture.", *lines, _advice(tensors, models))
    values = {
        name: value if expected[name].is_quantized else plain(value)
        for name, value in given.items()
        if name in expected and value.shape == shapes[name] and name not in complex_
    }
    if packed:  # whose layers go by the version of their form, which PyTorch keeps beside the values
        held.clear()
        held.update(values | {match.names[name]: value for name, value in packed.items()})
    with users_code(lambda said: ModelError(f"{source} cannot be loaded into the architecture: {said}")):
        module.load_state_dict(held if packed else values, strict=False)
    notes = list(match.notes)
    notes += _precision_notes(values, expected)
    layers = tuple(_as_stored(layer, given) for layer in list_layers(module))
    return Fitted(layers, tuple(notes), _names_in_file(match, expected), match.prefix)


def fits(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], packed: Mapping[str, Any] = _NOTHING) -> bool:
    """Whether the tensors are those of an architecture by name and shape, or those of several copies of it."""
    held = {name: value for name, value in module.state_dict().items() if isinstance(value, torch.Tensor)}
    shapes = {name: shape_of(value) for name, value in (held | packed_values(module.state_dict())).items()}
    try:
        given = matched(tensors, packed, shapes, "").shapes
    except UsageError:
        return True
    return not misfits(given, shapes | _resized_by_loading(module, tensors, shapes))


def _resized_by_loading(
    module: torch.nn.Module, given: Mapping[str, torch.Tensor], shapes: Mapping[str, torch.Size]
) -> dict[str, torch.Size]:
    """The file's shapes that parts of the module take although their own are others: observers grow as they load."""
    other = {name for name, value in given.items() if shapes.get(name, value.shape) != value.shape}
    if not other:
        return {}
    try:
        twin = copy.deepcopy(module)
        twin.load_state_dict({name: value for name, value in given.items() if name in shapes}, strict=False)
        grown = twin.state_dict()
    except Exception:  # noqa: BLE001  # PyTorch and the user's own code say by it that the shapes do not fit
        return {}
    return {name: given[name].shape for name in other if grown[name].shape == given[name].shape}


def _loses_a_part(value: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether PyTorch would drop its imaginary part, with a warning alone."""
    return value.is_complex() and not expected.is_complex()


def _advice(tensors: Mapping[str, torch.Tensor], models: Sequence[str]) -> str:
    if not tensors:
        return "The file holds no tensors at all."
    if models:
        return (
            f"The file seems to hold several models: build the network of one of them ({argument('arch')}), which is "
            f"then found, or choose it with {argument('key')}: {listed(models)}."
        )
    return (
        f"Build the network that was trained ({argument('arch')}, its size and classes by {argument('arch_kwargs')}), "
        f"or choose another state dict of the file with {argument('key')}."
    )


def _precision_notes(values: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> list[Note]:
    changed = {
        (dtype_name(value), dtype_name(expected[name]))
        for name, value in values.items()
        if value.is_floating_point() and value.dtype != expected[name].dtype
    }
    return [PrecisionChanged(stored, run) for stored, run in sorted(changed)]


def _as_stored(layer: NormLayer, given: Mapping[str, torch.Tensor]) -> NormLayer:
    if not layer.has_statistics:
        return layer
    prefix = f"{layer.name}." if layer.name else ""
    mean = given.get(f"{prefix}running_mean")
    # A counter that the file does not hold is unknown; the architecture's says 0.
    updates = layer.updates if f"{prefix}num_batches_tracked" in given else None
    if mean is None or f"{prefix}running_var" not in given:
        return replace(layer, missing=True, updates=updates)
    return replace(layer, dtype=dtype_name(mean), updates=updates)


def _names_in_file(match: Match, expected: Mapping[str, torch.Tensor]) -> dict[str, tuple[str, ...]]:
    """The file's names of every tensor of the architecture; those that share memory have all their names."""
    own = match.file_names
    known = {old: new for new, old in own.items() if old is not None}
    tied: dict[object, list[str]] = {}
    for name, value in expected.items():
        file_name = own[name] if name in own else name_in_file(name, known)
        tied.setdefault(same_storage(value) or name, []).extend([] if file_name is None else [file_name])
    return {name: tuple(tied[same_storage(value) or name]) for name, value in expected.items()}
