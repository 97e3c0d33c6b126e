"""Are the input's channels in another order than in training? Runs samples again in every order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from bncheck.data.batches import Batch
from bncheck.evidence.inputs import ORDER_SHARE
from bncheck.evidence.probed import BY_OPTIONS, AffineMap, ChannelOrder, Paired
from bncheck.probes.bench import Bench, Watched, paired
from bncheck.probes.input.conventions import colour_constants
from bncheck.probes.input.inputs import floating_input, input_range, mapped, reordered

MOST_CHANNELS = 4
"""Of more there are too many orders to tell one from chance."""
SCREENED = 384
"""Forwards to look at the gap of every order, shared out evenly: 64 samples each for three channels, if small."""
LEAST_SCREENED = 32
FINALISTS = 2
"""Orders run on all samples, those with the smallest gaps."""
BY_LABELS = 6
"""Plain orders run on all samples where labels tell them apart: gaps of colours that are alike do not."""
ROOM = 0.1
"""Share of wrong predictions below which hardly any can come of the order."""


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
    bench: Bench,
    samples: Batch,
    layers: tuple[str, ...],
    before: Watched | None,
    normalization: AffineMap | None,
    *,
    by: AffineMap | None = None,
) -> ChannelOrder | None:
    """The order that predicts best among those with a smaller gap; `None` where there is none.

    Args:
        bench: runs the model.
        samples: to try orders on.
        layers: fed by the input alone.
        before: what they saw of `samples` in the given order, mapped if they are; `None` if that was not run yet.
        normalization: by --mean and --std: channels may have been swapped before each was given another's constants.
        by: a map that has to be applied after, because the input is scaled too.
    """
    x = floating_input(samples)
    if x is None or x.dim() < 3 or not 2 <= x.shape[1] <= MOST_CHANNELS:
        return None
    given, *others = permutations(range(x.shape[1]))
    changes = [_Change(order, by) for order in others]
    data = input_range(x)
    if by is None and data is not None:
        known = [] if normalization is None else [(BY_OPTIONS, normalization)]
        known += list(colour_constants(data))
        changes += [change for name, constants in known for change in _normalized_before(others, name, constants)]
    few = bench.screened(samples, max(SCREENED // (len(others) + 1), LEAST_SCREENED))
    as_given = bench.stored(_Change(given, by).of(few))
    gap, sites = as_given.gap(layers), as_given.sites(layers)
    screened = sorted((bench.look(change.of(few), sites).gap(layers), place) for place, change in enumerate(changes))
    finalists = [place for found, place in screened[:FINALISTS] if found < ORDER_SHARE * gap]
    if _leaves_room(as_given):
        plain = [place for _, place in screened if place < len(others) and place not in finalists]
        finalists += plain[: BY_LABELS - len(finalists)]
    if not finalists:
        return None
    before = before or bench.stored(_Change(given, by).of(samples))
    best: ChannelOrder | None = None
    for place in finalists:
        change = changes[place]
        seen = paired(layers, samples.size, before, bench.stored(change.of(samples)))
        if seen is not None and (best is None or _predicts_better(seen, best.seen)):
            best = ChannelOrder(change.order, len(others), seen, change.normalized)
    return best


def _leaves_room(before: Watched) -> bool:
    """Whether there are labels, and predictions wrong by them that another order may set right."""
    accuracy = None if before.answers is None else before.answers.accuracy
    return accuracy is not None and 1 - accuracy > ROOM


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
    return (one.after.information or 0.0) > (other.after.information or 0.0)
