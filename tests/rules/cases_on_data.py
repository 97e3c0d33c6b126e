"""More evidence for the rules that judge data beside statistics: by code and what is special, how to build it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from cases_of_drift import off, trained_on
from cases_of_files import UNKNOWN, seen
from every_rule import HARM, changed_input, probed, training
from hand_built import effect, evidence, layer, measured, task_effect

from bncheck.core import Exchangeability
from bncheck.evidence import (
    CloserLook,
    Evidence,
    FlatShare,
    RuntimeCheck,
)
from bncheck.evidence.composition import Grouping
from bncheck.evidence.inputs import AS_READ, BY_OPTIONS, Mistake
from bncheck.evidence.probed import AffineMap, ChannelOrder, Composition, InputScaling, Invariance, Paired, Probed
from bncheck.results.report import DataFacts
from bncheck.vocabulary import Reason

GROUPED = Exchangeability(32, 16, 5.0, "bn", 1.1, 0.1)
LABELLED = replace(changed_input(1.0, 0.05), gain=0.4, gain_error=0.01, task=task_effect(0.5, 0.9))
PLAUSIBLE = replace(changed_input(1.0, 0.05), layers=("a", "b"), gain=None, gain_error=None, predictions_changed=0.01)
UNLABELLED = replace(changed_input(1.0, 0.05), gain=None, gain_error=None)


def scaled(
    slope: Sequence[float], intercept: Sequence[float] = (0.0,), by: Paired = LABELLED, **more: Any
) -> Callable[[], Evidence]:
    """A map of the input that fits."""
    found = InputScaling(AffineMap(tuple(slope), tuple(intercept)), "0..255", "0..1", by)
    return lambda: evidence(measured(1.0), effect=HARM, probed=Probed(scaling=replace(found, **more)))


def ordered(order: Sequence[int], by: Paired = LABELLED, normalized: str | None = None) -> Callable[[], Evidence]:
    """Another order of the channels that fits."""
    found = ChannelOrder(tuple(order), 5, by, normalized)
    return lambda: evidence(measured(1.0), effect=UNKNOWN, probed=Probed(order=found))


def composed(**changes: Any) -> Callable[[], Evidence]:
    """Grouped batches that do far better."""
    found = Composition(True, 16, 20, 320, 0.92, 0.01, 0.21, 0.18, 0.2)
    return lambda: evidence(measured(0.1), effect=HARM, probed=Probed(composition=replace(found, **changes)))


def by_loss(**changes: Any) -> Callable[[], Evidence]:
    """The same by a loss."""
    values = {
        "score": "loss",
        "grouped": 0.5,
        "mixed": 2.0,
        "stored": 1.9,
        "recalibrated": 1.8,
        "lead": 1.3,
        "lead_error": 0.1,
    }
    return composed(**(values | changes))


def _powers(exponent: float, channels: int = 8) -> Evidence:
    """Two layers that store a power of the variances they see."""
    var = np.geomspace(0.3, 6, channels)
    stored = (layer(n, mean=np.zeros(channels), var=var**exponent, weight=None, bias=None) for n in "ab")
    wide = [replace(one, channels=channels) for one in stored]
    return evidence(*(seen(one, np.zeros(channels), var) for one in wide), effect=UNKNOWN)


def check(name: str, *errors: float, **changes: Any) -> RuntimeCheck:
    """A call of a layer in the runtime."""
    one = RuntimeCheck(name, 0, "float32", 1000, np.array(errors), int(np.argmax(errors)), 7, 0.5, 1.25, 1.25001)
    return replace(one, **changes)


SOLVED = {"expected": None, "constant": False}

CASES: dict[str, Callable[[], Evidence]] = {
    "BN207 squares": lambda: _powers(2.0),
    "BN207 inverse": lambda: _powers(-1.0),
    "BN207 inverse root": lambda: _powers(-0.5),
    "BN208 more": lambda: evidence(
        measured(0.05), outputs_not_finite=3, closer=CloserLook(broken=("head.weight", "head.bias"))
    ),
    "BN208 no layer": lambda: evidence(outputs_not_finite=3, closer=CloserLook(broken=("head.weight",))),
    "BN208 no variance": lambda: replace(
        evidence(measured(0.05), outputs_not_finite=3), layers=(layer(var=np.zeros(2), eps=0.0),)
    ),
    "BN600 several": lambda: evidence(
        measured(1.0, name=""), measured(math.nan, name="b"), measured(0.1, name="c"), max_gap=0.5
    ),
    "BN601 labels": scaled((1 / 255,)),
    "BN601 larger": scaled((255.0,), by=UNLABELLED),
    "BN601 solved factor": scaled((0.4,), **SOLVED),
    "BN601 inverted": scaled((-1.0,), (1.0,)),
    "BN601 inverted colours": scaled((-1.0, -1.0), (1.0, 0.5)),
    "BN601 constants": scaled(
        (4.0, 5.0, 4.5), (-2.0, -2.1, -1.9), by=replace(LABELLED, after=replace(LABELLED.after, gap=0.15))
    ),
    "BN601 as read": scaled((0.2, 0.3), (0.5, 0.4), expected=AS_READ),
    "BN601 twice": scaled((0.25,), (0.5,), **SOLVED, mistake=Mistake.TWICE),
    "BN601 known twice": scaled((0.25,), (0.5,), mistake=Mistake.TWICE),
    "BN601 unscaled": scaled((0.0039,), (-0.5,), **SOLVED, mistake=Mistake.UNSCALED),
    "BN601 unscaled up": scaled((255.0,), (-0.5,), **SOLVED, mistake=Mistake.UNSCALED),
    "BN601 raw": scaled((4.0,), (-2.0,), **SOLVED, mistake=Mistake.RAW),
    "BN601 wide": scaled((0.25,), (-0.2,), **SOLVED),
    "BN601 wide and narrow": scaled((0.5, 3.0), (-0.2, -0.1), **SOLVED),
    "BN601 wide and as it is": scaled((0.5, 1.0), (-0.2, -0.1), **SOLVED),
    "BN601 wide colours": scaled((0.25, 0.5), (-0.2, -0.1), **SOLVED),
    "BN601 far": lambda: off(
        *(0.5, 0.7),
        cost=UNKNOWN,
        probed=Probed(scaling=InputScaling(AffineMap((1 / 255,)), "0..255", "0..1", PLAUSIBLE)),
    ),
    "BN601 solved": scaled((3.0,), (-0.2,), **SOLVED),
    "BN601 behind": lambda: off(
        *(1.0, 0.05, 0.02),
        probed=Probed(
            scaling=InputScaling(AffineMap((2.0,), (0.3,)), "0..255", None, replace(LABELLED, layers=("a",)), False)
        ),
        training=trained_on(0.1),
    ),
    "BN601 plausible": scaled((1 / 255,), by=replace(UNLABELLED, predictions_changed=0.01)),
    "BN602 labels": ordered((2, 1, 0)),
    "BN602 other": ordered((1, 0, 2)),
    "BN602 first": ordered((2, 1, 0), normalized=BY_OPTIONS),
    "BN602 normalized": ordered((1, 2, 0), normalized="values of ImageNet"),
    "BN602 unlike": ordered(
        (2, 1, 0),
        by=replace(LABELLED, before=replace(LABELLED.before, gap=0.7), after=replace(LABELLED.after, gap=0.4)),
    ),
    "BN602 no labels": ordered((2, 1, 0), by=UNLABELLED),
    "BN605 of files": training(own_batches=False, order=GROUPED),
    "BN605 both": lambda: replace(training(own_batches=False, order=GROUPED)(), closer=CloserLook(order=GROUPED)),
    "BN605 files alone": lambda: replace(
        training(own_batches=False, order=GROUPED)(), closer=CloserLook(order=replace(GROUPED, ratio=1.0))
    ),
    "BN605 data": lambda: evidence(measured(0.1), closer=CloserLook(order=GROUPED)),
    "BN606 several": lambda: evidence(
        measured(1.0, name=""),
        measured(1.0, name="b"),
        closer=CloserLook(flat={"": FlatShare(0.8, 0.9), "b": FlatShare(0.6, 0.4), "c": FlatShare(0.9, 0.9)}),
    ),
    "BN609 several": training(noise={"a": 0.4, "b": 0.5}, order=replace(GROUPED, ratio=1.0)),
    "BN610 loader": composed(by_label=False),
    "BN610 order": composed(grouping=Grouping.ORDER),
    "BN610 alone": composed(grouping=Grouping.ALONE, recalibrated=None),
    "BN610 unmeasured": lambda: replace(composed()(), effect=None),
    "BN610 loss": by_loss(),
    "BN610 loss won": by_loss(recalibrated=1.0, grouped=0.85, lead=0.15, lead_error=0.01),
    "BN610 loss alone": by_loss(recalibrated=None, grouping=Grouping.ALONE),
    "BN612 several": training(values={"a": 8, "b": 4, "c": 100, "d": 1}),
    "BN613 labels": lambda: replace(
        evidence(
            replace(measured(0.1), layer=replace(layer(), kind="instance_norm")),
            replace(measured(0.1, name="b"), layer=replace(layer("b"), kind="instance_norm")),
        ),
        closer=CloserLook(by_instance=effect(stored=0.5, recalibrated=0.56)),
    ),
    "BN701 several": lambda: Evidence(
        (
            layer("a", by_input=True),
            layer("b", by_input=True),
            layer("c"),
            layer("d", expects_statistics=False, by_input=True),
        )
    ),
    "BN702 several": lambda: Evidence((layer("a"), layer("b"), layer("c")), in_training=frozenset({"a", "b"})),
    "BN703 layers": lambda: replace(
        probed(invariance=Invariance(64, 16, 0.2, 1e-6, None, 1e-3))(),
        layers=(layer("a", mean=None, var=None), layer("b"), layer("c", mean=None, var=None, missing=True)),
    ),
    "BN704 several": lambda: evidence(
        *(measured(0.1, name=name) for name in "abc"),
        runtime=(
            check("a", 5e6, 1.0),
            check("b", 1.0, 2.0),
            check("c", 20.0, 1e7, dtype="float64"),
            check("c", 40.0, 17.0, call=1, dtype="float16"),
        ),
    ),
    "BN706 several": lambda: replace(
        evidence(),
        layers=(layer("a"), layer("b"), layer("c")),
        skipped={"a": Reason.NOT_EXERCISED, "c": Reason.NOT_EXERCISED},
    ),
    "BN707 alike": lambda: evidence(measured(0.0), smallest_detectable_gap=math.inf),
    "BN707 few": lambda: evidence(measured(0.0), smallest_detectable_gap=math.inf, data=DataFacts("d", 1, 64, True)),
    "BN707 averaged": lambda: evidence(measured(0.0), smallest_detectable_gap=0.4),
}
"""By code and what is special, evidence that the rule finds something in."""
