"""Of every rule: what got worse by its own number fails, and nothing else about it does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hand_made import healthy_report, measured, summary

from bncheck.gate.acceptance import accept, unaccepted
from bncheck.gate.baseline import Baseline, accepted_now
from bncheck.gate.baseline_file import baseline_text, read_baseline
from bncheck.gate.saved import report_of
from bncheck.results.finding import Cost, Finding, Measure
from bncheck.results.report import ERROR, FINDINGS, INFO, WARNING, Report
from bncheck.rules.catalogue import RULES
from bncheck.vocabulary import Severity, Worse
from tests.rules.every_rule import FIRES, VARIANTS, variant_of
from tests.rules.every_rule import finding_of as found_by

REMARKS = [rule.code for rule in RULES if rule.severity == INFO]
FAILING = [rule.code for rule in RULES if rule.severity != INFO] + list(VARIANTS)


def finding_of(name: str) -> Finding:
    """What a rule itself finds in evidence made by hand, as grave as the rule can be."""
    finding = variant_of(name) if name in VARIANTS else found_by(name)
    return replace(finding, severity=next(rule.severity for rule in RULES if rule.code == finding.code))


def report_on(*findings: Finding, gap: float = 0.00001) -> Report:
    """A report of those findings, whose layers are off by that gap."""
    layers = tuple(
        measured(name, [gap], [1.0]) for name in sorted({layer for one in findings for layer in one.layers} | {"0.bn"})
    )
    return replace(
        healthy_report(), findings=findings, layers=layers, summary=summary(layers, FINDINGS, 1, smallest=0.002)
    )


def known(finding: Finding, folder: Path) -> Baseline:
    """The baseline that accepts it, as its file says."""
    path = folder / "known.json"
    path.write_text(baseline_text(accepted_now(report_on(finding))), encoding="utf-8")
    return read_baseline(path)


def exit_code(report: Report, baseline: Baseline) -> int:
    return accept(report, baseline=baseline).summary.exit_code


def times(measure: Measure, factor: float) -> Measure:
    """The measure with its numbers that many times as bad."""

    def of(value: float) -> float:
        return value * factor if (measure.worse is Worse.HIGHER) == (value > 0) else value / factor

    return replace(
        measure,
        value=None if measure.value is None else of(measure.value),
        layers={name: of(value) for name, value in measure.layers.items()},
    )


def test_every_rule_has_a_finding() -> None:
    assert set(FIRES) == {rule.code for rule in RULES}
    assert all(finding_of(name).measure.value is not None for name in (*FIRES, *VARIANTS))


@pytest.mark.parametrize("code", FAILING)
def test_ten_times_worse_fails(code: str, tmp_path: Path) -> None:
    finding = finding_of(code)
    baseline = known(finding, tmp_path)
    assert exit_code(report_on(finding), baseline) == 0
    worse = replace(finding, measure=times(finding.measure, 10))
    assert exit_code(report_on(worse), baseline) == 1
    better = replace(finding, measure=times(finding.measure, 0.1))
    assert exit_code(report_on(better), baseline) == 0


@pytest.mark.parametrize("code", FAILING)
def test_one_layer_that_is_ten_times_worse_fails(code: str, tmp_path: Path) -> None:
    finding = finding_of(code)
    baseline = known(finding, tmp_path)
    for name in finding.measure.layers:
        worse = times(finding.measure, 10).layers[name]
        measure = replace(finding.measure, layers={**finding.measure.layers, name: worse})
        assert exit_code(report_on(replace(finding, measure=measure)), baseline) == 1


@pytest.mark.parametrize("code", FAILING)
def test_all_else_may_change(code: str, tmp_path: Path) -> None:
    finding = finding_of(code)
    baseline = known(finding, tmp_path)
    otherwise = replace(
        finding,
        message="Another sentence, 64 of 64.",
        fix="Do something else.",
        cost=Cost("accuracy", 0.9, 0.1, 0.7, 0.9),
        evidence={"gap": 1e6, "gaps": [1e6, 1e6], "layers": ["0.bn", "1.bn"], "count": 64, "output_change": 9.0},
        measure=replace(finding.measure, layers=dict(reversed(finding.measure.layers.items()))),
    )
    drifted = report_on(otherwise, gap=0.12)
    assert exit_code(drifted, baseline) == 0
    assert exit_code(report_of(json.loads(json.dumps(drifted.to_dict()))), baseline) == 0


@pytest.mark.parametrize("code", FAILING)
def test_what_can_no_longer_be_told_fails(code: str, tmp_path: Path) -> None:
    finding = finding_of(code)
    lost = replace(finding, measure=replace(finding.measure, value=None, layers={}))
    assert exit_code(report_on(lost), known(finding, tmp_path)) == 1


@pytest.mark.parametrize("code", FAILING)
def test_another_layer_fails(code: str, tmp_path: Path) -> None:
    finding = finding_of(code)
    baseline = known(finding, tmp_path)
    new = replace(finding, layers=("another.bn",), measure=replace(finding.measure, layers={}))
    assert exit_code(report_on(new), baseline) == 1


@pytest.mark.parametrize("code", FAILING)
def test_a_graver_severity_fails(code: str, tmp_path: Path) -> None:
    mild = replace(finding_of(code), severity=WARNING)
    assert exit_code(report_on(replace(mild, severity=ERROR)), known(mild, tmp_path)) == 1


@pytest.mark.parametrize("code", REMARKS)
def test_remarks_stand_in_no_baseline(code: str) -> None:
    report = report_on(finding_of(code))
    assert accepted_now(report) == ()
    assert exit_code(report, Baseline("b", ())) == 0


VERSION_1 = {"code": "BN202", "layer": "bn", "severity": "error", "value": 0.00001, "tolerance": 0.01}


def version_1(folder: Path, **changes: object) -> Baseline:
    """A baseline of the version that kept the layer's gap, whatever the rule measured."""
    path = folder / "known.json"
    entry = {key: value for key, value in (VERSION_1 | changes).items() if value is not None}
    path.write_text(json.dumps({"bncheck_baseline": 1, "findings": [entry]}), encoding="utf-8")
    return read_baseline(path)


