"""What rules on data decide by, worked out by hand: each case is beside a line that no other test told from another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from every_rule import HARM, MOVED, changed_input, closer, drifted
from hand_built import effect, evidence, measured, with_own
from test_judging_beside import ERRORS

from bncheck.core import THRESHOLDS, compare
from bncheck.core.guessing import poor_accuracy
from bncheck.core.layers import NormLayer
from bncheck.evidence import (
    CallDistances,
    DriftEvidence,
    Evidence,
    MeasuredLayer,
    RuntimeCheck,
    TrainingEvidence,
)
from bncheck.evidence.probed import AffineMap, Composition, InputScaling, Probed
from bncheck.results.finding import Finding
from bncheck.rules import judge
from bncheck.rules.drift.bn608 import fit_lag
from bncheck.vocabulary import Severity


def found_in(seen: Evidence, code: str) -> Finding | None:
    found = judge(seen, {code})
    return found[0] if found else None


# BN603, BN604, BN607


def trained_on(*layers: MeasuredLayer, smallest: float | None = 0.05) -> TrainingEvidence:
    return TrainingEvidence("train", 1000, 16, True, {one.layer.name: one for one in layers}, None, {}, {}, smallest)


def test_without_a_sure_gap_the_layer_with_the_largest_one_of_its_own_is_named() -> None:
    """`a` inherits the larger gap, and has a smaller one of its own."""
    layers = [with_own(measured(0.2, lower=0.0, name="a"), 0.05), with_own(measured(0.15, lower=0.0, name="b"), 0.15)]
    found = found_in(evidence(*layers, effect=effect(task=ERRORS)), "BN603")
    assert found is not None
    assert found.layers == ("b",)


def test_unlike_calls_whose_cost_was_not_measured_explain_no_drift_that_recalibrating_mends() -> None:
    seen = closer(calls={"bn": CallDistances(0.6, 0.5, None)})()
    found = found_in(seen, "BN603")
    assert found is not None
    assert found.layers == ("bn",)
    apart = found_in(seen, "BN604")
    if apart is not None:
        assert apart.evidence["predictions_changed"] is None


def test_statistics_that_do_not_describe_the_training_data_either_are_repaired_by_them() -> None:
    seen = evidence(measured(1.0), effect=HARM, training=trained_on(measured(0.9)))
    found = found_in(seen, "BN603")
    assert found is not None
    assert "they are stale" in found.message
    assert found.command == "repair"


@pytest.mark.parametrize(
    ("layers", "smallest", "told"),
    [
        ([measured(0.1, name="a"), measured(0.1, name="b")], 0.05, True),
        ([measured(0.1, name="a"), measured(0.1, name="b")], None, False),
        ([measured(0.1, name="a"), measured(0.1, name="b")], 0.3, False),
        ([measured(0.1, name="a")], 0.05, False),
        ([measured(0.1, name="a"), measured(0.3, lower=0.1, name="b")], 0.05, False),
    ],
    ids=["both fit", "nothing known of it", "too few samples", "one was not reached", "one may be off"],
)
def test_data_are_of_another_kind_where_training_data_surely_fit(
    layers: list[MeasuredLayer], smallest: float | None, told: bool
) -> None:
    """And then the file is asked for no cause: here filters that were pruned."""
    seen = evidence(*drifted(1.0, 1.0), effect=HARM, training=trained_on(*layers, smallest=smallest))
    found = found_in(seen, "BN603")
    assert found is not None
    assert found.layers == ("a", "b")
    assert ("these data are of another kind" in found.message) is told


# BN608


def lagging(way: float, mean: float, var: float, *, eps: float | None = 1e-5, name: str = "bn") -> MeasuredLayer:
    """Eight channels whose statistics have gone that share of the way from (0, 1)."""
    means, variances = np.full(8, mean), np.full(8, var)
    stored_mean, stored_var = way * means, (1 - way) + way * variances
    one = NormLayer(name, "batch_norm", 8, stored_mean, stored_var, eps, 0.1, 2, np.ones(8), np.arange(8.0))
    gap = compare(means, variances, stored_mean, stored_var, eps or 0.0)
    return MeasuredLayer(one, 1, None, means, variances, gap, gap, np.full(8, 0.01), lower=1.0, p_value=0.0)


def test_one_fraction_is_fitted_to_all_layers() -> None:
    fitted = fit_lag([lagging(0.2, 2.0, 4.0), lagging(0.2, 0.05, 1.0, name="small")])
    assert fitted is not None  # the second has hardly any gap to lose
    assert fitted.fraction == pytest.approx(0.2, abs=1e-6)
    assert fitted.layers == ("bn", "small")


def test_data_that_are_as_the_initial_statistics_tell_of_no_way() -> None:
    assert fit_lag([lagging(0.2, 0.0, 1.0)]) is None


def test_a_layer_that_has_arrived_was_not_taken_along() -> None:
    """Under the fraction of the others it would lie off by more than the near margin, and not by half a deviation."""
    assert fit_lag([lagging(0.2, 2.0, 4.0), lagging(1.0, 0.3, 1.0, name="arrived")]) is None
    near = fit_lag([lagging(0.2, 2.0, 4.0), lagging(1.0, 0.1, 1.0, name="arrived")])
    assert near is not None


def test_a_layer_without_eps_is_fitted_as_one_of_zero() -> None:
    none, zero = (fit_lag([lagging(0.2, 2.0, 4.0, eps=eps), lagging(0.3, 1.0, 9.0)]) for eps in (None, 0.0))
    assert none is not None
    assert none == zero


# BN614


def test_of_layers_that_moved_the_farthest_and_the_first_are_told() -> None:
    layers = {"a": replace(MOVED, gap=0.6, noise=0.05), "b": MOVED, "c": replace(MOVED, gap=0.7), "d": MOVED}
    layers["d"] = replace(MOVED, lower=0.25, noise=0.9)  # not surely beyond the margin
    found = found_in(
        replace(evidence(measured(0.1)), drift=DriftEvidence("then", 400, 400, 0.9, 0.02, layers)), "BN614"
    )
    assert found is not None
    assert found.layers == ("a", "b", "c")
    assert found.message.endswith(": b by 0.90, a first in the network by 0.60.")
    assert (found.measure.value, found.measure.noise) == (0.9, 0.05)
    assert "what 3 of 4 layers see" in found.message


# BN601


def solved(before: float = 1.0, after: float = 0.05, **changes: object) -> InputScaling:
    seen = changed_input(before, after)
    return replace(InputScaling(AffineMap((2.0,), (0.3,)), "0..1", None, seen, constant=False), **changes)


def scaled(found: InputScaling, *layers: MeasuredLayer, **more: object) -> Finding | None:
    return found_in(evidence(*(layers or (measured(1.0),)), probed=Probed(scaling=found), **more), "BN601")


def test_numbers_that_only_happen_to_fit_are_the_layers_own_where_training_data_are_as_far_off() -> None:
    """A factor is told all the same, and so is what the layers of the training data do not store."""
    found = solved()
    assert found.is_solved
    assert scaled(found, effect=HARM) is not None
    for off, told in ((0.9, False), (0.1, True)):
        named = scaled(found, effect=HARM, training=trained_on(measured(off)))
        assert (named is not None) is told
    assert scaled(found, effect=HARM, training=trained_on(measured(0.9, name="another"))) is not None
    factor = solved(map=AffineMap((4.0,)))
    assert not factor.is_solved
    assert scaled(factor, effect=HARM, training=trained_on(measured(0.9))) is not None


def test_that_the_layer_may_be_wrong_is_said_of_one_that_the_input_feeds_and_of_no_two() -> None:
    for layers, told in ((("bn",), True), (("bn", "other"), False)):
        found = solved()
        named = scaled(
            replace(found, seen=replace(found.seen, layers=layers)),
            *(measured(1.0, name=name) for name in layers),
            effect=HARM,
        )
        assert named is not None
        assert ("the statistics of bn are wrong" in named.fix) is told


# BN610, BN704


def test_grouped_batches_that_are_near_to_guesses_show_nothing() -> None:
    poor = poor_accuracy(None)
    for grouped, told in ((poor, False), (poor + 0.001, True)):
        composition = Composition(True, 16, 20, 320, grouped, 0.001, 0.05, 0.05, 0.05)
        found = found_in(evidence(measured(0.1), probed=Probed(composition=composition)), "BN610")
        assert (found is not None) is told


def rounded(error: float) -> RuntimeCheck:
    return RuntimeCheck("bn", 0, "float32", 1000, np.array([0.5, error]), 1, 7, 0.5, 1.25, 1.25001)


def test_an_answer_is_wrong_beyond_the_roundings_that_are_allowed() -> None:
    def of(error: float) -> Finding | None:
        return found_in(evidence(measured(0.01), runtime=(rounded(error),)), "BN704")

    assert of(THRESHOLDS.roundings) is None
    just = of(THRESHOLDS.roundings + 1)
    assert just is not None
    assert just.severity == Severity.ERROR
    for error, told in ((999_999.0, " 999,999 roundings"), (1e6, " 1.0e+06 roundings")):
        found = of(error)
        assert found is not None
        assert told in found.message
