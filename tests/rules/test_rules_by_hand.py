"""Rules of which one condition each is worked out by hand: BN208, BN301, BN401, BN501, BN603, BN610, BN612."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from cases_of_files import agreement, compared, copy
from every_rule import HARM, static
from hand_built import effect, evidence, layer, measured, with_own

from bncheck.core import THRESHOLDS
from bncheck.evidence import CopyFit, TrainingEvidence
from bncheck.evidence.probed import Composition
from bncheck.rules import judge
from bncheck.rules.drift import bn603
from bncheck.rules.moments import bn403
from bncheck.rules.outputs import bn208
from bncheck.rules.sampling import bn610
from bncheck.rules.settings import bn301
from bncheck.rules.updates import bn501
from bncheck.vocabulary import CHECK, Severity


def of_a_copy(own: float, under_raw: float, of_raw: float, name: str = "ema") -> CopyFit:
    return CopyFit(name, ("bn",), *(np.array([one]) for one in (own, under_raw, of_raw)))


@pytest.mark.parametrize(
    ("fit", "same", "claim", "severity"),
    [
        (of_a_copy(0.3, 0.1, 0.1), True, "are those of the model inspected here, bit for bit", Severity.WARNING),
        (of_a_copy(0.3, 0.1, 0.1), False, "fit those of the model inspected here better", Severity.WARNING),
        (of_a_copy(0.3, 0.3, 0.1), False, "are of another moment or model", Severity.WARNING),
        (of_a_copy(0.1, 0.05, 0.1), False, "fit those of the model inspected here better", Severity.INFO),
    ],
)
def test_weights_tell_whose_statistics_a_copy_beside_carries(
    fit: CopyFit, same: bool, claim: str, severity: Severity
) -> None:
    for name, command in (("ema", "repair --key ema"), ("", CHECK)):
        beside = copy(name, layer(), averaged=True, same=same)
        (found,) = judge(static(layer(), siblings=(beside,), copies=(replace(fit, copy=name),)), {"BN401"})
        assert (found.severity, found.layers, found.command) == (severity, (), command)
        assert f"The statistics of the averaged weights in the same file ({beside.name or 'its own tensors'}" in (
            found.message.replace("`", "")
        )
        assert f" {claim}: in the typical of 1 layers" in found.message
        assert found.fix.startswith("Inspect that copy on data before it is used, or measure its statistics")
        assert found.evidence["copy"] == name
        assert (found.evidence["same_statistics"], found.evidence["same_weights"]) == (same, False)
        assert found.measure.layers == {"bn": fit.own[0]}


def test_statistics_of_layers_exported_in_training_mode_are_not_compared_with_the_reference() -> None:
    """They go unused, and the forwards of the export itself move them: BN701 names the cause."""
    by_batch, other = layer("a", by_input=True), layer("b")
    moved = static(by_batch, other, comparison=compared(0.05, 0.0), agreement=agreement("", None))
    assert [finding.code for finding in judge(moved, {"BN403", "BN701"})] == ["BN701"]
    both = static(by_batch, other, comparison=compared(0.05, 0.3))
    (beside, _) = judge(both, {"BN403", "BN701"})
    assert (beside.code, beside.layers) == ("BN403", ("b",))
    (frozen,) = judge(static(layer("a"), other, comparison=compared(0.05, 0.0)), {"BN403", "BN701"})
    assert (frozen.code, frozen.layers) == ("BN403", ("a",))


def test_weights_tell_whose_statistics_an_inspected_copy_carries() -> None:
    raw = copy("model", layer(), same=True)
    seen = static(layer(), averaged=True, siblings=(raw,), copies=(of_a_copy(0.3, 0.1, 0.1, "model"),))
    (found,) = judge(seen, {"BN401"})
    assert (found.severity, found.layers, found.command) == (Severity.WARNING, ("bn",), "repair")
    assert found.message.startswith("The statistics of these averaged weights are those of the raw model (")
    assert found.fix.startswith("Measure its statistics under the averaged weights")
    assert (found.evidence["layers"], found.evidence["raw"]) == (["bn"], "model")
    assert "copy" not in found.evidence


@pytest.mark.parametrize("seen", [of_a_copy(0.1, 0.1, 0.1), None])
def test_weights_that_say_nothing_against_it_leave_the_same_statistics(seen: CopyFit | None) -> None:
    for same, weights, told in ((True, False, 1), (True, True, 0), (False, False, 0)):
        beside = copy("ema", layer(), averaged=True, same=same, weights=weights)
        found = judge(static(layer(), siblings=(beside,), copies=(seen,) if seen else ()), {"BN401"})
        assert len(found) == told
        raw = copy("ema", layer(), same=same, weights=weights)
        copies = (seen,) if seen else ()
        found = judge(static(layer(), averaged=True, siblings=(raw,), copies=copies), {"BN401"})
        assert len(found) == told


def test_weights_speak_for_an_export_that_they_fit() -> None:
    assert bn403._by_weights(None) == ""
    assert bn403._by_weights((3, 0.151)) == ""
    assert bn403._by_weights((3, 0.15)).startswith(" Those of the export fit its weights: in the typical of 3 layers")


def test_values_of_its_own_break_a_layer() -> None:
    assert not bn208._is_broken(layer())
    assert not bn208._is_broken(layer(mean=None, var=None, weight=None, bias=None))
    for name in ("mean", "var", "weight", "bias"):
        assert bn208._is_broken(layer(**{name: np.array([1.0, np.nan])}))
    assert bn208._is_broken(layer(var=np.array([4.0, -1e-5])))
    assert not bn208._is_broken(layer(var=np.array([4.0, 0.0])))
    assert bn208._is_broken(layer(var=np.array([4.0, 0.0]), eps=None))


def composition(grouped: float, recalibrated: float | None, error: float = 0.001, **changes: object) -> Composition:
    return replace(Composition(True, 16, 20, 320, grouped, error, 0.5, 0.55, recalibrated), **changes)


def test_grouped_batches_lead_by_more_than_the_best_of_all_others() -> None:
    for grouped, recalibrated, error, told in (
        (0.61, None, 0.001, True),
        (0.59, None, 0.001, False),
        (0.61, 0.57, 0.001, False),
        (0.99, 0.9, 0.02, True),
        (0.99, 0.9, 0.04, False),
    ):
        assert bn610._leans(composition(grouped, recalibrated, error), None) is told


def test_grouped_batches_save_a_tenth_of_the_smallest_loss() -> None:
    for lead, recalibrated, error, told in (
        (0.051, None, 0.001, True),
        (0.049, None, 0.001, False),
        (0.049, 0.4, 0.001, True),
        (0.051, None, 0.03, False),
        (None, None, 0.001, False),
    ):
        found = composition(0.2, recalibrated, score="loss", lead=lead, lead_error=error)
        assert bn610._saves_loss(found) is told


def test_a_momentum_of_another_convention() -> None:
    least = THRESHOLDS.other_convention
    asked = ((None, False), (0.0, True), (least, True), (np.nextafter(least, 0.0), False), (1.0, True), (0.1, False))
    assert [bn301._is_unlikely(momentum) for momentum, _ in asked] == [told for _, told in asked]
    assert [bn301._meant(one) for one in (0.9, 1.0, 0.0, 0.9 + 4e-7)] == [0.1, 0.1, 0.1, 0.1]


def test_layers_that_count_more_often_than_the_base_are_where_the_drift_comes_from() -> None:
    layers = [with_own(measured(1.0, name=name), 1.0) for name in "ab"]
    for times, cost, told in (("ab", HARM, True), ("abc", HARM, True), ("a", HARM, False), ("ab", effect(), False)):
        excess = bn501.Excess([one.layer for one in layers], dict.fromkeys(times, 2), 100)
        assert bn501._come_from(excess, evidence(*layers, effect=cost)) is told
    nothing = bn501.Excess([], {"a": 2}, 100)
    assert not bn501._come_from(nothing, evidence(measured(0.01), effect=HARM))


def test_without_data_a_layer_is_called_once() -> None:
    for seen, calls in ((static(layer()), 1), (evidence(replace(measured(1.0), calls=3)), 3)):
        assert bn501._calls(layer(), seen) == calls
    assert bn501._excess([], {}) is None
    one = layer("a"), layer("b")
    counted = {"a": Fraction(THRESHOLDS.fewest_updates), "b": Fraction(2 * THRESHOLDS.fewest_updates)}
    found = bn501._excess(list(one), counted)
    assert found is not None
    assert (found.times, found.base) == ({"b": 2}, THRESHOLDS.fewest_updates)


def test_training_data_that_see_one_sure_gap_tell_stale_statistics() -> None:
    off, fits = measured(0.9, name="a"), measured(0.1, name="b")
    given = TrainingEvidence("train", 1000, 16, True, {"a": off, "b": fits}, None, {}, {}, 0.05)
    assert bn603._cause([off, fits], 0.25, given) == bn603.STALE


def test_causes_that_may_be_are_named_in_words() -> None:
    told = [bn603._likely(is_scaled_right=a, can_be_stale=b) for a in (False, True) for b in (False, True)]
    assert told == [
        "the preprocessing or other data",
        "the preprocessing, other data or stale statistics",
        "other data",
        "other data or stale statistics",
    ]


def test_the_layer_of_the_fewest_values_is_told_first() -> None:
    """Its name is the first in the alphabet: it is the number that counts."""
    values = {"z": 30, "a": 4, "m": 10}
    given = TrainingEvidence("train", 1000, 16, True, {}, None, values, {}, 0.05)
    (found,) = judge(evidence(*(measured(0.1, name=name) for name in values), training=given), {"BN612"})
    assert "a channel of a has 4 values" in found.message
