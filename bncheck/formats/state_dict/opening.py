"""From a state dict, whatever file holds it, to a backend."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bncheck.core import SiblingCopy
from bncheck.errors import ModelError
from bncheck.formats.backend import Backend
from bncheck.formats.digest import sha256_of
from bncheck.formats.format import Adoption, Request
from bncheck.formats.in_memory import adopted
from bncheck.formats.pickles.packages import classes_left_out
from bncheck.formats.pickles.reading import load_pickle
from bncheck.formats.quantization import holds_quantized, packed_values
from bncheck.formats.state_dict import FORMAT
from bncheck.formats.state_dict.architecture import build, require
from bncheck.formats.state_dict.copies import sibling_copies, tensors_in, tensors_of
from bncheck.formats.state_dict.fitting import fit, fits
from bncheck.formats.state_dict.in_place import DataOrigin
from bncheck.formats.state_dict.model import TensorsBackend
from bncheck.formats.state_dict.names.flat import Part, averages_within, copies_beside
from bncheck.formats.state_dict.names.spelling import with_pytorch_statistics
from bncheck.formats.state_dict.nesting import Candidate, choose, others
from bncheck.formats.state_dict.optimizer import optimizer_steps
from bncheck.formats.state_dict.origin import TensorsOrigin
from bncheck.formats.state_dict.static_layers import layers_of_tensors, tensors_have_convolutions, without_wrappers
from bncheck.formats.state_dict.writing import CheckpointOrigin
from bncheck.formats.tensors import require_readable
from bncheck.formats.torch_module.listing import list_layers, require_values
from bncheck.formats.torch_module.wrappers import unwrapped
from bncheck.results import ArchitectureIgnored, BuiltAnew, HalfPrecisionRaised, PrefixStripped, ReadAsData
from bncheck.tensors import torch

Built = Callable[[], torch.nn.Module | None]
"""Builds the architecture when it is first asked for."""
_HALF = {torch.float16, torch.bfloat16}
_NAMED, _COMPARED = 200, 20
"""So many names that a file asks for are kept, and so many other copies in it are compared; more were made up."""


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """What a file of tensors held.

    Attributes:
        format: the contract's name.
        values: what was read.
        sha256: of the file and its shards.
        origin: the kind of file, which writes it again.
        asked: what it asks for beyond tensors, where it was read as data; `None` where nothing was left out.
    """

    format: str
    values: Any
    sha256: str
    origin: type[TensorsOrigin]
    asked: tuple[str, ...] | None = None


def open_checkpoint(request: Request) -> Backend:
    """Read what `torch.save`, or pickle, wrote.

    Raises:
        UsageError: `arch` cannot be imported or called; several state dicts and no `key`, or none of its name.
        ModelError: the file is damaged, blocked, or does not fit the architecture.
    """
    require(request.arch)
    loaded = load_pickle(request.path, request.container, trust_pickle=request.trust_pickle)
    digest = sha256_of(request.path)
    if loaded.as_data:
        return open_tensors(request, Content(FORMAT.name, loaded.content, digest, DataOrigin, loaded.asked))
    return open_tensors(request, Content(FORMAT.name, loaded.content, digest, CheckpointOrigin))


def open_tensors(request: Request, content: Content) -> Backend:
    """A state dict somewhere inside of what was read, or a whole module that was pickled."""
    built = functools.cache(lambda: _built(request))
    chosen, notes = choose(
        content.values,
        str(request.path),
        key=request.key,
        prefer_modules=request.arch is None,
        fits=None if request.arch is None else lambda one: _is_of(built, one, content),
    )
    origin = content.origin(
        path=request.path, container=request.container, key=chosen.path, trust_pickle=request.trust_pickle
    )
    source = Adoption(str(request.path), content.sha256, request.device, notes)
    if content.asked is not None:
        return _beside_others(
            _of_data(request, content, chosen, source, origin, built), content.values, chosen, request
        )
    if isinstance(chosen.content, torch.nn.Module):
        if request.arch is not None:
            source = replace(source, notes=(*notes, ArchitectureIgnored()))
        model = replace(_pickled(chosen.content, source), origin=origin)
    else:
        model = _of_tensors(request, content, chosen, source, origin, built)
    return _beside_others(model, content.values, chosen, request)


def _built(request: Request) -> torch.nn.Module | None:
    return None if request.arch is None else build(request.arch, request.arch_kwargs)


def _is_of(built: Built, one: Candidate, content: Content) -> bool:
    """Whether a candidate is of the architecture; a module that runs as it is needs none."""
    architecture = built()
    if architecture is None or (one.is_module and content.asked is None):
        return True
    return fits(architecture, tensors_of(one), _packed(one))


def _packed(chosen: Candidate) -> Mapping[str, Any]:
    return {} if isinstance(chosen.content, torch.nn.Module) else packed_values(chosen.content)


def _of_data(
    request: Request, content: Content, chosen: Candidate, source: Adoption, origin: TensorsOrigin, built: Built
) -> Backend:
    """The model of a file that was read as data: its module is run where all its classes are PyTorch's own."""
    is_module = isinstance(chosen.content, torch.nn.Module)
    if content.asked:
        foreign_first = tuple(sorted(content.asked, key=lambda name: name.startswith("torch.")))
        source = replace(source, notes=(*source.notes, ReadAsData(foreign_first[:_NAMED], is_module)))
    if not isinstance(chosen.content, torch.nn.Module):
        return _of_tensors(request, content, chosen, source, origin, built)
    require_readable(tensors_of(chosen), source.path)
    if request.arch is not None:
        return replace(
            _of_tensors(request, content, chosen, source, origin, built),
            in_training=_in_training(unwrapped(chosen.content)),
        )
    if classes := classes_left_out(chosen.content):
        own = unwrapped(chosen.content)
        require_values(own)
        from bncheck.formats.torch_module.described import described_module  # of PyTorch's classes

        modes = _in_training(own)
        return replace(described_module(own, source, classes), origin=origin, in_training=modes)
    anew = replace(source, notes=(*source.notes, BuiltAnew()))
    return replace(_pickled(chosen.content, anew), origin=origin)


