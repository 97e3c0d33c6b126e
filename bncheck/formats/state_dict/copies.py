"""Copies of one model in one checkpoint: raw and averaged weights (EMA, SWA), compared tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bncheck.core import SiblingCopy
from bncheck.formats.state_dict.names.flat import leaf
from bncheck.formats.state_dict.names.prefixes import best_names
from bncheck.formats.state_dict.nesting import Candidate
from bncheck.formats.state_dict.static_layers import layers_of_tensors, without_wrappers
from bncheck.formats.tensors import plain
from bncheck.tensors import torch

_STATISTICS = ("running_mean", "running_var", "moving_mean", "moving_var", "moving_variance")
_COUNTERS = ("num_batches_tracked", "n_averaged")

Tensors = Mapping[str, torch.Tensor]


def sibling_copies(
    own: Tensors, others: Iterable[Candidate]
) -> tuple[tuple[SiblingCopy, ...], dict[str, dict[str, torch.Tensor]]]:
    """What in the checkpoint is a copy of the inspected model: the same names and shapes, apart from prefixes.

    Args:
        own: parameters and buffers of the inspected model.
        others: what else the checkpoint holds.

    Returns:
        The copies, and the tensors of those with other weights, by the copy's name, under the model's names.
    """
    found = [both for other in others if (both := _compared(own, other)) is not None]
    tensors = {copy.name: theirs for copy, theirs in found if not copy.same_weights}
    return tuple(copy for copy, _ in found), tensors


def tensors_of(candidate: Candidate) -> dict[str, torch.Tensor]:
    """The tensors of a state dict or of a module, by name."""
    return tensors_in(candidate.values)


def tensors_in(values: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Those of the values that are tensors under a name."""
    return {name: value for name, value in values.items() if isinstance(name, str) and isinstance(value, torch.Tensor)}


def _compared(own: Tensors, other: Candidate) -> tuple[SiblingCopy, dict[str, torch.Tensor]] | None:
    given = without_wrappers(tensors_of(other))[0]
    names, _ = best_names(_shapes(given), _shapes(own))
    theirs = {names[name]: value for name, value in given.items()}
    statistics = {name for name in own if leaf(name) in _STATISTICS}
    weights = {name for name in own if leaf(name) not in (*_STATISTICS, *_COUNTERS)}
    shared = statistics | weights
    if (
        not statistics
        or not weights
        or any(name not in theirs or theirs[name].shape != own[name].shape for name in shared)
    ):
        return None
    copy = SiblingCopy(
        name=other.path,
        averaged=other.is_averaged,
        layers=tuple(layer for layer in layers_of_tensors(theirs) if layer.has_statistics),
        same_weights=all(_equal(own[name], theirs[name]) for name in weights),
        same_statistics=all(_equal(own[name], theirs[name]) for name in statistics),
    )
    return copy, {name: theirs[name] for name in shared}


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """To the last bit; a copy that was loaded into a wider type is still the same."""
    first, second = plain(one).cpu(), plain(other).cpu()
    wide = torch.complex128 if first.is_complex() or second.is_complex() else torch.float64
    return torch.equal(first.to(wide), second.to(wide))


def _shapes(tensors: Tensors) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in tensors.items()}
