"""What the file says of the cause of a drift, and what the file's counters say, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from every_rule import changed_input, drifted
from hand_built import effect, evidence, layer, measured

from bncheck.core import compare
from bncheck.core.layers import SiblingCopy
from bncheck.evidence import Evidence, MeasuredLayer, ZeroedWeights
from bncheck.rules.judging.causes import causes_in_file
from bncheck.rules.judging.cost import UNMEASURED, in_words, on_fewer
from bncheck.rules.judging.counters import short_trainings
from bncheck.rules.judging.drifting import accounts_for_drift, off_by_themselves
from bncheck.rules.judging.fed import cost_of_change, tried_in_words, what_remains
from bncheck.rules.judging.harm import at_least, is_better
from bncheck.vocabulary import CHECK, Harm, Remedy, Severity

OFF = drifted(1.0, 1.0)
"""Layers `a` and `b` see a mean of 2 and a variance of 4."""


def copy_of(name: str, *means: float, updates: int = 100) -> SiblingCopy:
    layers = (layer(one, mean=np.full(2, mean), updates=updates) for one, mean in zip("ab", means, strict=False))
    return SiblingCopy(name, False, tuple(layers), same_weights=False, same_statistics=False)


def told(origin: list[MeasuredLayer], **more: object) -> dict[str, object]:
    """The causes by their keys, each with its numbers and its command."""
    seen: Evidence = evidence(*origin, **more)
    return {one.key: (one.numbers, one.command) for one in causes_in_file(seen, origin)}


def test_of_copies_the_one_whose_statistics_fit_best_is_named() -> None:
    copies = (copy_of("ahead", 1.8, 1.8), copy_of("ema", 2.0, 2.0))
    numbers, command = told(OFF, siblings=copies)["copy fits"]
    assert (numbers["copy"], command) == ("ema", "inspect --key ema")
    assert numbers["copy_gap"] < 1e-3
    numbers, command = told(OFF, siblings=(copy_of("", 2.0, 2.0),))["copy fits"]
    assert (numbers["copy"], command) == ("", CHECK)
    (cause,) = causes_in_file(evidence(*OFF, siblings=(copy_of("", 2.0, 2.0),)), OFF)
    assert cause.told.startswith("The statistics of its own tensors in the same file do describe them")


def test_a_copy_fits_where_it_leaves_half_of_the_gap_and_has_all_of_the_layers() -> None:
    near = drifted(0.3, 0.3)  # they see a mean of 0.6
    assert "copy fits" in told(near, siblings=(copy_of("ema", 0.4, 0.4),))
    assert "copy fits" not in told(near, siblings=(copy_of("ema", 0.2, 0.2),))
    assert "copy fits" not in told(OFF, siblings=(copy_of("ema", 2.0),))


def counting(updates: int | None, name: str, momentum: float | None = 0.1) -> MeasuredLayer:
    one = measured(1.0, name=name)
    return replace(one, layer=layer(name, updates=updates, momentum=momentum))


def test_other_layers_went_on_where_all_of_them_count_far_more() -> None:
    """A momentum of 0.1 remembers 19 batches: counters that are nearer tell nothing."""

    def is_told(*others: int | None, own: tuple[int, ...] = (100,), momentum: float | None = 0.1) -> bool:
        origin = [counting(number, f"own{place}", momentum) for place, number in enumerate(own)]
        rest = [counting(number, f"other{place}") for place, number in enumerate(others)]
        seen = evidence(*origin, *rest, optimizer_steps=None)
        return any(one.key != "copy fits" for one in causes_in_file(seen, origin))

    assert is_told(120)
    assert is_told(500, 120)
    assert not is_told(118)
    assert not is_told(500, 118)
    assert not is_told(500, None)
    assert not is_told()
    assert not is_told(500, own=(100, 101))
    assert is_told(120, momentum=None)
    assert not is_told(120, momentum=0.05)


def test_a_copy_or_the_optimizer_counts_more_than_the_layers_do() -> None:
    origin = [counting(100, "a"), counting(100, "b")]

    def causes(**more: object) -> list[str]:
        return [one.told for one in causes_in_file(evidence(*origin, **more), origin) if one.key != "copy fits"]

    (by_copy,) = causes(siblings=(copy_of("model", 9.0, 9.0, updates=120),))
    assert "those of `model` in the same file" in by_copy
    assert causes(siblings=(copy_of("model", 9.0, 9.0, updates=118),)) == []
    unlike = replace(copy_of("model", 9.0, 9.0), layers=(layer("a", updates=500), layer("b", updates=600)))
    assert causes(siblings=(unlike,)) == []
    elsewhere = replace(copy_of("model", 9.0, 9.0), layers=(layer("another", updates=500),))
    assert causes(siblings=(elsewhere,)) == []
    (by_steps,) = causes(optimizer_steps=120)
    assert "the steps of the optimizer in the same file" in by_steps
    assert causes(optimizer_steps=118) == []


def dying(name: str, *, stored_var: float = 4.0, own_var: float = 0.0) -> MeasuredLayer:
    """A layer whose first channel does not vary on the data."""
    one = measured(1.0, name=name)
    held = layer(name, var=np.array([stored_var, 4.0]))
    var = np.array([0.0, 4.0])
    own = compare(one.mean, np.array([own_var, 4.0]), held.mean, held.var, held.eps)
    return replace(one, layer=held, var=var, own=own)


def test_channels_that_died_with_their_filters_are_counted() -> None:
    """They varied where the statistics come from, and vary nowhere now: not as fed, and not after batches."""

    def dead(*layers: MeasuredLayer, filters: int = 2) -> object:
        causes = told(list(layers), zeroed=ZeroedWeights(filters, 0.0))
        return causes["zeroed filters"][0]["dead_channels"] if "zeroed filters" in causes else None

    alive = measured(1.0, name="alive")
    assert dead(dying("a"), alive) == {"a": 1}
    assert dead(dying("a"), dying("b")) == {"a": 1, "b": 1}
    assert dead(alive) is None
    assert dead(dying("a"), filters=0) is None
    assert dead(dying("a", own_var=4.0)) is None
    assert dead(dying("a", stored_var=1e-5)) is None
    assert dead(dying("a", stored_var=1.1e-5)) == {"a": 1}


# Counters


def test_what_a_short_training_leaves_of_the_initial_values_goes_by_its_momentum() -> None:
    """Five updates leave 59 % at a momentum of 0.1, the one that is assumed, and 95 % at 0.01."""
    few = {"updates": 5, "var": np.full(2, 0.97)}
    for momentum, share in ((0.01, 0.99**5), (0.1, 0.9**5), (None, 0.9**5)):
        (short,) = short_trainings(Evidence((layer(momentum=momentum, trainable_class=None, **few),)))
        assert short.share == pytest.approx(share)
        assert short.assumed is (momentum is None)
        assert not short.contradicted_at_any_momentum


def test_a_variance_below_what_any_momentum_leaves_contradicts_the_counter() -> None:
    """Half of the initial variance is left of one update at the largest momentum."""
    for var, contradicted in ((0.51, False), (0.49, True)):
        one = layer(momentum=None, trainable_class=None, updates=1, var=np.full(2, var), mean=np.full(2, 0.5))
        (short,) = short_trainings(Evidence((one,)))
        assert short.contradicted_at_any_momentum is contradicted


# Layers that drift by themselves


def test_layers_off_by_themselves_count_beside_the_largest() -> None:
    layers = [measured(1.0, name=name) for name in "abc"]
    assert off_by_themselves(layers, {"a": 1.0, "b": 0.1}, 0.25) == layers[:1]
    assert off_by_themselves(layers, {"a": 0.2, "b": 0.1}, 0.25) == []


def test_channels_account_for_a_drift_where_they_are_all_that_drifts() -> None:
    one = measured(1.0)
    for suspects, accounts in ((np.array([True, True]), True), (np.array([True, False]), False)):
        assert accounts_for_drift(evidence(one), {"bn": suspects}) is accounts
    assert not accounts_for_drift(evidence(one), {})


# Costs in words


def test_on_how_many_samples_is_told_where_they_are_fewer_than_the_reports() -> None:
    whole = effect(samples=1000)
    seen = evidence(measured(1.0), effect=whole)
    assert on_fewer(whole, seen) == ""
    assert on_fewer(effect(samples=1000, predictions_changed=0.1), seen) == ""
    assert on_fewer(effect(samples=200), seen) == " (200 samples)"
    assert on_fewer(effect(samples=None), seen) == ""
    assert in_words(None) == UNMEASURED


def test_a_gap_that_is_left_is_told() -> None:
    assert what_remains(changed_input(1.0, 0.3)) == " Then inspect again: a gap of 0.3 over all layers is left."
    assert what_remains(changed_input(1.0, 0.25)) == ""


def test_without_labels_the_predictions_that_change_are_the_cost() -> None:
    unlabelled = replace(changed_input(1.0, 0.1), gain=None, gain_error=None)
    blind = replace(unlabelled, before=replace(unlabelled.before, accuracy=None), predictions_changed=0.4)
    cost = cost_of_change(blind, Remedy.INPUT)
    assert (cost.score, cost.shipped, cost.remedied) == ("predictions changed", None, 0.4)
    assert (cost.remedy, cost.samples, cost.harm) == (Remedy.INPUT, 256, cost_of_change(unlabelled, Remedy.INPUT).harm)


def test_gaps_are_told_in_two_digits_or_whole() -> None:
    assert "the gap of layer bn falls from 100 to 0.25" in tried_in_words(changed_input(100.4, 0.254), "With it")
    assert "falls from 99 to 2" in tried_in_words(changed_input(99.4, 2.0), "With it")


def test_a_small_gain_that_is_sure_and_may_matter_is_better() -> None:
    for gain, error, better in ((0.009, 0.003, True), (0.009, 0.006, False), (0.004, 0.001, False)):
        assert is_better(effect(stored=0.5, recalibrated=0.5 + gain, gain_error=error)) is better


def test_the_graver_of_two_severities() -> None:
    assert at_least(Severity.WARNING, Harm.LARGE) == Severity.ERROR
    assert at_least(Severity.ERROR, Harm.EXCLUDED) == Severity.ERROR
    assert at_least(Severity.WARNING, Harm.EXCLUDED) == Severity.WARNING
