"""More evidence for the rules that judge what a file holds: by code and what is special, how to build it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from every_rule import HARM, changed_input, static
from hand_built import effect, evidence, layer, measured, task_effect, with_own

from bncheck.core import compare
from bncheck.core.layers import NormLayer, SiblingCopy
from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.evidence.comparison import ComparedLayer, Comparison
from bncheck.evidence.outputs import OutputAgreement
from bncheck.evidence.probed import OtherEps, Probed

INITIAL: dict[str, Any] = {"mean": np.zeros(2), "var": np.ones(2)}
UNCLASSED: dict[str, Any] = {"trainable_class": None, "updates": None}
FITS = effect(stored=0.9, recalibrated=0.9, gain_error=0.001)
UNKNOWN = effect(stored=0.8, recalibrated=0.81, gain_error=0.02)
CHANGED = effect(predictions_changed=0.3)
"""What data have shown: no harm, neither harm nor none, many predictions that change."""


def seen(stored: NormLayer, mean: Sequence[float], var: Sequence[float], **changes: Any) -> MeasuredLayer:
    """A layer that sees these statistics, in every pass."""
    numbers = np.array(mean, dtype=float), np.array(var, dtype=float)
    gap = compare(*numbers, *stored.statistics, stored.eps or 0.0)
    noise = np.full(len(numbers[0]), 0.01)
    lower = float(np.sqrt(np.mean(gap.gap**2)))
    return replace(MeasuredLayer(stored, 1, None, *numbers, gap, gap, noise, lower, 0.0), **changes)


def copy(
    name: str, *layers: NormLayer, averaged: bool = False, weights: bool = False, same: bool = True
) -> SiblingCopy:
    """Another copy in the same file."""
    return SiblingCopy(name, averaged, layers, same_weights=weights, same_statistics=same)


def compared(*errors: float, folded: bool = False, **changes: Any) -> Comparison:
    """Layers that lie so far from the reference's; those at 0 agree."""
    layers = (ComparedLayer(n, f"old.{n}", e, 1, e == 0, folded) for n, e in zip("abcdefgh", errors, strict=False))
    return replace(Comparison("before.pt", tuple(layers), ()), **changes)


def agreement(parts_at: str | None, until: str | None, **changes: Any) -> OutputAgreement:
    """Outputs that are not the reference's."""
    return replace(OutputAgreement("before.pt", 64, 0.3, 0.1, 2.0**-23, parts_at, until), **changes)


def _burnt_in(momentum: float | None) -> Evidence:
    """Five updates towards mean 2 and variance 9."""
    left = 0.9**5
    stored = layer(mean=np.full(2, (1 - left) * 2), var=np.full(2, left + (1 - left) * 9), updates=5, momentum=momentum)
    once = replace(stored, name="other", updates=1, momentum=0.3)
    return evidence(seen(stored, [2, 2], [9, 9]), seen(once, [2, 2], [9, 9]), effect=UNKNOWN)


def _one_near() -> Evidence:
    """Two layers of the same few updates, of which one is not sure to lie off."""
    data = _burnt_in(0.1)
    first = data.measured["bn"]
    second = replace(first, layer=replace(first.layer, name="b"), lower=0.05)
    return evidence(first, second, effect=UNKNOWN)


def _rounded() -> Evidence:
    """Two layers in half precision, whose gaps are no more than its rounding makes."""
    first = layer(dtype="bfloat16", mean=np.full(2, 200.0))
    second = layer("b", dtype="float16", mean=np.full(2, 3.0), momentum=None, eps=None)
    return evidence(seen(first, [200, 203], [4, 4]), seen(second, [3, 3], [4, 4]), effect=HARM)


def _cancelled() -> Evidence:
    """A mean of 5,000 standard deviations under a variance that lost its digits, beside a layer that fits."""
    wrong = layer(mean=np.array([0.0, 5000.0]), var=np.ones(2), momentum=0.2)
    return evidence(seen(wrong, [0, 5000], [1, 8]), seen(layer("b"), [0, 0], [4, 4]), effect=HARM)


def _wide_eps(found: float = 0.5) -> Evidence:
    """An eps that is too large, and the layer behind it, which sees too little variance."""
    first = layer("a", eps=1e-1, var=np.full(2, 0.05))
    behind = [layer(name) for name in "bcd"]
    source = seen(behind[0], [0, 0], [4 * found, 4 * found])
    return evidence(
        seen(first, [0, 0], [0.05, 0.05]), source, *(seen(one, [0, 0], [4, 4]) for one in behind[1:]), effect=HARM
    )


def _narrow_eps() -> Evidence:
    """An eps that is too small beside those of the others, and the layer behind it, which sees too much variance."""
    names = {"a": 1e-3, "odd": 1e-5, "c": 1e-3, "d": 1e-3}
    layers = [layer(name, eps=eps, var=np.full(2, 2e-3)) for name, eps in names.items()]
    fits = [seen(one, [0, 0], [2e-3, 2e-3]) for one in layers]
    return evidence(*fits[:2], seen(layers[2], [0, 0], [2e-2, 2e-2]), fits[3], effect=HARM)


