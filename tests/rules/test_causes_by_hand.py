"""What the file says of the cause of a drift, and what the file's counters say, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from every_rule import changed_input, drifted
from hand_built import effect, evidence, layer, measured

from bncheck.core.layers import SiblingCopy
from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.rules.judging.causes import causes_in_file
from bncheck.rules.judging.cost import UNMEASURED, in_words, on_fewer
from bncheck.rules.judging.fed import cost_of_change, what_remains
from bncheck.rules.judging.harm import at_least
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


def test_the_graver_of_two_severities() -> None:
    assert at_least(Severity.WARNING, Harm.LARGE) == Severity.ERROR
    assert at_least(Severity.ERROR, Harm.EXCLUDED) == Severity.ERROR
    assert at_least(Severity.WARNING, Harm.EXCLUDED) == Severity.WARNING
