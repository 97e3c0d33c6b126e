"""Putting a state dict into an architecture: all of it, or a message that says what does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch

from bncheck.core import NormLayer
from bncheck.errors import ModelError
from bncheck.formats.messages import block, listed
from bncheck.formats.quantization import packed_values, shape_of
from bncheck.formats.state_dict.flat import (
    BOOKKEEPING,
    STATISTICS,
    chosen_among,
    is_beside,
    leaf,
    models_in,
    others_beside,
    prefixes_that_fit,
)
from bncheck.formats.state_dict.prefixes import best_names, name_in_file
from bncheck.formats.state_dict.spelling import Spelled, in_pytorch_names
from bncheck.formats.tensors import dtype_name, plain, same_storage
from bncheck.formats.torch_module.listing import list_layers, require_state
from bncheck.results import ModelChosen, NamesFitted, Note, PrecisionChanged, TensorsLeftOut
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
    spelled = in_pytorch_names(tensors, shapes)
    tensors = spelled.tensors
    stored = {name: shape_of(value) for name, value in (*tensors.items(), *packed.items())}
    prefix, beside = _part_of(stored, shapes, source)
    stored = {name: shape for name, shape in stored.items() if name.startswith(prefix)}
    names, renaming = best_names(stored, shapes)
    whole = stored
    left_out = [name for name in stored if names[name] not in shapes and is_beside(names[name], shapes)]
    stored = {name: shape for name, shape in stored.items() if name not in left_out}
    given = {names[name]: value for name, value in tensors.items() if name in stored}
    complex_ = {name for name, value in given.items() if name in expected and _loses_a_part(value, expected[name])}
    wrong = [(name, dtype_name(given[name])) for name in sorted(complex_) if leaf(name) not in BOOKKEEPING]
    if wrong or _misfits({names[name]: shape for name, shape in stored.items()}, shapes):
        misfits = _misfits({names[name]: shape for name, shape in whole.items()}, shapes)
        misfits += block("complex in the file, real in the architecture", wrong) if wrong else []
        raise ModelError(f"{source} does not fit the architecture.", *misfits, _advice(given, models_in(tensors)))
    values = {
        name: value if expected[name].is_quantized else plain(value)
        for name, value in given.items()
        if name in expected and value.shape == expected[name].shape and name not in complex_
    }
    if packed:  # whose layers go by the version of their form, which PyTorch keeps beside the values
        held.clear()
        held.update(values | {names[name]: value for name, value in packed.items()})
    with users_code(lambda said: ModelError(f"{source} cannot be loaded into the architecture: {said}")):
        module.load_state_dict(held if packed else values, strict=False)
    notes: list[Note] = [ModelChosen(prefix.removesuffix("."), beside)] if beside else []
    notes += [NamesFitted(renaming)] if renaming and not beside else []
    notes += [TensorsLeftOut(tuple(spelled.names.get(name) or name for name in left_out))] if left_out else []
    notes += _precision_notes(values, expected)
    layers = tuple(_as_stored(layer, given) for layer in list_layers(module))
    return Fitted(layers, tuple(notes), _names_in_file(names, expected, spelled), prefix)


def _part_of(
    stored: Mapping[str, torch.Size], expected: Mapping[str, torch.Size], source: str
) -> tuple[str, tuple[str, ...]]:
    """The prefix of the model that is meant, where several fit the architecture, and the prefixes of the others."""
    fitting = prefixes_that_fit(stored, expected)
    if len(fitting) < 2:
        others = others_beside(stored, fitting[0]) if fitting and fitting[0] else ()
        return (fitting[0] if others else "", others)
    prefix = chosen_among(fitting, source)
    return prefix, tuple(other.removesuffix(".") for other in fitting if other != prefix)


def _misfits(given: Mapping[str, torch.Size], expected: Mapping[str, torch.Size]) -> list[str]:
    """What is missing, left over and of another shape, as lines; empty where all fits."""
    absent = [name for name in expected if name not in given and leaf(name) not in (*STATISTICS, *BOOKKEEPING)]
    left_over = [name for name in given if name not in expected and leaf(name) not in BOOKKEEPING]
    other_shape = [
        (name, f"file {_shape(value)}", f"architecture {_shape(expected[name])}")
        for name, value in given.items()
        if expected.get(name, value) != value and leaf(name) not in BOOKKEEPING
    ]
    parts: list[tuple[str, Sequence[Sequence[str]]]] = [
        ("missing from the file", [(name, _shape(expected[name])) for name in absent]),
        ("not in the architecture", [(name, _shape(given[name])) for name in left_over]),
        ("of another shape", other_shape),
    ]
    return [line for title, rows in parts if rows for line in block(title, rows)]


def _loses_a_part(value: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether PyTorch would drop its imaginary part, with a warning alone."""
    return value.is_complex() and not expected.is_complex()


def _advice(given: Mapping[str, torch.Tensor], models: Sequence[str]) -> str:
    if not given:
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


def _names_in_file(
    names: Mapping[str, str], expected: Mapping[str, torch.Tensor], spelled: Spelled
) -> dict[str, tuple[str, ...]]:
    """The file's names of every tensor of the architecture; those that share memory have all their names."""
    own = {new: spelled.names.get(old, old) for old, new in names.items()}
    known = {old: new for new, old in own.items() if old is not None}
    tied: dict[object, list[str]] = {}
    for name, value in expected.items():
        file_name = own[name] if name in own else name_in_file(name, known)
        tied.setdefault(same_storage(value) or name, []).extend([] if file_name is None else [file_name])
    return {name: tuple(tied[same_storage(value) or name]) for name, value in expected.items()}


def _shape(shape: torch.Size) -> str:
    return str(tuple(shape))
