"""Which layers feed which through one weight, or through sums and concatenations, by a model's graph."""

from __future__ import annotations

from collections.abc import Sequence

from bncheck.core import NormLayer
from bncheck.formats import Averaged, Normalized, Step, Weighted, Wiring
from bncheck.tensors import torch
from bncheck.vocabulary import Unpredicted
from bncheck.weights.prediction.entering import entering_of, kind_of
from bncheck.weights.prediction.moments import Moments
from bncheck.weights.prediction.pairs import MANY, WIDE, Known, Pair
from bncheck.weights.prediction.propagation import Propagation, Signal
from bncheck.weights.prediction.usable import is_usable

_BORDERS = (0.03, 0.0, 0.07, 0.13, 0.25)
"""Shares of the positions at the border of weights whose own output no layer takes, the likeliest first."""


def wired_pairs(wiring: Wiring, layers: Sequence[NormLayer]) -> tuple[list[Pair], dict[str, Unpredicted]]:
    """The pairs, and why any other layer with statistics is in none.

    Args:
        wiring: of the model.
        layers: every normalization layer of it.
    """
    by_name = {layer.name: layer for layer in layers}
    sites = wiring.sites()
    followed = [Propagation(wiring, by_name, border) for border in _BORDERS]
    pairs: list[Pair] = []
    reasons: dict[str, Unpredicted] = {}
    for layer in layers:
        if not layer.has_statistics:
            continue
        found = _pair(layer, sites.get(layer.name, ()), followed)
        if isinstance(found, Pair) and (len(pairs) >= MANY or found.source.channels + layer.channels > WIDE):
            found = Unpredicted.TOO_LARGE
        if isinstance(found, Pair):
            pairs.append(found)
        else:
            reasons[layer.name] = found
    return pairs, reasons


def is_reached(wiring: Wiring, layers: Sequence[NormLayer]) -> bool:
    """Whether the graph calls most of the layers with statistics, so that it is worth more than their names."""
    stored = [layer.name for layer in layers if layer.has_statistics]
    reached = wiring.sites().keys() & set(stored)
    return 2 * len(reached) > len(stored)


def _pair(target: NormLayer, sites: Sequence[Normalized], followed: Sequence[Propagation]) -> Pair | Unpredicted:
    if not sites:
        return Unpredicted.UNREACHED
    if len(sites) > 1:
        return Unpredicted.TWICE
    if not is_usable(target):
        return Unpredicted.UNUSABLE
    steps, place = followed[0].wiring.steps, sites[0].source
    while isinstance(averaged := steps[place], Averaged):
        place = averaged.source
    step = steps[place]
    signal = followed[0].at(step.source if isinstance(step, Weighted) else place)
    if isinstance(signal, Unpredicted):
        return signal
    if not signal.source:
        return Unpredicted.FED_BY_ANOTHER
    return _predicted(target, step, signal, followed, place)


def _predicted(
    target: NormLayer, step: Step, signal: Signal, followed: Sequence[Propagation], place: int
) -> Pair | Unpredicted:
    source = followed[0].layers[signal.source]
    if isinstance(step, Weighted):
        entering = entering_of(step, signal.now.mean.size, signal.flattened)
        if isinstance(entering, Unpredicted):
            return entering
        padded, place = step.padded or signal.meets_zeros, step.source
        (weight, groups), bias, name = entering, step.bias, _owner(step.name)
        kind = kind_of(step, padded=padded)
    else:  # what is summed or joined behind the weights is the layer's own input
        channels = signal.now.mean.size
        weight, groups, bias, name, kind = torch.ones(channels, 1), channels, None, _owner(signal.weight), "nothing"
        padded = False
    if weight.shape[0] != target.channels or (bias is not None and bias.numel() != target.channels):
        return Unpredicted.OTHER_SHAPE
    known = Known(
        activation=signal.activation,
        padded=padded,
        entering=None if signal.alone else _entering(followed, place, signal),
        before=None if signal.alone else signal.before,
        slope=signal.slope,
        told=signal.told,
        summed=signal.summed,
        averaged=signal.rough,
    )
    form = f"{signal.told} > {kind} ({signal.activation})"
    return Pair(source, target, name or source.name, weight, bias, groups, None, form, known=known)


def _owner(weight: str) -> str:
    """The convolution or linear layer by its weight's name, as a state dict has it."""
    return weight.removesuffix(".weight")


def _entering(followed: Sequence[Propagation], place: int, signal: Signal) -> tuple[Moments, ...]:
    """Moments under every border of the weights before, or under one where there are none."""
    if not signal.weight:
        return (signal.now,)
    others = [one.at(place) for one in followed[1:]]
    return (signal.now, *(other.now for other in others if isinstance(other, Signal)))
