"""Causes of drift that the file itself supports, each with its evidence."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bncheck.core import THRESHOLDS, NormLayer, SiblingCopy, compare, rms
from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.rules.judging.drifting import own_statistics
from bncheck.rules.judging.naming import some_names
from bncheck.vocabulary import CHECK, argument


@dataclass(frozen=True, slots=True)
class FileCause:
    """One cause, as the file has it.

    Attributes:
        key: for the evidence.
        told: a sentence with the numbers that speak for it.
        remedy: what to do about it.
        numbers: for the evidence.
        command: that does it.
    """

    key: str
    told: str
    remedy: str
    numbers: dict[str, Any]
    command: str = "repair"


def causes_in_file(evidence: Evidence, origin: Sequence[MeasuredLayer]) -> tuple[FileCause, ...]:
    """Find what the file says of why the statistics of these layers do not fit, the surest first."""
    return (
        *_of_a_copy_that_fits(evidence, origin),
        *_of_zeroed_filters(evidence, origin),
        *_of_older_counters(evidence, origin),
        *_of_zeroed_weights(evidence),
    )


def _of_a_copy_that_fits(evidence: Evidence, origin: Sequence[MeasuredLayer]) -> Iterator[FileCause]:
    """Yield the copy in the same file whose statistics are those that these layers see."""
    apart = {copy.name: gap for copy in evidence.siblings if (gap := _gap_of(copy, origin)) is not None}
    if not apart:
        return
    name = min(apart, key=apart.__getitem__)
    here = rms([_gap_from(layer, layer.layer) for layer in origin])
    if apart[name] > min(THRESHOLDS.margin, THRESHOLDS.copy_left * here):
        return
    shown = f"`{name}`" if name else "its own tensors"
    yield FileCause(
        "copy fits",
        f"The statistics of {shown} in the same file do describe them (gap {apart[name]:.2g} in these layers, where "
        f"those stored here lie {here:.2g} off): the weights stand beside another copy's statistics.",
        f"Take running_mean and running_var of {shown}, or use that copy whole ({argument('key')}).",
        {"copy": name, "copy_gap": apart[name], "stored_gap": here},
        f"inspect --key {shlex.quote(name)}" if name else CHECK,
    )


def _gap_of(copy: SiblingCopy, origin: Sequence[MeasuredLayer]) -> float | None:
    theirs = {layer.name: layer for layer in copy.layers}
    if copy.same_statistics or any(layer.layer.name not in theirs for layer in origin):
        return None
    gap = rms([_gap_from(layer, theirs[layer.layer.name]) for layer in origin])
    return gap if np.isfinite(gap) else None


def _gap_from(layer: MeasuredLayer, stored: NormLayer) -> float:
    """Give the RMS gap of what the layer sees from what another one stores."""
    mean, var = own_statistics(layer)
    eps = layer.layer.eps or THRESHOLDS.smallest_eps
    return rms(compare(mean, var, *stored.statistics, eps).gap[layer.visible])


def _of_zeroed_filters(evidence: Evidence, origin: Sequence[MeasuredLayer]) -> Iterator[FileCause]:
    """Yield filters of zeros whose channels are constant on data, while their stored variance is that of live ones."""
    if evidence.zeroed is None or not evidence.zeroed.filters:
        return
    dead = {layer.layer.name: number for layer in origin if (number := _dead_channels(layer))}
    if dead:
        number = sum(dead.values())
        yield FileCause(
            "zeroed filters",
            f"{number} {'channel' if number == 1 else 'channels'} of {some_names(list(dead))} never vary, and the file "
            f"holds {evidence.zeroed.filters} filters of zeros, while the stored variances are those of live channels: "
            "the network was pruned after its statistics were measured.",
            "Measure the statistics again on training data, under the pruned weights.",
            {"dead_channels": dead, "filters_of_zeros": evidence.zeroed.filters},
        )


def _dead_channels(layer: MeasuredLayer) -> int:
    """Count channels that are constant on the data and were not where the statistics come from."""
    eps = layer.layer.eps or THRESHOLDS.smallest_eps
    _, var = own_statistics(layer)
    is_constant = (layer.var <= THRESHOLDS.no_variance * eps) & (var <= THRESHOLDS.no_variance * eps)
    return int((is_constant & (layer.layer.statistics[1] > eps) & layer.visible).sum())


def _of_older_counters(evidence: Evidence, origin: Sequence[MeasuredLayer]) -> Iterator[FileCause]:
    """Yield what shows that weights went on after the statistics: other layers', a copy's or the optimizer's count."""
    names = {layer.layer.name for layer in origin}
    own = {layer.layer.updates for layer in origin if layer.layer.updates}
    if len(own) != 1:
        return
    updates = own.pop()
    memory = max(_memory(layer.layer) for layer in origin)
    others = [layer.layer.updates for name, layer in evidence.measured.items() if name not in names]
    if others and all(other is not None and other - updates > memory for other in others):
        yield _older(updates, min(other for other in others if other), "those of the layers that fit", "a part of it")
        return
    copies = {copy.name: ahead for copy in evidence.siblings if (ahead := _updates_of(copy, names))}
    if copies and max(copies.values()) - updates > memory:
        name = max(copies, key=copies.__getitem__)
        yield _older(updates, copies[name], f"those of `{name}` in the same file", "averaged weights")
    elif evidence.optimizer_steps is not None and evidence.optimizer_steps - updates > memory:
        steps = evidence.optimizer_steps
        yield _older(updates, steps, "the steps of the optimizer in the same file", "frozen or averaged statistics")


def _updates_of(copy: SiblingCopy, names: set[str]) -> int | None:
    seen = {layer.updates for layer in copy.layers if layer.name in names}
    return next(iter(seen)) if len(seen) == 1 else None


def _memory(layer: NormLayer) -> float:
    """Give the batches that a moving average remembers, (2 - m)/m: counters nearer than that tell nothing."""
    momentum = layer.momentum or THRESHOLDS.assumed_momentum
    return (2 - momentum) / momentum


def _older(updates: int, ahead: int, whose: str, kind: str) -> FileCause:
    return FileCause(
        "older counters",
        f"Their update counters say {updates}, {whose} {ahead}: the weights went on without these statistics, as "
        f"with {kind}.",
        "Measure the statistics again on training data, under these weights.",
        {"updates": updates, "updates_ahead": ahead},
    )


def _of_zeroed_weights(evidence: Evidence) -> Iterator[FileCause]:
    """Yield single weights of zero, which do not tell when they became so."""
    if evidence.zeroed is not None and evidence.zeroed.share >= THRESHOLDS.pruned:
        yield FileCause(
            "zeroed weights",
            f"{evidence.zeroed.share:.0%} of the weights are exactly 0: if they were pruned after the statistics were "
            "measured, that is why.",
            "Measure the statistics again on training data, under the pruned weights.",
            {"zeroed_weights": evidence.zeroed.share},
        )
