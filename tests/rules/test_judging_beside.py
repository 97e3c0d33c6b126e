"""What several rules share, asked of hand-made values and of all that differs from these in one place.

Golden files hold the answers, as in `test_neighbours.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answers import in_full
from cases_of_drift import CASES as OF_DRIFT
from cases_of_drift import FALLS, LOSS, MOVES, PATTERNS, WORSE, off, trained_on
from cases_of_files import CHANGED, FITS, INITIAL, UNCLASSED, UNKNOWN
from cases_on_data import CASES, LABELLED, UNLABELLED
from every_rule import HARM
from hand_built import effect, evidence, layer, measured, with_own
from neighbours import ROOM, Reading, table

from bncheck.core import THRESHOLDS
from bncheck.core.layers import NormLayer
from bncheck.evidence import CallDistances, CloserLook, EffectEvidence, Evidence, Improvement, MeasuredLayer, TaskEffect
from bncheck.evidence.probed import Condition, Paired
from bncheck.results.finding import Cost, Finding, Measure
from bncheck.results.report import Accuracy
from bncheck.rules.decided import is_decided
from bncheck.rules.judging import (
    causes,
    cost,
    counters,
    drifting,
    fed,
    harm,
    initial,
    localised,
    pattern,
    powers,
    warm_up,
)
from bncheck.vocabulary import Harm, Remedy, Severity

Agrees = Callable[[Path, str], None]
GOLDEN = Path(__file__).parent / "golden"
SURE = effect(stored=0.6, recalibrated=0.61, gain_error=0.0)
"""A gain without an error, so that it can lie at a limit."""
METRIC = TaskEffect(
    "metric", "metric", True, False, Improvement(20.0, 30.0, 10.0, 0.5, 900, 100, 1000), LOSS, 25.0, 1.7
)
ERRORS = TaskEffect(
    "numbers", "relative squared error", False, True, Improvement(0.3, 0.1, 0.2, 0.01, 900, 100, 1000, 1.0)
)
EFFECTS: dict[str, EffectEvidence] = {
    "harm": HARM,
    "fits": FITS,
    "unknown": UNKNOWN,
    "changed": CHANGED,
    "unchanged": effect(predictions_changed=0.0, samples=None, accuracy=Accuracy(0.5, None, None)),
    "falls": FALLS,
    "moves": MOVES,
    "still": effect(predictions_changed=None, output_change=0.005),
    "worse": WORSE,
    "sure": SURE,
    "metric": effect(task=METRIC),
    "errors": effect(task=ERRORS),
    "poor": effect(stored=0.2, recalibrated=0.2, predictions_changed=0.5, lost=0.1, classes=10),
    "few": effect(stored=0.5, recalibrated=0.5, gain_error=math.inf),
    "heads": replace(HARM, head="left", heads=(replace(HARM, head="left"), replace(WORSE, head="right"))),
}


def of_effect(one: EffectEvidence) -> tuple[Any, ...]:
    """All that is told of an effect."""
    data = evidence(measured(0.1), effect=one)
    return (
        harm.harm_of(one),
        [harm.severity_beyond(one, gap) for gap in (0.6, 0.61)],
        [harm.weighed(data, severity) for severity in (Severity.ERROR, Severity.INFO)],
        [harm.is_harmful(one), harm.wins(one), harm.is_better(one), harm.speaks_for_recalibrating(one)],
        [harm.may_win(one), harm.is_sure_to_cost(one), harm.margin_of(one), harm.fits_as_shipped(one)],
        [harm.is_worse(one), harm.worse_heads(one), harm.loss_falls(one)],
        [cost.cost_of(one, data, Remedy.INPUT), cost.in_words(one), cost.what_helps(one), cost.more_samples(one)],
        [cost.or_leave(data, severity, "Do so.") for severity in (Severity.ERROR, Severity.INFO)],
        cost.repair_or_check(data),
    )


@pytest.mark.parametrize("name", EFFECTS)
def test_what_is_told_of_an_effect(name: str, agrees_with_golden: Agrees) -> None:
    _compare(f"effect-{name}", EFFECTS[name], of_effect, "judging/harm", agrees_with_golden)


def test_without_an_effect_nothing_is_known() -> None:
    data = evidence(measured(0.1), effect=None)
    assert harm.harm_of(None) is Harm.UNKNOWN
    assert [harm.severity_beyond(None, gap) for gap in (0.6, 0.61)] == [Severity.INFO, Severity.WARNING]
    asked = harm.is_harmful, harm.wins, harm.is_better, harm.speaks_for_recalibrating, harm.is_sure_to_cost
    assert [ask(None) for ask in (*asked, harm.fits_as_shipped, harm.is_worse, harm.loss_falls)] == [False] * 8
    assert harm.may_win(None) is True
    assert harm.margin_of(None) == THRESHOLDS.margin
    assert cost.cost_of(None, data) is None
    assert cost.in_words(None) == "What it costs could not be measured."
    assert cost.what_helps(None).startswith("Compare with data like those it was trained on")
    assert cost.or_leave(data, Severity.INFO, "Do so.") == "Do so."
    assert cost.repair_or_check(data) == "repair"


CLAIM = Finding("BN603", Severity.WARNING, (), "So.", "Do.", Measure("gap", 1.0), Cost("accuracy", 0.5, 0.6))
FOUND = (), (CLAIM,), (replace(CLAIM, severity=Severity.INFO),), (replace(CLAIM, cost=None),)
"""What may have been found: of a cost that is not known, a remark, and without a cost."""


def whether_decided(one: EffectEvidence) -> list[tuple[bool, ...]]:
    """Whether that ends a look, beside gaps at the margins, by what was found."""
    looks = [evidence(measured(gap), effect=one) for gap in (0.1, 0.25, 0.26)]
    looks.append(evidence(with_own(measured(0.05), 0.3), effect=one))
    return [tuple(is_decided(look, found) for found in FOUND) for look in looks]


@pytest.mark.parametrize("name", EFFECTS)
def test_whether_a_look_ends_the_matter(name: str, agrees_with_golden: Agrees) -> None:
    _compare(f"decided-{name}", EFFECTS[name], whether_decided, "decided", agrees_with_golden)


def test_without_an_effect_or_a_layer_a_look_ends_the_matter() -> None:
    assert is_decided(evidence(measured(1.0), effect=None), ()) is True
    assert is_decided(evidence(effect=CHANGED), ()) is True


PAIRS: dict[str, Paired] = {
    "labels": LABELLED,
    "no task": replace(LABELLED, task=None),
    "no labels": UNLABELLED,
    "no classes": replace(UNLABELLED, predictions_changed=None, before=Condition(150.0, 2.0, None, None)),
    "errors": replace(LABELLED, task=ERRORS, gain=0.2),
    "metric": replace(LABELLED, task=METRIC, gain=10.0, layers=("bn", "b")),
    "worse": replace(LABELLED, task=replace(ERRORS, score=WORSE.task.score), gain=-0.1),
}


def of_pair(one: Paired) -> tuple[Any, ...]:
    """All that is told of samples that were fed otherwise."""
    runs = [
        evidence(measured(0.1), effect=each) for each in (HARM, UNKNOWN, effect(task=METRIC), effect(task=ERRORS), None)
    ]
    runs.append(evidence(measured(0.1), effect=replace(HARM, task=None)))
    return (
        fed.tried_in_words(one, "So"),
        fed.score_in_words(one),
        fed.what_remains(one),
        fed.cost_of_change(one, Remedy.INPUT),
        fed.numbers_of(one),
        fed.measure_of(one, runs[0]),
        [(fed.ahead_of(one, each), fed.recalibrating_wins_more(one, each)) for each in runs],
    )


@pytest.mark.parametrize("name", PAIRS)
def test_what_is_told_of_samples_fed_otherwise(name: str, agrees_with_golden: Agrees) -> None:
    _compare(f"fed-{name}", PAIRS[name], of_pair, "judging/fed", agrees_with_golden)


LAYERS: dict[str, NormLayer] = {
    "learned": layer(),
    "initial": layer(**INITIAL),
    "means": layer(mean=np.ones(2), var=np.ones(2)),
    "variances": layer(var=np.array([4.0, 1.5])),
    "zeros": layer(mean=np.zeros(2), var=np.full(2, 0.9**3)),
    "zeros counted": layer(mean=np.zeros(2), var=np.full(2, 0.97**4), momentum=None, updates=4),
    "unclassed": layer(**UNCLASSED, eps=None),
    "counted": layer(updates=5, var=np.array([0.6, 0.7]), mean=np.ones(2)),
    "assumed": layer(updates=2, var=np.array([0.2, 4.0]), mean=np.ones(2), momentum=None, trainable_class=None),
}


def of_layer(one: NormLayer) -> tuple[Any, ...]:
    """All that is told of the values of a layer."""
    file = Evidence((one, layer("other", updates=5)))
    groups = counters.short_trainings(file)
    return (
        [initial.would_have_learned(one), initial.has_initial_means(one), initial.has_initial_variances(one)],
        [initial.is_half_initial(one), warm_up.warm_up_of(one)],
        [[each.name for each in initial.learning_layers(file, unclassed=also)] for also in (False, True)],
        [each.name for each in counters.counted(file)],
        [([each.name for each in group.layers], group.updates, group.momentum, group.assumed) for group in groups],
        [(group.share, group.on_the_floor, group.contradicted, group.contradicted_at_any_momentum) for group in groups],
    )


@pytest.mark.parametrize("name", LAYERS)
def test_what_is_told_of_a_layer(name: str, agrees_with_golden: Agrees) -> None:
    modules = "judging/initial judging/counters judging/warm_up"
    _compare(f"layer-{name}", LAYERS[name], of_layer, modules, agrees_with_golden)


def _exact(**more: Any) -> Evidence:
    """Layers whose gaps are known without noise, one of them wrong by itself."""
    layers = (with_own(measured(gap, name=name), gap) for name, gap in zip("abcd", (0.02, 0.6, 0.1, 0.02), strict=True))
    return evidence(*(replace(one, noise=np.zeros(2)) for one in layers), **({"effect": SURE} | more))


TOGETHER: dict[str, Callable[[], Evidence]] = {
    "exact": _exact,
    "two": lambda: off(0.05, 0.6),
    "two wrong": lambda: off(0.7, 0.02, 0.6, 0.05, 0.03),
    "most wrong": lambda: off(0.7, 0.65, 0.6, 0.05),
    "all alike": lambda: off(0.6, 0.6, 0.6),
    "near": lambda: off(0.15, 0.02, 0.2, cost=FITS),
    "moves": lambda: off(0.15, 0.02, cost=MOVES),
    "fed": lambda: _exact(closer=CloserLook(fed_by_input=frozenset({"a"}))),
    "training": lambda: _exact(training=trained_on(0.8, names="b")),
    "calls": lambda: replace(
        _exact(closer=CloserLook(calls={"b": CallDistances(0.2, 0.1, None)})),
        measured={name: replace(one, calls=2) for name, one in _exact().measured.items()},
    ),
    "flattens": lambda: replace(
        _exact(),
        measured={n: replace(one, positions=1.0 if n == "b" else 16.0) for n, one in _exact().measured.items()},
    ),
}


def of_all(data: Evidence) -> tuple[Any, ...]:
    """All that is told of the layers together."""
    drifted = drifting.drifted_layers(data)
    suspects = {name: np.array([True, False]) for name in "ab"}
    return (
        [one.layer.name for one in drifted],
        [[one.layer.name for one in drifting.origin_of(drifted, margin)] for margin in (0.1, 0.25)],
        [drifting.accounts_for_drift(data, these) for these in (suspects, {})],
        localised.localised(data),
        localised.denoised_gaps(data),
    )


@pytest.mark.parametrize("name", TOGETHER)
def test_what_is_told_of_layers_together(name: str, agrees_with_golden: Agrees) -> None:
    modules = "judging/drifting judging/localised"
    _compare(f"together-{name}", TOGETHER[name](), of_all, modules, agrees_with_golden)


CAUSES = ["BN603 copy", "BN603 pruned", "BN603 weights", "BN603 counters", "BN603 copies", "BN603 steps"]


@pytest.mark.parametrize("name", CAUSES)
def test_what_the_file_says_of_a_cause(name: str, agrees_with_golden: Agrees) -> None:
    def ask(data: Evidence) -> Any:
        return causes.causes_in_file(data, [data.measured[name] for name in data.measured if name == "a"])

    _compare(f"causes-{name[6:]}", OF_DRIFT[name](), ask, "judging/causes", agrees_with_golden)


@pytest.mark.parametrize("name", PATTERNS)
def test_what_the_numbers_of_a_layer_show(name: str, agrees_with_golden: Agrees) -> None:
    data = PATTERNS[name]()

    def ask(one: MeasuredLayer) -> Any:
        return pattern.pattern_of("c", replace(data, measured={**data.measured, "c": one}))

    _compare(f"pattern-{name[6:]}", data.measured["c"], ask, "judging/pattern", agrees_with_golden)


@pytest.mark.parametrize("name", ["BN207 squares", "BN207 inverse", "BN207 inverse root"])
def test_which_power_is_stored(name: str, agrees_with_golden: Agrees) -> None:
    first, *others = CASES[name]().measured.values()

    def ask(one: MeasuredLayer) -> Any:
        return powers.fit_power([one, *others])

    _compare(f"powers-{name[6:]}", first, ask, "judging/powers", agrees_with_golden)


def _compare(name: str, value: Any, ask: Callable[[Any], Any], modules: str, agrees: Agrees) -> None:
    read = Reading.of(*(ROOM / f"{module}.py" for module in modules.split()))
    text = f"{in_full(ask(value))}\n{table(value, ask, read)}"
    agrees(GOLDEN / f"{name.replace(' ', '-')}.txt", text)