@pytest.mark.parametrize("value", [None, 0.00001, 865.0])
def test_version_1_compares_the_severity_where_the_rule_has_another_number(value: float | None, tmp_path: Path) -> None:
    baseline = version_1(tmp_path, value=value, tolerance=None if value is None else 0.01)
    judged = accept(report_on(finding_of("BN202"), gap=0.12), baseline=baseline)
    assert judged.summary.exit_code == 0
    (note,) = (note for note in judged.run.notes if "earlier version" in note)
    assert note == (
        f"{tmp_path / 'known.json'} was written by an earlier version and does not say how bad BN202 in bn was in "
        f"the rule's own number, so the severity alone was compared. Add --write-baseline {tmp_path / 'known.json'} "
        "to write how bad it is now"
    )
    mild = version_1(tmp_path, severity="warning", value=value, tolerance=None if value is None else 0.01)
    assert exit_code(report_on(finding_of("BN202")), mild) == 1


@pytest.mark.parametrize(("gap", "code"), [(0.8, 0), (0.88, 0), (0.9, 1), (8.0, 1), (None, 1)])
def test_version_1_compares_gaps_with_gaps(gap: float | None, code: int, tmp_path: Path) -> None:
    baseline = version_1(tmp_path, code="BN600", value=0.8, tolerance=0.08)
    finding = replace(finding_of("BN600"), measure=Measure("gap", gap))
    judged = accept(report_on(finding), baseline=baseline)
    assert judged.summary.exit_code == code
    assert not any("earlier version" in note for note in judged.run.notes)


def test_a_report_of_an_earlier_version_cannot_be_shown_to_be_no_worse(tmp_path: Path) -> None:
    document = report_on(finding_of("BN202")).to_dict()
    for key in ("measure", "cost", "accepted", "layers"):
        del document["findings"][0][key]
    report = unaccepted(report_of(document))
    assert exit_code(report, known(finding_of("BN202"), tmp_path)) == 1
    assert exit_code(report, version_1(tmp_path)) == 0


def test_severities_are_ranked_as_they_are_listed() -> None:
    assert sorted(Severity, key=lambda each: each.rank) == [ERROR, WARNING, Severity.INFO]