def _two_eps() -> Evidence:
    """One eps that is too large and one that is too small, before a layer that sees too little variance."""
    first, second = layer("a", eps=0.1, var=np.full(2, 0.05)), layer("b", eps=1e-5, var=np.full(2, 2e-3))
    behind = [layer(name, eps=1e-3, var=np.full(2, 2e-3)) for name in "cdef"]
    fits = [seen(one, *one.statistics) for one in (first, second, *behind[1:])]
    return evidence(*fits[:2], seen(behind[0], [0, 0], [5e-4, 5e-4]), *fits[2:], effect=HARM)


def _labelled_eps() -> Evidence:
    """Another eps that was tried, with labels."""
    tried = replace(changed_input(0.5, 0.05), gain=0.4, task=task_effect(0.5, 0.9))
    both = layer("a", eps=1e-3), layer("b", eps=1e-1)
    return replace(evidence(measured(0.1)), layers=both, probed=Probed(eps=OtherEps(1e-5, ("a", "b"), tried)))


def _counted(*calls: int) -> Evidence:
    """Layers of a hundred updates for every call but the last, which has three times as many, and drifts."""
    layers = [layer(name, updates=100 * number) for name, number in zip("abcd", calls, strict=False)]
    last = replace(layers[-1], updates=300)
    fits = [replace(with_own(measured(0.01, name=one.name), 0.01), layer=one) for one in layers[:-1]]
    fits = [replace(one, calls=number) for one, number in zip(fits, calls, strict=False)]
    return evidence(*fits, replace(with_own(measured(1.0, name=last.name), 1.0), layer=last), effect=HARM)


def _amplified(stored: NormLayer, var: float, effects: Any) -> Evidence:
    return evidence(seen(stored, [0, 0], [var, 4]), effect=effects)


