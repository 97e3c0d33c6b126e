"""BN602: the input's channels are in another order than in training."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bncheck.core import THRESHOLDS, above_guessing, rms
from bncheck.evidence import BY_OPTIONS, ChannelOrder, Evidence, Paired
from bncheck.results import Finding
from bncheck.rules.judging.fed import (
    cost_of_change,
    measure_of,
    numbers_of,
    recalibrating_wins_more,
    tried_in_words,
    what_remains,
)
from bncheck.rules.judging.harm import at_least
from bncheck.vocabulary import CHECK, Remedy, Severity, Spelling, argument, spelled


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a warning, an error by its cost, where with another order the gap falls and predictions are clearly better.

    Where recalibrating would win far more, or predictions are hardly better than guesses in any order, the order is
    not what is wrong: among the guesses of a broken network one order is always best.
    """
    found = evidence.probed.order
    if found is None or not (found.explains or _fits_exactly(found, evidence)):
        return
    if recalibrating_wins_more(found.seen, evidence):
        return
    if _is_guessing(found.seen, evidence):
        return
    cost = cost_of_change(found.seen, Remedy.INPUT)
    yield Finding(
        code="BN602",
        severity=at_least(Severity.WARNING, cost.harm),
        layers=tuple(found.seen.layers),
        message=f"{_order_in_words(found)} {tried_in_words(found.seen, 'With the channels reordered')}",
        fix=f"{_reorder(found)} Recalibrating would only hide it.{what_remains(found.seen)}",
        measure=measure_of(found.seen, evidence),
        cost=cost,
        command=_command(found),
        evidence={
            "order": list(found.order),
            "orders_tried": found.tried,
            "normalized": None if found.normalized is None else spelled(found.normalized, Spelling.PYTHON),
            **numbers_of(found.seen),
        },
    )


def _fits_exactly(found: ChannelOrder, evidence: Evidence) -> bool:
    """Tell whether the numbers alone leave no doubt, where there are no labels that the predictions are judged by."""
    layers = [evidence.measured[name] for name in found.seen.layers if name in evidence.measured]
    if found.seen.wins is not None or not layers or evidence.data is None:
        return False
    noise = rms(np.concatenate([layer.noise[layer.visible] for layer in layers]))
    return found.fits_exactly(noise * math.sqrt(evidence.data.samples / found.seen.samples))


def _is_guessing(seen: Paired, evidence: Evidence) -> bool:
    """Tell whether the predictions are near to guesses with the input changed too."""
    classes = None if evidence.effect is None else evidence.effect.classes
    return seen.after.accuracy is not None and seen.after.accuracy < above_guessing(THRESHOLDS.least_skill, classes)


def _order_in_words(found: ChannelOrder) -> str:
    places = ", ".join(map(str, found.order))
    if not found.fits:
        return (
            f"The input's channels are in another order than in training: of {found.tried} others {places} does best, "
            "but does not fit, as where they were swapped before each was normalized by a mean and standard deviation."
        )
    before = "" if found.normalized is None else f", and were so before they became {found.normalized}"
    if list(found.order) == [2, 1, 0]:
        return f"The input's channels are in the opposite order of training: BGR for RGB, or RGB for BGR{before}."
    return f"The input's channels are in another order than in training, which takes them as {places}{before}."


def _command(found: ChannelOrder) -> str:
    """Give the inspection with the colours turned round, before or after what the options normalize by."""
    if not found.fits or list(found.order) != [2, 1, 0] or found.normalized not in (None, BY_OPTIONS):
        return CHECK
    return "inspect --channels bgr" if found.normalized is None else "inspect --channels bgr-first"


def _reorder(found: ChannelOrder) -> str:
    order = list(found.order)
    if not found.fits:
        return "Check the order (RGB or BGR) in which the images are read, and swap them before they are normalized."
    if found.normalized is not None:
        return f"Put the channels in the order of training, `x[:, {order}]`, before they are normalized."
    if order == [2, 1, 0]:
        shown = argument("channels")
        return f"Swap the first and the third channel (`x[:, [2, 1, 0]]`, or {shown} bgr; rgb without it)."
    return f"Put the channels in the order of training: `x[:, {order}]`."
