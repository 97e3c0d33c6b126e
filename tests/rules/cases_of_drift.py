"""More evidence for the rules of drift: by code and what is special, how to build it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from cases_of_files import CHANGED, FITS, UNKNOWN, copy, seen
from every_rule import HARM, drifted
from hand_built import effect, evidence, layer, measured, with_own

from bncheck.core.layers import NormLayer
from bncheck.evidence import (
    CallDistances,
    CloserLook,
    DropoutGap,
    Evidence,
    Improvement,
    TrainingEvidence,
    ZeroedWeights,
)

LOSS = Improvement(2.0, 1.5, 0.5, 0.02, 900, 100, 1000)
FALLS = replace(UNKNOWN, task=replace(UNKNOWN.task, loss=LOSS))
"""A score that tells nothing yet, above a loss that surely falls."""
MOVES = effect(predictions_changed=None, output_change=0.5)
WORSE = effect(stored=0.9, recalibrated=0.8, lost=0.1)


def trained_on(gap: float, smallest: float | None = 0.05, names: str = "ab") -> TrainingEvidence:
    """What layers see on the training data."""
    layers = {name: measured(gap, name=name) for name in names}
    return TrainingEvidence("train", 1000, 16, True, layers, None, {}, {}, smallest)


def off(*own: float, cost: Any = HARM, **more: Any) -> Evidence:
    """Layers `a`, `b`, ... of those gaps, all of them their own."""
    return evidence(*drifted(*own), **({"effect": cost} | more))


def _on_the_way(way: float, cost: Any, **changes: Any) -> Evidence:
    """Two layers on the way from mean 0 and variance 1 to what they see."""
    mean, var = np.linspace(1, 3, 8), np.linspace(2, 5, 8)
    stored = (layer(n, mean=way * mean, var=(1 - way) + way * var, **({"updates": 2} | changes)) for n in "ab")
    wide = [replace(one, channels=8, weight=np.ones(8), bias=np.arange(8.0)) for one in stored]
    return evidence(*(seen(one, mean, var) for one in wide), effect=cost)


def _remembering(*momenta: float, steps: int) -> Evidence:
    """Layers of those momenta and a hundred updates, under so many steps of the optimizer."""
    layers = [layer(name, momentum=momentum) for name, momentum in zip("ab", momenta, strict=False)]
    seen_off = (replace(with_own(measured(1.0, name=one.name), 1.0), layer=one) for one in layers)
    return evidence(*seen_off, effect=HARM, optimizer_steps=steps)


def _calls(cost: Any) -> Callable[[], Evidence]:
    apart = {"bn": CallDistances(0.6, 0.5, cost)}
    twice = replace(measured(1.0), calls=2, call_gaps=(0.4, 1.6))
    return lambda: evidence(twice, effect=HARM, closer=CloserLook(calls=apart))


def wrong(mean: Sequence[float], var: Sequence[float], stored: NormLayer, *others: NormLayer, **more: Any) -> Evidence:
    """A layer `c` of four that sees this, while the others see what they store."""
    fits = [layer(name) for name in "ab"] + list(others)
    seen_rest = [seen(one, *one.statistics) for one in fits]
    return evidence(*seen_rest[:2], seen(stored, mean, var), *seen_rest[2:], **({"effect": HARM} | more))


def _of(values: Sequence[float], var: Sequence[float]) -> NormLayer:
    size = len(values)
    one = layer("c", mean=np.array(values, dtype=float), var=np.array(var, dtype=float), weight=np.ones(size))
    return replace(one, channels=size, bias=np.arange(float(size)))


PRUNED = ZeroedWeights(3, 0.3)
TURNED = _of([1, 2, 3, 4], [1, 2, 3, 4])

CASES: dict[str, Callable[[], Evidence]] = {
    "BN603 several": lambda: off(1.0, 0.05, 0.6, 0.7),
    "BN603 heirs": lambda: evidence(
        with_own(measured(1.0, name="a"), 1.0),
        with_own(measured(0.8, name="b"), 0.1),
        with_own(measured(0.6, name="c"), 0.3),
        effect=HARM,
    ),
    "BN603 alone": lambda: off(
        1.0,
        0.9,
        0.8,
        closer=CloserLook(
            alone={"b": effect(output_change=0.3), "c": effect(output_change=0.1)}, fed_by_input=frozenset({"a"})
        ),
    ),
    "BN603 many": lambda: off(*(0.5 + 0.1 * i for i in range(6)), cost=UNKNOWN),
    "BN603 near": lambda: off(0.15, 0.05),
    "BN603 in turn": lambda: evidence(
        measured(1.0, name="a"), measured(0.9, name="b"), effect=None, closer=CloserLook(in_turn={"a": 0.7, "b": 0.05})
    ),
    "BN603 stale": lambda: off(1.0, 0.05, training=trained_on(0.8)),
    "BN603 other domain": lambda: off(1.0, 0.5, training=trained_on(0.1), cost=CHANGED),
    "BN603 fed": lambda: off(2.5, 0.5, cost=CHANGED, closer=CloserLook(fed_by_input=frozenset({"a"}))),
    "BN603 fed right": lambda: off(0.05, 0.7, cost=CHANGED, closer=CloserLook(fed_by_input=frozenset({"a"}))),
    "BN603 unmeasured": lambda: off(0.7, cost=None),
    "BN603 moves": lambda: off(0.7, cost=MOVES),
    "BN603 worse": lambda: off(0.7, cost=WORSE),
    "BN603 fits": lambda: off(0.7, cost=FITS),
    "BN603 copy": lambda: off(
        1.0, siblings=(copy("ema", layer("a", mean=np.full(2, 2.0)), same=False), copy("", layer("a"), same=False))
    ),
    "BN603 pruned": lambda: evidence(
        seen(layer("a"), [4, 0], [0, 4]), seen(layer("b"), [4, 4], [0, 0]), effect=HARM, zeroed=PRUNED
    ),
    "BN603 weights": lambda: off(1.0, zeroed=replace(PRUNED, filters=0)),
    "BN603 counters": lambda: evidence(
        *drifted(1.0),
        replace(measured(0.05, name="b"), layer=layer("b", updates=500)),
        replace(measured(0.05, name="c"), layer=layer("c", updates=400)),
        effect=HARM,
    ),
    "BN603 copies": lambda: off(
        1.0, siblings=(copy("ema", layer("a", updates=700)), copy("late", layer("a", updates=900)))
    ),
    "BN603 uneven copy": lambda: off(
        1.0, 0.9, siblings=(copy("late", layer("a", updates=900), layer("b", updates=800)),)
    ),
    "BN603 steps": lambda: off(1.0, optimizer_steps=900),
    "BN603 calls": lambda: off(
        1.0,
        closer=CloserLook(
            calls={
                "a": CallDistances(0.6, 0.5, effect(stored=0.5, recalibrated=0.7)),
                "b": CallDistances(0.5, 0.4, CHANGED),
            }
        ),
    ),
    "BN603 by call": lambda: off(
        1.0, 0.02, closer=CloserLook(calls={"a": CallDistances(0.6, 0.5, effect(stored=0.4, recalibrated=0.9))})
    ),
    "BN603 by call in part": lambda: off(
        1.0, 0.9, closer=CloserLook(calls={"a": CallDistances(0.6, 0.5, effect(stored=0.4, recalibrated=0.9))})
    ),
    "BN603 at the margin": lambda: off(1.0, 0.5, training=trained_on(0.25), cost=CHANGED),
    "BN603 memory": lambda: _remembering(0.1, 0.01, steps=200),
    "BN603 out of memory": lambda: _remembering(0.1, 0.01, steps=300),
    "BN603 just in memory": lambda: _remembering(0.5, steps=103),
    "BN603 just out of memory": lambda: _remembering(0.5, steps=104),
    "BN603 not finite": lambda: evidence(measured(math.nan, name="a"), measured(math.nan, name="b")),
    "BN604 changes": _calls(CHANGED),
    "BN604 moves": _calls(MOVES),
    "BN607 alone": lambda: off(
        *(0.02, 0.6, 0.7, 0.05, 0.04),
        closer=CloserLook(alone={"b": effect(output_change=0.3), "e": effect(output_change=0.1)}, together=HARM),
    ),
    "BN607 together": lambda: off(0.02, 0.6, 0.02, 0.05, cost=UNKNOWN, closer=CloserLook(together=FALLS)),
    "BN607 excluded": lambda: off(0.02, 0.6, 0.02, 0.05, cost=UNKNOWN, closer=CloserLook(together=FITS)),
    "BN607 worse": lambda: off(0.02, 0.6, 0.02, 0.05, cost=WORSE, closer=CloserLook(together=HARM)),
    "BN607 training": lambda: off(
        0.9, 0.05, 0.02, 0.05, training=trained_on(0.8, names="a"), closer=CloserLook(fed_by_input=frozenset({"a"}))
    ),
    "BN607 calls": lambda: off(0.02, 0.6, 0.02, closer=CloserLook(calls={"b": CallDistances(0.2, 0.1, None)})),
    "BN607 two": lambda: off(0.05, 0.6),
    "BN607 heirs": lambda: evidence(
        *drifted(0.02, 0.6),
        with_own(measured(0.5, name="c"), 0.02),
        with_own(measured(0.4, name="d"), 0.05),
        effect=CHANGED,
    ),
    "BN608 counted": lambda: _on_the_way(1 - 0.9**2, HARM),
    "BN608 open": lambda: _on_the_way(0.3, UNKNOWN),
    "BN608 uncounted": lambda: _on_the_way(0.5, CHANGED, updates=None),
    "BN608 falls": lambda: _on_the_way(0.5, FALLS),
    "BN611 several": lambda: evidence(
        measured(1.0, name="a"),
        measured(0.5, name="b"),
        effect=HARM,
        closer=CloserLook(dropout={"a": DropoutGap(1.0, 0.1), "b": DropoutGap(0.5, 0.2)}),
    ),
}
"""By code and what is special, evidence that the rule finds something in."""

PATTERNS: dict[str, Callable[[], Evidence]] = {
    "BN607 factor": lambda: wrong([0, 0], [16, 18], layer("c"), layer("d")),
    "BN607 small factor": lambda: wrong([0, 0], [1, 0.9], layer("c"), layer("d")),
    "BN607 roots": lambda: wrong([0, 0, 0], [4, 9, 25], _of([0, 0, 0], [2, 3, 5]), layer("d")),
    "BN607 squares": lambda: wrong([0, 0, 0], [2, 3, 5], _of([0, 0, 0], [4, 9, 25]), layer("d")),
    "BN607 permuted": lambda: wrong([2, 3, 4, 1], [2, 3, 4, 1], TURNED, layer("d")),
    "BN607 another": lambda: wrong(
        [2, 3], [5, 4], layer("c"), layer("d", mean=np.array([2.0, 3.1]), var=np.array([5.0, 4.1]))
    ),
    "BN607 channels": lambda: wrong([5, 2, 3, 4], [1, 2, 3, 4], TURNED, layer("d")),
}
"""What the numbers of a layer that is wrong by itself show."""