CASES: dict[str, Callable[[], Evidence]] = {
    "BN101 some": lambda: static(
        layer(missing=True), layer("b"), layer("c", missing=True), layer("d", expects_statistics=False)
    ),
    "BN102 all": lambda: static(
        layer("", **INITIAL), layer("b", **INITIAL, bias=np.zeros(2)), layer("c", missing=True)
    ),
    "BN102 some": lambda: evidence(
        seen(layer("a", **INITIAL), [1, 1], [1, 2]),
        seen(layer("b"), [0, 0], [4, 4]),
        seen(layer("c", **INITIAL, bias=None, weight=np.array([1.0, 2.0])), [1, 1], [1, 2]),
        effect=HARM,
    ),
    "BN102 serves": lambda: evidence(seen(layer(**INITIAL), [1, 1], [1, 2]), effect=FITS),
    "BN102 untold": lambda: static(layer(**INITIAL, **UNCLASSED), layer("b", **INITIAL, **UNCLASSED)),
    "BN102 beside": lambda: static(layer(**INITIAL, **UNCLASSED), layer("b", **UNCLASSED)),
    "BN103 data": lambda: evidence(
        seen(layer(mean=np.zeros(2), var=np.full(2, 0.9**3), updates=3), [1, 1], [3, 3]),
        seen(layer("b", mean=np.zeros(2), var=np.full(2, 0.8**2), momentum=None, updates=2), [1, 1], [3, 3]),
        effect=UNKNOWN,
    ),
    "BN103 unclassed": lambda: static(layer(mean=np.zeros(2), var=np.full(2, 0.9), **UNCLASSED), layer("b")),
    "BN104 short": lambda: static(
        layer("a", updates=5, var=np.array([0.1, 4.0])), layer("b", updates=0), layer("c", updates=0, momentum=0.0)
    ),
    "BN104 assumed": lambda: static(
        layer("a", updates=1, momentum=None, trainable_class=None, mean=np.ones(2), var=np.array([0.4, 4.0]))
    ),
    "BN104 unclassed": lambda: static(layer("a", updates=0, trainable_class=None), layer("b")),
    "BN105 data": lambda: _burnt_in(0.1),
    "BN105 assumed": lambda: _burnt_in(None),
    "BN105 one near": _one_near,
    "BN105 plain": lambda: static(
        layer(mean=np.full(3, 0.1), var=np.array([0.6, 0.7, 9.0]), updates=5, weight=None, bias=None)
    ),
    "BN107 variances": lambda: evidence(
        seen(layer(mean=np.array([1.0, 2.0]), var=np.ones(2)), [1, 2], [3, 4]),
        seen(layer("b", mean=np.array([1.0, 2.0]), var=np.ones(2)), [1, 2], [3, 4]),
        seen(layer("c", var=np.array([4.0, 1.0])), [1, 2], [3, 4]),
        effect=HARM,
    ),
    "BN107 unclassed": lambda: static(layer(var=np.array([4.0, 1.0]), **UNCLASSED), layer("b")),
    "BN201 gamma": lambda: static(
        layer(weight=np.array([np.inf, 1.0]), bias=np.array([-np.inf, np.nan])),
        layer("fine"),
        layer("c", mean=np.full(9, np.nan)),
    ),
    "BN202 several": lambda: static(
        layer(var=np.array([-1.0, -3.0])), layer("fine"), layer("c", var=np.array([np.nan, -0.5]))
    ),
    "BN203 data": lambda: _amplified(layer(var=np.array([0.0, 4.0])), 1e-2, HARM),
    "BN203 several": lambda: static(
        layer("a", var=np.zeros(9), weight=None),
        layer("b", var=np.array([0.0, 4.0]), eps=None),
        layer("c", missing=True),
    ),
    "BN203 beside drift": lambda: evidence(
        seen(layer(var=np.array([0.0, 4.0])), [0, 0], [1e-2, 4]), with_own(measured(1.0, name="b"), 1.0), effect=HARM
    ),
    "BN204 no target": lambda: static(
        layer("", var=np.array([1e6, 2e6])), layer("b", mean=np.full(2, 1e5), weight=None, bias=None, eps=None)
    ),
    "BN204 folded": lambda: static(
        layer(var=np.array([1e-6, 4.0]), weight=np.array([500.0, 1.0]), eps=1e-12), deploy_dtype="float16"
    ),
    "BN204 zero": lambda: static(
        layer(var=np.array([1e-9, 4.0]), eps=1e-9, weight=np.array([1e-9, 1.0])),
        layer("b", var=np.full(2, 1e12), weight=np.full(2, 1e-2), mean=np.zeros(2)),
        deploy_dtype="float16",
    ),
    "BN204 bfloat16": lambda: static(
        layer(var=np.array([1e39, 4.0])), layer("missing", missing=True, var=np.full(2, 1e39)), deploy_dtype="bfloat16"
    ),
    "BN204 many": lambda: static(
        *(layer(name, mean=np.zeros(12), var=np.full(12, 1e6), weight=None, bias=None) for name in "abcdef")
    ),
    "BN205 data": _rounded,
    "BN205 zero": lambda: static(
        layer(dtype="float16", mean=np.array([0.0, np.inf]), var=np.array([0.0, 1e-4])),
        layer("b", missing=True, dtype="float16"),
    ),
    "BN206 data": _cancelled,
    "BN206 just explained": lambda: evidence(
        seen(layer(mean=np.full(2, 5000.0), var=np.ones(2)), [5000, 5000], [12, 12]), effect=HARM
    ),
    "BN206 several": lambda: static(
        layer("a", mean=np.array([2e5, 0.0]), var=np.ones(2)),
        layer("b", mean=np.array([-3000.0, np.nan]), var=np.ones(2), eps=None),
        layer("c", mean=np.full(2, 5000.0), missing=True),
    ),
    "BN301 several": lambda: static(
        layer("a", momentum=0.0),
        layer("b", momentum=0.95),
        layer("c", momentum=1.0),
        layer("d", momentum=0.95),
        layer("e", momentum=None),
    ),
    "BN302 above": lambda: static(
        layer("a", eps=0.1, var=np.array([0.01, 0.02])), layer("b", missing=True), layer("c")
    ),
    "BN302 drift": _wide_eps,
    "BN302 wide": lambda: _wide_eps(2.0),
    "BN302 small": _narrow_eps,
    "BN302 two": _two_eps,
    "BN302 labels": _labelled_eps,
    "BN303 several": lambda: static(
        layer("a", mean=None, var=None),
        layer("b", mean=None, var=None),
        layer("c"),
        comparison=compared(unfound=("z",)),
    ),
    "BN401 beside": lambda: static(layer(), siblings=(copy("ema", layer(**INITIAL), averaged=True),)),
    "BN401 its own": lambda: static(
        layer(), siblings=(copy("", layer(var=np.full(2, 0.9), mean=np.zeros(2)), averaged=True),)
    ),
    "BN401 beside same": lambda: static(layer(), siblings=(copy("ema", layer(), averaged=True),)),
    "BN401 beside data": lambda: evidence(measured(0.1), siblings=(copy("", layer(), averaged=True),)),
    "BN401 same": lambda: static(layer(), averaged=True, siblings=(copy("", layer()),)),
    "BN401 fits": lambda: evidence(measured(0.1), averaged=True, siblings=(copy("model", layer()),)),
    "BN402 several": lambda: static(
        layer("a"), comparison=compared(0.2, float("nan"), 0, 0.1), expect_frozen=("old.[ab]", "c", "d")
    ),
    "BN403 several": lambda: static(
        layer("a"), comparison=compared(0.2, 0.3, 0, float("nan"), folded=True, stamped=True)
    ),
    "BN403 until": lambda: static(
        layer(), comparison=compared(0, unfound=("z",)), agreement=agreement(None, "b", predictions_changed=None)
    ),
    "BN403 after": lambda: static(layer(), comparison=compared(0), agreement=agreement("", "a")),
    "BN403 half": lambda: static(layer(), comparison=compared(0), agreement=agreement(None, None, precision=2.0**-10)),
    "BN501 data": lambda: _counted(1, 2, 1, 1),
    "BN501 several": lambda: static(
        *(layer(name, updates=50 * n) for name, n in zip("abcde", (1, 2, 2, 3, 1), strict=True))
    ),
}
"""By code and what is special, evidence that the rule finds something in."""
