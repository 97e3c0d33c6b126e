"""One cause, one finding: which rules replace which, and in what order findings come."""

from __future__ import annotations

import dataclasses

import pytest
from digit_nets import ARCH, SAMPLES, codes, only
from hand_built import effect, evidence, layer, measured

import bncheck
from bncheck.results.finding import Finding
from bncheck.rules import JUDGES, judge
from bncheck.rules.catalogue import RULES

CAUSES = {
    "BN101": "missing_statistics.safetensors",
    "BN102": "never_updated.torchscript.pt",
    "BN201": "nan_statistics.pt2",
    "BN202": "negative_variance.pth",
}


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
    aside = Finding("BN101", "info", (), "Said in passing.", "Nothing.")
    monkeypatch.setitem(JUDGES, "BN101", lambda evidence: [aside])
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


def test_a_cause_hides_what_it_explains_unless_it_is_a_remark_or_about_no_layer(monkeypatch):
    seen = evidence(measured(1.0), effect=effect(stored=0.5, recalibrated=0.9))
    for severity, layers, kept in (
        ("error", ["bn"], ["BN102"]),
        ("warning", ["bn"], ["BN102"]),
        ("info", ["bn"], ["BN603", "BN102"]),
        ("error", [], ["BN102", "BN603"]),
    ):
        cause = Finding("BN102", severity, tuple(layers), "The cause.", "Do.", evidence={"layers": layers})
        monkeypatch.setitem(JUDGES, "BN102", lambda evidence, cause=cause: [cause])
        assert [finding.code for finding in judge(seen, {"BN102", "BN603"})] == kept


@pytest.mark.parametrize("cause", ["BN601", "BN602"])
def test_what_is_said_of_batches_of_a_wrong_input_is_not_repeated(monkeypatch, cause):
    for code in (cause, "BN610"):
        monkeypatch.setitem(JUDGES, code, lambda _, code=code: [Finding(code, "error", (), "It is so.", "Do so.")])
    assert [finding.code for finding in judge(evidence(measured(0.0)))] == [cause]


def test_a_remark_hides_no_other(monkeypatch):
    cause = Finding("BN102", "info", ("bn",), "The cause.", "Nothing.")
    monkeypatch.setitem(JUDGES, "BN102", lambda evidence: [cause])
    found = judge(evidence(measured(1.0)), {"BN102", "BN603"})
    assert [(finding.code, finding.severity) for finding in found] == [("BN102", "info"), ("BN603", "info")]


def test_rules_that_are_not_selected_neither_speak_nor_suppress():
    seen = dataclasses.replace(
        evidence(measured(1.0)), layers=(layer(), dataclasses.replace(layer(), var=-layer().var))
    )
    assert [finding.code for finding in judge(seen)] == ["BN202"]
    assert [finding.code for finding in judge(seen, {"BN603", "BN600"})] == ["BN603"]
    assert judge(seen, set()) == ()


def test_every_rule_of_the_catalogue_has_a_judge():
    assert list(JUDGES) == [rule.code for rule in RULES]
    known = {rule.code for rule in RULES}
    assert {code for rule in RULES for code in rule.suppresses} <= known
