"""One cause, one finding: which rules replace which, and in what order findings come."""

from __future__ import annotations

import dataclasses

import pytest
from digit_nets import ARCH, SAMPLES, codes, only
from hand_built import effect, evidence, layer, measured

import bncheck
from bncheck.results.finding import Finding, Measure
from bncheck.rules import RULES, judge

CAUSES = {
    "BN101": "missing_statistics.safetensors",
    "BN102": "never_updated.torchscript.pt",
    "BN201": "nan_statistics.pt2",
    "BN202": "negative_variance.pth",
}


def say(monkeypatch, code, *findings):
    """Have the rule of that code find this, whatever the evidence."""
    (rule,) = (rule for rule in RULES if rule.code == code)
    monkeypatch.setattr(f"bncheck.rules.{rule.path.parent.name}.{rule.path.stem}.judge", lambda evidence: findings)


def claim(code, severity, *layers):
    return Finding(code, severity, layers, "It is so.", "Do so.", Measure("finding", 1.0))


@pytest.mark.slow
@pytest.mark.parametrize(("cause", "sample"), CAUSES.items())
def test_what_explains_the_drift_replaces_it(cause, sample, held_out):
    arch = ARCH if sample.endswith((".safetensors", ".pth")) else None
    drift = bncheck.inspect(SAMPLES / sample, held_out, arch=arch, select=["BN603"])
    assert only(drift, "BN603").severity == "error"
    report = bncheck.inspect(SAMPLES / sample, held_out, arch=arch)
    assert only(report, cause).severity == "error"
    assert report.summary.exit_code == 1


def test_a_limit_that_is_exceeded_is_always_said(held_out):
    report = bncheck.inspect(SAMPLES / CAUSES["BN102"], held_out, max_gap=0.5)
    assert codes(report) == ["BN102"] + ["BN600"] * 6


def test_the_gravest_comes_first_and_then_the_lowest_code(monkeypatch):
    say(monkeypatch, "BN101", claim("BN101", "info"))
    seen = evidence(measured(1.0), smallest_detectable_gap=1.0, max_gap=0.5)
    seen = dataclasses.replace(seen, layers=(layer("bad", var=-layer().var), layer("spare")))
    seen = dataclasses.replace(seen, skipped={"spare": "not-exercised"})
    assert [(finding.code, finding.severity) for finding in judge(seen)] == [
        ("BN202", "error"),
        ("BN600", "error"),
        ("BN101", "info"),
        ("BN706", "info"),
        ("BN707", "info"),
    ]


def test_a_cause_hides_what_it_explains_unless_it_is_a_remark_or_about_another_copy(monkeypatch):
    seen = evidence(measured(1.0), effect=effect(stored=0.5, recalibrated=0.9))
    for severity, layers, kept in (
        ("error", ["bn"], ["BN401"]),
        ("warning", ["bn"], ["BN401"]),
        ("info", ["bn"], ["BN603", "BN401"]),
        ("error", [], ["BN401", "BN603"]),
    ):
        say(monkeypatch, "BN401", claim("BN401", severity, *layers))
        assert [finding.code for finding in judge(seen, {"BN401", "BN603"})] == kept


@pytest.mark.parametrize("cause", ["BN601", "BN602"])
def test_what_is_said_of_batches_of_a_wrong_input_is_not_repeated(monkeypatch, cause):
    for code in (cause, "BN610"):
        say(monkeypatch, code, claim(code, "error"))
    assert [finding.code for finding in judge(evidence(measured(0.0)))] == [cause]


def test_a_remark_hides_no_other(monkeypatch):
    say(monkeypatch, "BN102", claim("BN102", "info", "bn"))
    found = judge(evidence(measured(1.0)), {"BN102", "BN603"})
    assert [(finding.code, finding.severity) for finding in found] == [("BN102", "info"), ("BN603", "info")]


def test_rules_that_are_not_selected_neither_speak_nor_suppress():
    seen = dataclasses.replace(
        evidence(measured(1.0)), layers=(layer(), dataclasses.replace(layer(), var=-layer().var))
    )
    assert [finding.code for finding in judge(seen)] == ["BN202"]
    assert [finding.code for finding in judge(seen, {"BN603", "BN600"})] == ["BN603"]
    assert judge(seen, set()) == ()


DRIFT = {"BN601", "BN602", "BN603", "BN607", "BN608", "BN611"}
OF_LAYERS = {"BN603", "BN607", "BN611"}
EXPLAINED = {
    **dict.fromkeys(["BN101", "BN102", "BN103", "BN105", "BN107", "BN201", "BN202", "BN203"], DRIFT),
    **dict.fromkeys(["BN205", "BN302", "BN403", "BN704"], DRIFT),
    "BN206": {"BN203", *DRIFT},
    "BN303": {"BN703"},
    "BN401": {"BN102", "BN103", "BN106", "BN107", *DRIFT},
    "BN601": {"BN608", "BN610", *OF_LAYERS},
    "BN602": {"BN608", "BN610", *OF_LAYERS},
    "BN207": {"BN603", "BN607", "BN608", "BN611"},
    "BN607": {"BN603", "BN608"},
    "BN608": {"BN603"},
    "BN610": {"BN608", *OF_LAYERS},
    "BN611": {"BN603", "BN607", "BN608"},
    "BN613": {"BN603", "BN607", "BN608"},
    "BN701": {"BN703", *DRIFT},
}
"""By cause, what is left out where it is found: the table from before the rules spoke of phenomena."""


def test_causes_explain_what_they_explained_before_they_said_it_by_phenomena():
    assert {rule.code: set(rule.suppresses) for rule in RULES if rule.suppresses} == EXPLAINED


def test_in_pairs_the_one_that_is_explained_is_left_out_and_no_other(monkeypatch):
    """Of any two rules that both find something."""
    nothing = evidence(measured(0.0))
    for cause in RULES:
        for other in RULES:
            if cause.code == other.code:
                continue
            with monkeypatch.context() as patch:
                say(patch, cause.code, claim(cause.code, "error", "bn"))
                say(patch, other.code, claim(other.code, "error", "bn"))
                found = {finding.code for finding in judge(nothing, {cause.code, other.code})}
            left_out = {cause.code, other.code} - found
            expected = {other.code} if other.code in EXPLAINED.get(cause.code, ()) else set()
            expected |= {cause.code} if cause.code in EXPLAINED.get(other.code, ()) else set()
            assert left_out == expected