def _of_tensors(
    request: Request, content: Content, chosen: Candidate, source: Adoption, origin: TensorsOrigin, built: Built
) -> Backend:
    """A state dict, or the tensors of a module as one."""
    require_readable(tensors_of(chosen), source.path)
    if (module := built()) is not None:
        return _in_architecture(module, content.format, chosen, source, origin)
    return _audited(content.format, chosen.values, source, origin)


def _beside_others(model: Backend, values: Any, chosen: Candidate, request: Request) -> Backend:
    """The model with what else its checkpoint tells: other copies of it, and the optimizer's steps."""
    # Whoever names the raw model asks about that one alone.
    asks_of_copies = chosen.is_averaged or request.key is None
    beside = others(values, chosen) if asks_of_copies else []
    if not chosen.is_module and (request.arch is not None or (asks_of_copies and isinstance(chosen.values, Part))):
        beside = [*_flat_copies(model, chosen), *(other for other in beside if not _holds(other, chosen))]
    counterparts = [other for other in beside if other.is_averaged != chosen.is_averaged][:_COMPARED]
    siblings, tensors = sibling_copies(model.tensors(), filter(_is_readable, counterparts))
    if request.arch is None and asks_of_copies and not siblings and not chosen.is_averaged:
        siblings, tensors = _averages_within(model)
    return replace(
        model,
        averaged=chosen.is_averaged,
        siblings=siblings,
        counterparts=tensors,
        optimizer_steps=optimizer_steps(values),
    )


def _flat_copies(model: Backend, chosen: Candidate) -> list[Candidate]:
    """Other copies in the same state dict, under prefixes of their own."""
    names = model.origin.names if isinstance(model.origin, TensorsOrigin) else {}
    own = {name: known[0] for name, known in names.items() if known} or {name: name for name in model.tensors()}
    return [Candidate(prefix, held) for prefix, held in copies_beside(chosen.values, own).items()]


def _holds(other: Candidate, chosen: Candidate) -> bool:
    """Whether the chosen model is a part of the other: of that its own copies are taken, one by one."""
    return isinstance(chosen.values, Part) and other.values is chosen.values.whole


def _averages_within(model: Backend) -> tuple[tuple[SiblingCopy, ...], dict[str, dict[str, torch.Tensor]]]:
    """Averaged copies in a state dict that was audited whole, and their tensors under the raw model's names."""
    own = model.tensors()
    siblings: tuple[SiblingCopy, ...] = ()
    tensors: dict[str, dict[str, torch.Tensor]] = {}
    for prefix, held in averages_within(own).items():
        found, theirs = sibling_copies({name: own[name] for name in held}, [Candidate(prefix, held)])
        siblings, tensors = siblings + found, tensors | theirs
    return siblings, tensors


def _is_readable(candidate: Candidate) -> bool:
    try:
        require_readable(tensors_of(candidate), candidate.path)
    except ModelError:
        return False
    return True


def _audited(name: str, values: Mapping[str, Any], source: Adoption, origin: TensorsOrigin) -> Backend:
    """A state dict without its architecture: nothing to run."""
    stripped, removed = without_wrappers(with_pytorch_statistics(tensors_in(values)))
    return TensorsBackend(
        path=source.path,
        format=name,
        sha256=source.sha256,
        layers=layers_of_tensors(stripped),
        origin=origin,
        has_convolutions=tensors_have_convolutions(stripped),
        notes=(*source.notes, PrefixStripped(removed)) if removed else source.notes,
        held=stripped,
        quantized=holds_quantized(values),
    )


def _in_architecture(
    module: torch.nn.Module, name: str, chosen: Candidate, source: Adoption, origin: TensorsOrigin
) -> Backend:
    """A state dict in its architecture."""
    fitted = fit(module, tensors_of(chosen), source.path, _packed(chosen))
    return replace(
        adopted(module, source),
        format=name,
        layers=fitted.layers,
        notes=(*source.notes, *fitted.notes),
        origin=replace(origin, names=fitted.names),
    )


def _pickled(pickled: torch.nn.Module, source: Adoption) -> Backend:
    """A module read from a pickle; half precision is run in float32, as data are."""
    own = unwrapped(pickled)
    require_values(own)
    in_training = _in_training(own)
    stored = {parameter.dtype for parameter in own.parameters() if parameter.is_floating_point()}
    if not stored or not stored <= _HALF:
        return replace(adopted(own, source), in_training=in_training)
    layers = list_layers(own)
    said = replace(source, notes=(*source.notes, HalfPrecisionRaised()))
    return replace(adopted(own.float(), said), layers=layers, in_training=in_training)


def _in_training(module: torch.nn.Module) -> frozenset[str]:
    """Names of the parts that are in training mode."""
    return frozenset(name for name, child in module.named_modules() if child.training)
