"""What every finding is measured by: its rule's own number, in a unit, as JSON can hold it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from every_rule import FIRES, HARM, VARIANTS, drifted, finding_of, static, variant_of
from hand_built import effect, evidence, layer, measured

from bncheck.core import THRESHOLDS
from bncheck.evidence import CloserLook
from bncheck.results.finding import Measure
from bncheck.results.layer import LayerReport
from bncheck.rules import RULES, judge
from bncheck.vocabulary import Remedy, Severity, Worse


def test_every_rule_can_be_fired() -> None:
    assert sorted(FIRES) == [rule.code for rule in RULES]


@pytest.mark.parametrize("code", FIRES)
def test_a_finding_is_measured_in_its_rules_own_number(code: str) -> None:
    finding = finding_of(code)
    measure = finding.measure
    assert finding.code == code
    assert measure.unit == measure.unit.strip().lower() != ""
    assert measure.value is not None
    assert math.isfinite(measure.value)
    assert measure.worse in list(Worse)
    assert 0 <= measure.noise < math.inf
    assert measure.layers.keys() <= set(finding.layers)
    json.dumps(asdict(measure), allow_nan=False)
    json.dumps(None if finding.cost is None else asdict(finding.cost), allow_nan=False)


@pytest.mark.parametrize("name", VARIANTS)
def test_so_is_what_else_a_rule_finds(name: str) -> None:
    finding = variant_of(name)
    json.dumps(asdict(finding.measure), allow_nan=False)
    assert finding.measure.value is not None


MEASURES = {
    "BN101": Measure("layer", 1.0, {"bn": 1.0}),
    "BN105": Measure("share of the initial statistics", 0.9**5, {"bn": 0.9**5}, limit=0.05),
    "BN201": Measure("value", 1.0, {"bn": 1.0}),
    "BN202": Measure("channel", 1.0, {"bn": 1.0}),
    "BN204": Measure("channel", 1.0, {"bn": 1.0}),
    "BN402": Measure("gap", 0.2, {"frozen": 0.2}),
    "BN501": Measure("factor", 2.0, {"twice": 2.0}),
    "BN600": Measure("gap", 1.0, noise=0.01, limit=0.5),
    "BN601": Measure("gap", 1.0, noise=0.01),
    "BN603": Measure("gap", 1.0, {"bn": 1.0}, noise=0.01, limit=0.1),
    "BN604": Measure("gap", 0.6, {"bn": 0.6}, noise=0.01, limit=0.1),
    "BN605": Measure("variance ratio", 5.0, noise=0.1, limit=1.5),
    "BN607": Measure("own gap", 0.6, {"b": 0.6}, noise=0.01, limit=0.2),
    "BN609": Measure("gap", 0.4, limit=0.25),
    "BN610": Measure("accuracy", 0.74, noise=0.01),
    "BN703": Measure("output change", 0.2, noise=1e-6),
    "BN704": Measure("rounding", 4e3, {"bn": 4e3}, limit=16.0),
    "BN707": Measure("gap", 0.4, limit=0.25),
}


@pytest.mark.parametrize(("code", "expected"), MEASURES.items())
def test_the_number_is_the_one_that_decides(code: str, expected: Measure) -> None:
    found = finding_of(code).measure
    assert (found.unit, found.limit, found.worse) == (expected.unit, expected.limit, Worse.HIGHER)
    assert found.value == pytest.approx(expected.value)
    assert dict(found.layers) == pytest.approx(dict(expected.layers))
    assert found.noise == pytest.approx(expected.noise)


def test_channels_are_counted_whatever_the_drift() -> None:
    """One negative variance of 64 and 64 of them are not the same, nor is either worse for a drift."""
    for bad in (1, 64):
        var = np.full(64, 4.0)
        var[:bad] = -1.0
        wide = layer(mean=np.zeros(64), var=var, weight=np.ones(64), bias=np.zeros(64))
        (finding,) = judge(static(replace(wide, channels=64)), {"BN202"})
        assert finding.measure == Measure("channel", float(bad), {"bn": float(bad)})


def test_the_worst_layer_stands_for_all() -> None:
    (finding,) = judge(evidence(*drifted(0.5, 0.9, 0.7), effect=HARM), {"BN603"})
    assert finding.measure.value == pytest.approx(0.9)
    assert finding.measure.at("c") == pytest.approx(0.7)


def test_what_is_no_number_is_measured_by_what_spoils_it() -> None:
    assert variant_of("BN603 tensors").measure == Measure("tensor", 1.0)
    seen = VARIANTS["BN603 tensors"]()
    finding, *_ = judge(replace(seen, closer=CloserLook()), {"BN603"})
    assert finding.measure == Measure("layer", 1.0)
    finding, *_ = judge(replace(seen, closer=CloserLook(broken=("a", "b"))), {"BN603"})
    assert finding.measure == Measure("tensor", 2.0)


def test_the_margin_in_force_is_told_with_the_measure() -> None:
    for cost, margin in ((HARM, THRESHOLDS.near_margin), (effect(predictions_changed=0.5), THRESHOLDS.margin)):
        (finding,) = judge(evidence(measured(1.0), effect=cost), {"BN603"})
        assert finding.measure.limit == margin == finding.evidence["margin"]


# What it costs


def test_accuracy_is_the_cost_where_there_are_labels() -> None:
    cost = finding_of("BN603").cost
    assert cost is not None
    assert (cost.score, cost.shipped, cost.remedied, cost.remedy) == ("accuracy", 0.5, 0.9, Remedy.RECALIBRATED)
    assert (cost.low, cost.high) == (pytest.approx(0.4 - 1.96 * 0.002), pytest.approx(0.4 + 1.96 * 0.002))
    assert cost.samples == 1000


@pytest.mark.parametrize(
    ("changes", "score", "remedied"),
    [
        ({"predictions_changed": 0.4}, "predictions changed", 0.4),
        ({"predictions_changed": None, "output_change": 0.6}, "output change", 0.6),
        ({"stored": 12.0, "recalibrated": 15.0, "gain_error": None}, "metric", 15.0),
    ],
)
def test_else_the_cost_is_what_changes(changes: dict[str, float], score: str, remedied: float) -> None:
    (finding,) = judge(evidence(measured(1.0), effect=effect(**changes)), {"BN603"})
    assert finding.cost is not None
    assert (finding.cost.score, finding.cost.remedied) == (score, remedied)


@pytest.mark.parametrize(
    ("code", "remedy", "scores"),
    [
        ("BN601", Remedy.INPUT, (0.5, 0.9, None)),
        ("BN602", Remedy.INPUT, (0.5, 0.9, None)),
        ("BN302", Remedy.EPS, (0.5, 0.9, None)),
        ("BN604", Remedy.CALLS, (0.5, 0.9, None)),
        ("BN610", Remedy.GROUPED, (0.18, 0.92, 0.2)),
    ],
)
def test_the_cost_is_by_what_was_measured_to_help(code: str, remedy: Remedy, scores: tuple[float | None, ...]) -> None:
    cost = finding_of(code).cost
    assert cost is not None
    assert (cost.remedy, cost.shipped, cost.remedied, cost.recalibrated) == (remedy, *scores)


def test_a_fault_of_the_file_alone_costs_nothing_that_is_known() -> None:
    without = [code for code in FIRES if FIRES[code]().data is None]
    assert {code for code in without if finding_of(code).cost is not None} == set()
    assert {code for code in FIRES if finding_of(code).severity == Severity.ERROR} >= {"BN101", "BN603", "BN704"}


def kinds_in(evidence: Mapping[str, object], kinds: dict[str, set[str]]) -> dict[str, set[str]]:
    """The types that JSON has for the values of every key, however deep."""
    for key, value in evidence.items():
        if value is not None:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            kinds.setdefault(key, set()).add("number" if number else type(value).__name__)
        if isinstance(value, Mapping) and not set(value) <= {"bn", "a", "b", "c", "odd", "once", "twice"}:
            kinds_in(value, kinds)
    return kinds


def test_one_key_has_one_type_in_the_evidence_of_all_rules_and_in_layers() -> None:
    kinds: dict[str, set[str]] = {}
    for field in fields(LayerReport):
        kinds[field.name] = {"number"} if field.name in ("channels", "calls", "gap", "own_gap", "noise") else set()
    for finding in (*map(finding_of, FIRES), *map(variant_of, VARIANTS)):
        kinds_in(json.loads(json.dumps(finding.evidence, default=list)), kinds)
    assert {key: found for key, found in kinds.items() if len(found) > 1} == {}
    assert kinds["channels"] == {"number"}
