"""Are the input's channels in another order than in training? Runs samples again in every order."""

from __future__ import annotations

from itertools import permutations

from bncheck.data.batches import Batch
from bncheck.observe.probes.bench import Bench, Watched, paired
from bncheck.observe.probes.inputs import floating_input, mapped, reordered
from bncheck.probed import ORDER_SHARE, AffineMap, ChannelOrder, Paired

MOST_CHANNELS = 4
"""Of more there are too many orders to tell one from chance."""
SCREENED = 384
"""Forwards to look at the gap of every order, shared out evenly: 64 samples each for three channels."""
LEAST_SCREENED = 32
FINALISTS = 2
"""Orders run on all samples."""


def probe_order(
    bench: Bench, samples: Batch, layers: tuple[str, ...], before: Watched | None, by: AffineMap | None
) -> ChannelOrder | None:
    """The order that predicts best among those with a smaller gap; `None` where there is none.

    Args:
        bench: runs the model.
        samples: to try orders on.
        layers: fed by the input alone.
        before: what they saw of `samples` in the given order, mapped if they are; `None` if that was not run yet.
        by: a map that has to be applied after, because the input is scaled too.
    """
    x = floating_input(samples)
    if x is None or x.dim() < 3 or not 2 <= x.shape[1] <= MOST_CHANNELS:
        return None

    def changed(batch: Batch, order: tuple[int, ...]) -> Batch:
        other = reordered(batch, order)
        return other if by is None else mapped(other, by)

    given, *others = permutations(range(x.shape[1]))
    number = max(SCREENED // (len(others) + 1), LEAST_SCREENED, bench.fixed or 0)
    few = bench.whole(samples, number)
    gap = bench.stored(changed(few, given)).gap(layers)
    screened = sorted((bench.stored(changed(few, order)).gap(layers), order) for order in others)
    best: ChannelOrder | None = None
    for found, order in screened[:FINALISTS]:
        if found < ORDER_SHARE * gap:
            before = before or bench.stored(changed(samples, given))
            seen = paired(layers, samples.size, before, bench.stored(changed(samples, order)))
            if seen is not None and (best is None or _predicts_better(seen, best.seen)):
                best = ChannelOrder(order, len(others), seen)
    return best


def _predicts_better(one: Paired, other: Paired) -> bool:
    if one.gain is not None and other.gain is not None:
        return one.gain > other.gain
    return (one.after.information or 0.0) > (other.after.information or 0.0)
