"""SARIF against the standard's own schema, and what code scanning needs beyond it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hand_made import ALL, accepted_report, broken_report, empty_report, full_report, many_layers
from jsonschema import Draft4Validator, FormatChecker, ValidationError

from bncheck.render import renderer
from bncheck.results.report import Report
from bncheck.rules.catalogue import RULES

SCHEMA = json.loads((Path(__file__).parent / "sarif" / "sarif-2.1.0-rtm.5.schema.json").read_text("utf-8"))
render = renderer("sarif")
EVERY = [*ALL.values(), accepted_report, lambda: many_layers(30)]


def run_of(report: Report) -> Any:
    (run,) = json.loads(render(report))["runs"]
    return run


def fingerprints(report: Report) -> list[str]:
    return [result["partialFingerprints"]["bncheckFinding/v1"] for result in run_of(report)["results"]]


def test_the_schema_is_one_and_refuses() -> None:
    Draft4Validator.check_schema(SCHEMA)
    wrong = json.loads(render(full_report()))
    wrong["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(ValidationError, match="'fatal' is not one of"):
        Draft4Validator(SCHEMA).validate(wrong)


@pytest.mark.parametrize("make", EVERY)
def test_every_report_fits_the_schema(make: Callable[[], Report]) -> None:
    Draft4Validator(SCHEMA, format_checker=FormatChecker()).validate(json.loads(render(make())))


@pytest.mark.parametrize("make", EVERY)
def test_a_result_for_every_finding_under_its_rule(make: Callable[[], Report]) -> None:
    report, run = make(), run_of(make())
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.code for rule in RULES]
    for finding, result in zip(report.findings, run["results"], strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding.code
        assert result["level"] == {"error": "error", "warning": "warning", "info": "note"}[finding.severity]
        named = result["locations"][0].get("logicalLocations", [])
        assert [place["fullyQualifiedName"] for place in named] == list(finding.layers) or "\n" in finding.layers[0]


def test_a_rule_carries_its_page() -> None:
    for rule, descriptor in zip(RULES, run_of(empty_report())["tool"]["driver"]["rules"], strict=True):
        assert descriptor["help"]["markdown"] == rule.page
        assert descriptor["shortDescription"]["text"] == rule.title


def test_fingerprints_differ_and_do_not_follow_the_numbers() -> None:
    report = many_layers(30)
    assert len(set(fingerprints(report))) == 30
    later = replace(
        report, findings=tuple(replace(finding, message="m", evidence={"gap": 9.0}) for finding in report.findings)
    )
    assert fingerprints(later) == fingerprints(report)
    assert fingerprints(replace(report, findings=report.findings[5:])) == fingerprints(report)[5:]
    elsewhere = replace(report, model=replace(report.model, path="other.pt"))
    assert not set(fingerprints(elsewhere)) & set(fingerprints(report))


def test_two_findings_of_one_rule_and_layer_are_two() -> None:
    report = full_report()
    assert len(set(fingerprints(replace(report, findings=report.findings[:1] * 2)))) == 2


def test_a_model_has_the_same_place_from_wherever_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = full_report()
    there = replace(report, model=replace(report.model, path=str(tmp_path / report.model.path)))
    assert fingerprints(there) == fingerprints(report)
    outside = replace(report, model=replace(report.model, path="/elsewhere/model.pt"))
    assert run_of(outside)["artifacts"][0]["location"]["uri"] == "file:///elsewhere/model.pt"


def test_paths_are_uris_and_say_the_path() -> None:
    report = accepted_report()
    assert unquote(run_of(report)["artifacts"][0]["location"]["uri"]) == report.model.path
    assert run_of(report)["artifacts"][0]["hashes"] == {"sha-256": "ab" * 32}


def test_what_was_accepted_is_suppressed_with_the_reason() -> None:
    _, accepted, other = run_of(accepted_report())["results"]
    assert accepted["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "in the baseline at 0.76, now 0.74"}
    ]
    assert "suppressions" not in other


def test_too_little_checked_is_no_success() -> None:
    (invocation,) = run_of(empty_report())["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["exitCode"] == 4
    assert invocation["toolExecutionNotifications"][0]["message"]["text"].startswith("Not checked")
    (fine,) = run_of(full_report())["invocations"]
    assert fine == {"executionSuccessful": True, "exitCode": 1}


def test_what_is_not_finite_is_null() -> None:
    assert run_of(broken_report())["results"][0]["properties"]["evidence"]["raw"] == [None, {"deep": [None, 1.0]}]
