"""How to fire every rule, by hand: for the tests that ask something of all of them.

From other folders: `from tests.rules.every_rule import FIRES, finding_of`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bncheck.core import Exchangeability, compare
from bncheck.core.layers import NormLayer, SiblingCopy
from bncheck.evidence import (
    CallDistances,
    CloserLook,
    DriftEvidence,
    DropoutGap,
    Evidence,
    FlatShare,
    LayerDrift,
    MeasuredLayer,
    OutputAgreement,
    PredictedLayer,
    Predictions,
    RuntimeCheck,
    TrainingEvidence,
)
from bncheck.evidence.comparison import ComparedLayer, Comparison
from bncheck.evidence.probed import (
    AffineMap,
    ChannelOrder,
    Composition,
    Condition,
    InputScaling,
    Invariance,
    OtherEps,
    Paired,
    Probed,
)
from bncheck.results.finding import Finding
from bncheck.rules import judge
from bncheck.vocabulary import Reason
from tests.rules.hand_built import effect, evidence, layer, measured, with_own

MOVED = LayerDrift(gap=0.9, noise=0.02, lower=0.8, shift_max=1.0, scale_min=0.9, scale_max=1.1)
HARM = effect(stored=0.5, recalibrated=0.9)
"""Forty points of accuracy, beyond doubt."""


def static(*layers: NormLayer, **more: object) -> Evidence:
    """A file alone."""
    return Evidence(layers, **more)  # type: ignore[arg-type]


def stored(**changes: object) -> Callable[[], Evidence]:
    """A file with one layer."""
    return lambda: static(layer(**changes))


def drifted(*own: float) -> list[MeasuredLayer]:
    """Layers `a`, `b`, ... of those gaps, all of them their own."""
    return [with_own(measured(gap, name=name), gap) for name, gap in zip("abcdefgh", own, strict=False)]


def changed_input(before: float, after: float) -> Paired:
    """The same samples as they are, and changed, which wins accuracy."""
    conditions = Condition(before, before, 0.5, 1.0), Condition(after, after, 0.9, 1.3)
    return Paired(("bn",), 256, *conditions, 0.4, 0.01, 0.5, 0.5)


def probed(**found: object) -> Callable[[], Evidence]:
    """Data that fit, and what a probe has found."""
    return lambda: evidence(measured(0.1), probed=Probed(**found))  # type: ignore[arg-type]


def closer(cost: object = HARM, **found: object) -> Callable[[], Evidence]:
    """Data that drift, and what was asked of single layers."""
    return lambda: evidence(measured(1.0), effect=cost, closer=CloserLook(**found))  # type: ignore[arg-type]


def training(**changes: object) -> Callable[[], Evidence]:
    """Data that fit, and a training loader."""
    seen = TrainingEvidence("train", 1000, 16, True, {}, None, {}, {}, 0.05)
    return lambda: evidence(measured(0.1), training=replace(seen, **changes))  # type: ignore[arg-type]


def _few_updates() -> Evidence:
    share = 0.9**5
    return static(layer(var=np.full(2, share + 0.01), mean=np.full(2, 0.1), updates=5))


def _of_an_average() -> Evidence:
    raw = SiblingCopy("model", False, (layer(),), same_weights=False, same_statistics=False)
    return static(layer(mean=np.zeros(2), var=np.ones(2)), averaged=True, siblings=(raw,))


def _not_as_predicted() -> Evidence:
    """Three of nine layers whose means are a deviation off."""
    zeros, ones = np.zeros(2), np.ones(2)
    off = {"c": 1.0, "e": 1.1, "g": 1.2}
    layers = [
        PredictedLayer(
            *(name, "before", "conv", "ReLU", "bn > conv > bn", 9, False, zeros, ones),
            *(np.full(2, off.get(name, 0.05)), ones, off.get(name, 0.05), off.get(name, 0.05), 0.06, 0.05, 0.1, 0.2),
        )
        for name in "abcdefghi"
    ]
    return static(*(layer(one.name) for one in layers), predicted=Predictions(tuple(layers)))


def _lagging() -> Evidence:
    """Statistics a fifth of the way from mean 0 and variance 1 to mean 2 and variance 4, in eight channels."""
    mean, var, way = np.full(8, 2.0), np.full(8, 4.0), 0.2
    stored_mean, stored_var = way * mean, (1 - way) + way * var
    one = NormLayer("bn", "batch_norm", 8, stored_mean, stored_var, 1e-5, 0.1, 2, np.ones(8), np.arange(8.0))
    gap = compare(mean, var, stored_mean, stored_var, 1e-5)
    seen = MeasuredLayer(one, 1, None, mean, var, gap, gap, np.full(8, 0.01), lower=1.0, p_value=0.0)
    return evidence(seen, effect=HARM)


def _standard_deviations() -> Evidence:
    """A layer of eight channels that stores the roots of the variances that it sees."""
    mean, var = np.zeros(8), np.geomspace(0.1, 10, 8)
    one = NormLayer("bn", "batch_norm", 8, mean, var**0.5, 1e-5, 0.1, 200, np.ones(8), np.arange(8.0))
    gap = compare(mean, var, mean, var**0.5, 1e-5)
    seen = MeasuredLayer(one, 1, None, mean, var, gap, gap, np.full(8, 0.01), lower=1.0, p_value=0.0)
    return evidence(seen, effect=HARM)


def _moved(name: str, error: float) -> Comparison:
    return Comparison("before.pt", (ComparedLayer(name, name, error, 0, agrees=False, folded=False),), ())


def _wrong_answers() -> RuntimeCheck:
    return RuntimeCheck("bn", 0, "float32", 1000, np.array([0.5, 4e3]), 1, 7, 0.5, 1.25, 1.25001)


FIRES: dict[str, Callable[[], Evidence]] = {
    "BN101": stored(missing=True),
    "BN102": stored(mean=np.zeros(2), var=np.ones(2)),
    "BN103": stored(mean=np.zeros(2), var=np.full(2, 0.9), updates=1),
    "BN104": stored(updates=0),
    "BN105": _few_updates,
    "BN106": _not_as_predicted,
    "BN107": stored(var=np.array([4.0, 1.0])),
    "BN201": stored(mean=np.array([0.0, np.nan])),
    "BN202": stored(var=np.array([4.0, -1.0])),
    "BN203": stored(var=np.array([0.0, 4.0])),
    "BN204": lambda: static(layer(var=np.array([1e6, 4.0])), deploy_dtype="float16"),
    "BN205": stored(dtype="float16", mean=np.full(2, 3.0)),
    "BN208": lambda: evidence(measured(0.05), outputs_not_finite=3),
    "BN206": stored(mean=np.array([0.0, 5000.0])),
    "BN207": _standard_deviations,
    "BN301": lambda: static(layer(momentum=0.99), training_planned=True),
    "BN302": probed(eps=OtherEps(1.0, ("bn",), changed_input(0.5, 0.05))),
    "BN303": stored(mean=None, var=None),
    "BN401": _of_an_average,
    "BN402": lambda: static(layer("frozen"), comparison=_moved("frozen", 0.2), expect_frozen=("frozen",)),
    "BN403": lambda: static(layer(), comparison=_moved("bn", 0.2)),
    "BN501": lambda: static(layer("once"), layer("twice", updates=200)),
    "BN600": lambda: evidence(measured(1.0), max_gap=0.5),
    "BN601": probed(scaling=InputScaling(AffineMap((255.0,)), "0..255", "0..1", changed_input(1.0, 0.1))),
    "BN602": probed(order=ChannelOrder((2, 1, 0), 5, changed_input(0.28, 0.22))),
    "BN603": lambda: evidence(measured(1.0), effect=HARM),
    "BN604": closer(calls={"bn": CallDistances(0.6, 0.5, HARM)}),
    "BN605": training(order=Exchangeability(32, 16, 5.0, "bn", 1.1, 0.1)),
    "BN606": closer(flat={"bn": FlatShare(0.8, 0.9)}),
    "BN607": lambda: evidence(*drifted(0.02, 0.6, 0.02, 0.05), effect=HARM),
    "BN608": _lagging,
    "BN609": training(noise={"bn": 0.4}),
    "BN610": probed(composition=Composition(True, 16, 20, 320, 0.92, 0.01, 0.21, 0.18, 0.2)),
    "BN611": closer(dropout={"bn": DropoutGap(off=1.0, on=0.1)}),
    "BN612": training(values={"bn": 8}),
    "BN613": lambda: replace(
        evidence(replace(measured(0.1), layer=replace(layer(), kind="instance_norm"))),
        closer=CloserLook(by_instance=HARM),
    ),
    "BN614": lambda: replace(evidence(measured(0.1)), drift=DriftEvidence("then", 400, 400, 0.9, 0.02, {"bn": MOVED})),
    "BN701": stored(by_input=True),
    "BN702": lambda: static(layer(), in_training=frozenset({"bn"})),
    "BN703": probed(invariance=Invariance(64, 16, 0.2, 1e-6, 0.1, 1e-3)),
    "BN704": lambda: evidence(measured(0.01), runtime=(_wrong_answers(),)),
    "BN705": lambda: static(has_convolutions=True),
    "BN706": lambda: replace(evidence(), layers=(layer("spare"),), skipped={"spare": Reason.NOT_EXERCISED}),
    "BN707": lambda: evidence(measured(0.0), smallest_detectable_gap=0.4, samples_needed=90),
}
"""By code, evidence that the rule finds something in."""

VARIANTS: dict[str, Callable[[], Evidence]] = {
    "BN401 drifting": lambda: evidence(
        measured(1.0),
        averaged=True,
        siblings=(SiblingCopy("model", False, (layer(),), same_weights=False, same_statistics=True),),
        effect=HARM,
    ),
    "BN403 outputs": lambda: static(
        layer(),
        comparison=Comparison("before.pt", (), ()),
        agreement=OutputAgreement("before.pt", 64, 0.3, 0.1, 2.0**-23, "bn", None),
    ),
    "BN302 unlike": lambda: static(layer("a"), layer("b"), layer("odd", eps=1e-3, var=np.full(2, 2e-3))),
    "BN501 steps": lambda: static(layer(updates=200), optimizer_steps=100),
    "BN603 tensors": lambda: evidence(
        replace(measured(1.0), inherited=replace(measured(1.0).inherited, gap=np.full(2, np.nan))),
        closer=CloserLook(broken=("bn.weight",)),
    ),
}
"""Other findings of the same rules, by code and what they are about."""


def finding_of(code: str) -> Finding:
    """What the rule finds; the worst, where it finds several things."""
    return judge(FIRES[code](), {code})[0]


def variant_of(name: str) -> Finding:
    """What a rule finds of another kind."""
    return judge(VARIANTS[name](), {name.split()[0]})[0]
