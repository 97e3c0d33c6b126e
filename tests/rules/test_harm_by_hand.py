"""What harm is shown, worked out by hand: each case is beside the limit that decides it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hand_built import effect, task_effect

from bncheck.core import THRESHOLDS
from bncheck.evidence import EffectEvidence, Improvement, TaskEffect
from bncheck.results.report import Accuracy
from bncheck.rules.judging.harm import (
    beyond_noise,
    fits_as_shipped,
    harm_of,
    is_better,
    is_sure_to_err,
    loss_falls,
    may_win,
)
from bncheck.vocabulary import Harm


def scored(gain: float, *, shipped: float = 0.5, error: float = 0.0, **changes: Any) -> TaskEffect:
    """A score of a thousand samples, in which that gain is as sure as its error is small."""
    score = Improvement(shipped, shipped + gain, gain, error, 100, 0, 1000, 1.0)
    return replace(task_effect(shipped, shipped + gain), score=score, **changes)


def of(task: TaskEffect, **changes: Any) -> EffectEvidence:
    return effect(task=task, **changes)


METRIC: dict[str, Any] = {"task": "metric", "has_scale": False}
ERROR: dict[str, Any] = {"task": "numbers", "larger_is_better": False}
BY_TASK = {
    "a tenth is no large cost": (scored(THRESHOLDS.large_cost, shipped=0.3), Harm.SHOWN),
    "more is one": (scored(0.101, shipped=0.3), Harm.LARGE),
    "a tenth of a metric is none": (scored(2.9, shipped=30.0, **METRIC), Harm.SHOWN),
    "more of a metric is one": (scored(3.4, shipped=30.0, **METRIC), Harm.LARGE),
    "a hundredth of a metric is surely exceeded": (scored(0.4, shipped=30.0, **METRIC), Harm.SHOWN),
    "a hundredth of a metric is not": (scored(0.3, shipped=30.0, **METRIC), Harm.EXCLUDED),
    "half of the errors": (scored(0.051, shipped=0.9), Harm.LARGE),
    "hardly half of them": (scored(0.049, shipped=0.9), Harm.SHOWN),
    "half of the errors, not surely": (scored(0.051, shipped=0.9, error=0.001), Harm.SHOWN),
    "half of few errors": (scored(0.009, shipped=0.985), Harm.SHOWN),
    "a fifth of few errors": (scored(0.0041, shipped=0.98), Harm.SHOWN),
    "hardly a fifth of them": (scored(0.0039, shipped=0.98), Harm.EXCLUDED),
    "a fifth of a small error": (scored(0.0041, shipped=0.02, error=0.001, **ERROR), Harm.SHOWN),
    "less than a fifth, but perhaps more": (scored(0.0039, shipped=0.02, error=0.001, **ERROR), Harm.UNKNOWN),
    "less than a fifth": (scored(0.002, shipped=0.02, error=0.0001, **ERROR), Harm.EXCLUDED),
}


@pytest.mark.parametrize("case", BY_TASK)
def test_the_score_shows_a_harm(case: str) -> None:
    task, told = BY_TASK[case]
    assert harm_of(of(task)) is told


@pytest.mark.parametrize(("shipped", "told"), [(0.05, Harm.SHOWN), (0.95, Harm.EXCLUDED)])
def test_predictions_that_turn_wrong_speak_for_what_is_stored_unless_few_were_right(shipped: float, told: Harm) -> None:
    """A third of them changes, and a sixth turns from right to wrong."""
    task = scored(0.0, shipped=shipped)
    task = replace(task, score=replace(task.score, worse=160))
    accuracy = Accuracy(shipped, shipped, shipped)
    assert harm_of(of(task, predictions_changed=0.33, accuracy=accuracy, classes=10)) is told


def test_outputs_that_hardly_change_exclude_a_harm() -> None:
    for change, told in ((0.01, Harm.EXCLUDED), (0.0101, Harm.UNKNOWN), (0.25, Harm.UNKNOWN), (0.2501, Harm.SHOWN)):
        assert harm_of(effect(predictions_changed=None, output_change=change)) is told
    few = effect(predictions_changed=None, output_change=0.01, samples=THRESHOLDS.fewest_excluding - 1)
    assert harm_of(few) is Harm.UNKNOWN


def test_a_change_counts_by_what_is_more_than_noise() -> None:
    assert beyond_noise(0.5, 0.1) == pytest.approx(0.3)
    assert beyond_noise(0.5, None) == 0.5
    assert beyond_noise(None, 0.1) == beyond_noise(math.nan, 0.1) == 0.0


def few(task: TaskEffect) -> TaskEffect:
    return replace(task, score=replace(task.score, samples=50))


def test_no_gain_is_no_better_however_sure_it_is() -> None:
    assert is_better(of(few(scored(0.0)))) is False
    assert is_better(of(few(scored(0.001)))) is True


def test_a_loss_that_falls_may_win_where_the_score_does_not_rise() -> None:
    def wins(gain: float, loss: float, error: float = 0.1) -> bool:
        falling = Improvement(2.0, 2.0 - loss, loss, 0.1, 10, 5, 50)
        return may_win(of(few(scored(gain, error=error, loss=falling))))

    assert wins(0.0, 0.5)
    assert wins(-0.01, 0.001)
    assert not wins(0.0, 0.0)
    assert not wins(0.0, -0.5)
    assert not wins(-0.5, 0.5)
    assert wins(0.001, -0.5)


def test_a_small_gain_is_excluded_and_none_fits_as_shipped() -> None:
    for gain, told in ((0.001, False), (0.0, True), (-0.001, True)):
        one = of(scored(gain))
        assert harm_of(one) is Harm.EXCLUDED
        assert fits_as_shipped(one) is told
    assert fits_as_shipped(None) is False


def test_an_error_errs_surely_by_a_share_of_it() -> None:
    """Of a score that is larger where it is better nothing is said, nor of an error that there is none of."""
    for gain, error, told in ((0.0041, 0.001, True), (0.0039, 0.001, False), (0.0041, 0.002, False)):
        assert is_sure_to_err(of(scored(gain, shipped=0.02, error=error, **ERROR))) is told
    assert not is_sure_to_err(of(scored(0.4)))
    assert not is_sure_to_err(of(scored(0.1, shipped=0.0, **ERROR)))


def test_a_loss_falls_surely() -> None:
    for gain, told in ((0.24, True), (0.23, False)):
        loss = Improvement(2.0, 2.0 - gain, gain, 0.1, 10, 5, 50)
        assert loss_falls(of(scored(0.0, loss=loss))) is told
    assert not loss_falls(of(scored(0.0)))
