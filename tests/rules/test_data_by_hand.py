"""What rules on data decide by, worked out by hand: each case is beside a line that no other test told from another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from every_rule import HARM, MOVED, changed_input, closer, drifted
from hand_built import effect, evidence, layer, measured, with_own
from test_judging_beside import ERRORS

from bncheck.core import THRESHOLDS, compare
from bncheck.core.guessing import poor_accuracy
from bncheck.core.layers import NormLayer, SiblingCopy
from bncheck.evidence import (
    CallDistances,
    DriftEvidence,
    Evidence,
    MeasuredLayer,
    RuntimeCheck,
    TrainingEvidence,
)
from bncheck.evidence.probed import AffineMap, ChannelOrder, Composition, InputScaling, Mistake, Probed
from bncheck.results.finding import Finding
from bncheck.rules import judge
from bncheck.rules.drift.bn608 import fit_lag
from bncheck.rules.input import bn601, bn602
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
    """Half of the predictions change, and nobody knows for better or worse."""
    seen = closer(calls={"bn": CallDistances(0.6, 0.5, effect(predictions_changed=0.5))})()
    found = found_in(seen, "BN603")
    assert found is not None
    assert found.layers == ("bn",)
    apart = found_in(seen, "BN604")
    assert apart is not None
    assert apart.evidence["accuracy_gain"] is None


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
    """And then the file is asked for no cause: here a copy in it, whose statistics do describe these data."""
    copies = (SiblingCopy("ema", False, tuple(layer(name, mean=np.full(2, 2.0)) for name in "ab"), False, False),)
    given = trained_on(*layers, smallest=smallest)
    found = found_in(evidence(*drifted(1.0, 1.0), effect=HARM, training=given, siblings=copies), "BN603")
    assert found is not None
    assert found.layers == ("a", "b")
    assert ("these data are of another kind" in found.message) is told
    assert [one["cause"] for one in found.evidence["causes_in_file"]] == ([] if told else ["copy fits"])


def test_gaps_that_are_not_finite_are_no_gaps_of_the_layers_that_fit() -> None:
    layers = [*drifted(0.02, 0.6, 0.02, 0.05), with_own(measured(0.02, name="e"), np.inf)]
    found = found_in(evidence(*layers, effect=HARM), "BN607")
    assert found is not None
    assert "while the other layers fit (own gaps up to 0.05)" in found.message


def test_layers_that_lie_nearer_are_not_said_to_fit_nor_to_inherit() -> None:
    layers = [*drifted(2.0, 0.5, 0.4, 0.3), with_own(measured(0.8, name="e"), 0.1)]
    found = found_in(evidence(*layers, effect=HARM), "BN607")
    assert found is not None
    assert "while the other layers lie nearer (own gaps up to 0.50). 1 layer inherits the error." in found.message
    assert found.evidence["inherited_by"] == ["e"]


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
    assert fit_lag([lagging(0.2, 0.0, 1.0, eps=0.0)]) is None
    assert fit_lag([lagging(1.0, 2.0, 4.0, eps=0.0)]) is None  # nor do those that have arrived


def test_a_layer_that_has_arrived_was_not_taken_along() -> None:
    """Under the fraction of the others it would lie off by more than the near margin, and not by half a deviation."""
    assert fit_lag([lagging(0.2, 2.0, 4.0), lagging(1.0, 0.3, 1.0, name="arrived")]) is None
    near = fit_lag([lagging(0.2, 2.0, 4.0), lagging(1.0, 0.1, 1.0, name="arrived")])
    assert near is not None


def test_a_layer_without_eps_is_fitted_as_one_of_zero() -> None:
    none, zero, hardly_any = (
        fit_lag([lagging(0.2, 2.0, 4.0, eps=eps), lagging(0.3, 1.0, 9.0)]) for eps in (None, 0.0, 1e-12)
    )
    assert none is not None
    assert none == zero
    assert hardly_any is not None
    assert none.fraction == pytest.approx(hardly_any.fraction, rel=1e-9)


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


def test_numbers_made_to_fit_must_leave_less_of_the_gap_than_known_ones() -> None:
    """They do as well as recalibrating; and it is the input alone that is off."""
    fits = with_own(measured(0.05, name="behind"), 0.05)
    off = with_own(measured(0.2, name="behind"), 0.2)
    unknown = measured(0.05, name="behind")

    def does_as_well(after: float, *behind: MeasuredLayer, expected: str | None = None) -> bool:
        found = solved(after=after, expected=expected)
        everywhere = replace(found.seen.after, model_gap=0.1)
        found = replace(found, seen=replace(found.seen, after=everywhere))
        return bn601._does_as_well(found, evidence(measured(1.0), *behind, effect=HARM))

    assert does_as_well(0.2, fits)
    assert not does_as_well(0.3, fits)
    assert does_as_well(0.3, fits, expected="-1..1")
    assert not does_as_well(0.2, off)
    assert not does_as_well(0.2, unknown)
    assert not does_as_well(0.2)


def test_what_the_input_feeds_has_no_sure_gap_where_none_of_it_was_measured() -> None:
    found = solved()
    elsewhere = replace(found, seen=replace(found.seen, layers=("other",)))
    assert bn601._sure_gap(found, evidence(measured(1.0, lower=0.8))) == 0.8
    assert bn601._sure_gap(elsewhere, evidence(measured(1.0, lower=0.8))) == 0.0


def test_the_widest_channel_tells_which_way_a_unit_is_wrong() -> None:
    for slope, told in (((0.004, 0.005), "Divide by 255"), ((0.5, 1.5), "Leave out a division by 255")):
        found = solved(map=AffineMap(slope, (0.1, 0.2)), mistake=Mistake.UNSCALED)
        assert bn601._remedy(found).startswith(f"{told} before the normalization")


def test_one_map_for_all_channels_is_no_rough_fit() -> None:
    assert not bn601._fits_roughly(solved(after=0.3))
    assert bn601._fits_roughly(solved(after=0.3, map=AffineMap((2.0, 3.0), (0.3, 0.3))))
    assert not bn601._fits_roughly(solved(after=0.05, map=AffineMap((2.0, 3.0), (0.3, 0.3))))


# BN602


def test_an_order_fits_exactly_to_what_sampling_makes_of_it() -> None:
    """A gap of 0.01 in a thousand samples is one of 0.02 in the 256 that were looked at; twice that is allowed."""

    def fits(after: float, *layers: MeasuredLayer, **more: object) -> bool:
        seen = replace(changed_input(1.0, after), gain=None, gain_error=None)
        order = ChannelOrder((2, 1, 0), 5, replace(seen, samples=250), next_gap=0.9)
        return bn602._fits_exactly(order, evidence(*(layers or (measured(1.0),)), **more))

    assert fits(0.039)
    assert not fits(0.041)
    assert not fits(0.039, measured(1.0, name="another"))
    assert not fits(0.039, data=None)


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
