"""Orders of the input's channels: samples are run again in every one, and in those of few channels only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import torch

from bncheck.core import THRESHOLDS
from bncheck.data import Batch
from bncheck.evidence import BY_OPTIONS, ORDER_SHARE, AffineMap, ChannelOrder, Paired
from bncheck.probes.input.conventions import colour_constants
from bncheck.probes.input.inputs import floating_input, input_range, mapped, reordered
from bncheck.probes.session import ProbeSession, Watched, paired, screened
from bncheck.results import InputFamily

MOST_CHANNELS = 4
"""Of more there are too many orders to tell one from a lucky one."""
SCREENED = 384
"""Forwards to look at the gap of every order, shared out evenly: 64 samples each for three channels, if small."""
LEAST_SCREENED = 32
GLANCED, LEAST_GLANCED = 32, 16
"""Samples that show whether any order is worth that, at the most and at the least: a share of the samples for each."""
FINALISTS = 2
"""Orders run on all samples, those with the smallest gaps, and where labels tell orders apart those that predict best:
gaps of colours that are alike do not."""


@dataclass(frozen=True, slots=True)
class _Change:
    """Another order, and what it takes besides: the map of a scaled input, or other constants for each channel."""

    order: tuple[int, ...]
    map: AffineMap | None = None
    normalized: str | None = None

    def of(self, batch: Batch) -> Batch:
        other = reordered(batch, self.order)
        return other if self.map is None else mapped(other, self.map)


def probe_order(
    session: ProbeSession,
    samples: Batch,
    layers: tuple[str, ...],
    before: Watched | None,
    normalization: AffineMap | None,
    *,
    by: AffineMap | None = None,
    expected: InputFamily | None = None,
    accuracy: float | None = None,
) -> ChannelOrder | None:
    """The order that predicts best among those with a smaller gap; `None` where there is none.

    Args:
        session: runs the samples.
        samples: to try orders on.
        layers: fed by the input alone.
        before: what they saw of `samples` in the given order, mapped if they are; `None` if that was not run yet.
        normalization: by mean and std: channels may have been swapped before each was given another's constants.
        by: a map that has to be applied after, because the input is scaled too.
        expected: how the network was fed in training, by its weights: its constants come first.
        accuracy: in the given order, of all the data; `None` where a few samples have to tell.
    """
    x = floating_input(samples)
    if x is None or not _has_colours(x):
        return None
    given, *others = permutations(range(x.shape[1]))
    changes = _changes(x, others, normalization, by, expected)
    glance = _Glance(session, layers, _Change(given, by), accuracy)
    some = _few(samples, len(others), session.fixed_batch, glanced=True)
    few = _few(samples, len(others), session.fixed_batch)
    as_given = glance.as_given(some)
    likely = glance.at(some, as_given, changes)
    if likely and few.size > some.size:
        as_given = glance.as_given(few)
        likely = glance.at(few, as_given, likely)
    if not likely:
        return None
    gap, sites = as_given.gap(layers), as_given.sites(layers)
    screened = sorted((session.look(change.of(few), sites).gap(layers), place) for place, change in enumerate(changes))
    finalists = [place for found, place in screened[:FINALISTS] if found < ORDER_SHARE * gap]
    if _leaves_room(as_given, accuracy):
        plain = [place for _, place in screened if place < len(others) and place not in finalists]
        finalists += _best_by_labels(session, few, layers, as_given, {place: changes[place] for place in plain})
    if not finalists:
        return None
    before = before or session.stored(_Change(given, by).of(samples))
    best: ChannelOrder | None = None
    for place in finalists:
        change = changes[place]
        seen = paired(session, layers, samples.size, before, session.stored(change.of(samples)))
        if seen is not None and (best is None or _predicts_better(seen, best.seen)):
            apart = [found for found, other in screened if changes[other].order != change.order]
            best = ChannelOrder(change.order, len(others), seen, change.normalized, min(apart, default=None))
    return best


def order_cost(samples: Batch, normalization: AffineMap | None, fixed_batch: int | None) -> int:
    """Samples that `probe_order` runs at the most."""
    x = floating_input(samples)
    if x is None or not _has_colours(x):
        return 0
    others = list(permutations(range(x.shape[1])))[1:]
    looks = 1 + len(_changes(x, others, normalization, None))
    some, few = (_few(samples, len(others), fixed_batch, glanced=glanced).size for glanced in (True, False))
    return looks * (some + few) + (looks + len(others)) * few + (1 + 2 * FINALISTS) * samples.size


def _best_by_labels(
    session: ProbeSession, few: Batch, layers: tuple[str, ...], as_given: Watched, changes: Mapping[int, _Change]
) -> list[int]:
    """Those that may predict better than the given order does, by a few samples; the best of them first."""
    gains = {}
    for place, change in changes.items():
        seen = paired(session, layers, few.size, as_given, session.stored(change.of(few)))
        if seen is None or seen.gain is None:
            continue
        if seen.gain + THRESHOLDS.confidence_z * (seen.gain_error or 0.0) > 0:
            gains[place] = seen.gain
    return sorted(gains, key=gains.__getitem__, reverse=True)[:FINALISTS]


def _has_colours(x: torch.Tensor) -> bool:
    """Whether there are positions, and few enough channels."""
    return x.dim() > 2 and 2 <= x.shape[1] <= MOST_CHANNELS


def _few(samples: Batch, others: int, fixed_batch: int | None, *, glanced: bool = False) -> Batch:
    orders = others + 1
    if glanced:
        return screened(samples, min(max(samples.size // orders, LEAST_GLANCED), GLANCED), fixed_batch)
    return screened(samples, max(SCREENED // orders, LEAST_SCREENED), fixed_batch)


class _Glance:
    """Tells from a few samples which changes may turn out to be what is wrong.

    Args:
        session: runs the samples.
        layers: fed by the input alone.
        given: the order as it is.
        accuracy: in it, of all the data; `None` where a few samples have to tell.
    """

    def __init__(self, session: ProbeSession, layers: tuple[str, ...], given: _Change, accuracy: float | None) -> None:
        self._session = session
        self._layers = layers
        self._given = given
        self._accuracy = accuracy

    def as_given(self, few: Batch) -> Watched:
        """What was seen of the samples in the order as it is."""
        return self._session.stored(self._given.of(few))

    def at(self, few: Batch, before: Watched, changes: Sequence[_Change]) -> list[_Change]:
        """Those that leave less of the gap than `before`, in the given order, or that may predict far better."""
        by_labels = _leaves_room(before, self._accuracy)
        return [change for change in changes if self._may_be(change, few, before, by_labels=by_labels)]

    def _may_be(self, change: _Change, few: Batch, before: Watched, *, by_labels: bool) -> bool:
        layers = self._layers
        if not by_labels or change.normalized is not None:
            seen = self._session.look(change.of(few), before.sites(layers))
            return seen.gap(layers) < ORDER_SHARE * before.gap(layers)
        seen = self._session.stored(change.of(few))
        pair = paired(self._session, layers, few.size, before, seen)
        least = THRESHOLDS.large_effect
        if seen.gap(layers) < ORDER_SHARE * before.gap(layers):
            least = THRESHOLDS.gain_margin
        if pair is None or pair.gain is None:
            return least < THRESHOLDS.large_effect
        error = max(pair.gain_error or 0.0, 1 / few.size)  # of so few samples none may happen to differ
        return pair.gain + THRESHOLDS.confidence_z * error > least


def _changes(
    x: torch.Tensor,
    others: list[tuple[int, ...]],
    normalization: AffineMap | None,
    by: AffineMap | None,
    expected: InputFamily | None = None,
) -> list[_Change]:
    """Every other order, and where no map is given each after other constants too."""
    changes = [_Change(order, by) for order in others]
    data = input_range(x)
    if by is None and data is not None:
        known = [] if normalization is None else [(BY_OPTIONS, normalization)]
        known += list(colour_constants(data, expected))
        changes += [change for name, constants in known for change in _normalized_before(others, name, constants)]
    return changes


def _leaves_room(before: Watched, accuracy: float | None) -> bool:
    """Whether there are labels, and predictions wrong by them that another order may set right."""
    if before.answers is None or before.answers.accuracy is None:
        return False
    return 1 - (before.answers.accuracy if accuracy is None else accuracy) > THRESHOLDS.order_room


def _normalized_before(others: list[tuple[int, ...]], name: str, constants: AffineMap) -> Iterator[_Change]:
    """Orders in which values were normalized by constants meant for the right one: those are changed for their own."""
    pairs = constants.of_each(len(others[0]))
    slope, intercept = zip(*pairs, strict=True)
    for order in others if len(set(pairs)) > 1 else ():
        slopes = tuple(slope[place] / slope[came] for place, came in enumerate(order))
        intercepts = tuple(intercept[place] - slopes[place] * intercept[came] for place, came in enumerate(order))
        yield _Change(order, AffineMap(slopes, intercepts), name)


def _predicts_better(one: Paired, other: Paired) -> bool:
    if one.gain is not None and other.gain is not None:
        return one.gain > other.gain
    return one.after.model_gap < other.after.model_gap
