"""JUnit XML, read back: its counts add up, every rule has one case, and red means exit code 1 or 4."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hand_made import ALL, accepted_report, empty_report, full_report, healthy_report, many_layers, run, static_report

from bncheck.render import renderer
from bncheck.results.report import INCONCLUSIVE, Report
from bncheck.rules.catalogue import RULES

render = renderer("junit")
ALLOWED = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"classname", "name", "time"},
    "skipped": {"message"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "system-out": set(),
}
"""The elements and attributes of Jenkins's schema (junit-10.xsd) that are used, and no others."""
EVERY = [*ALL.values(), accepted_report, lambda: many_layers(30)]


def parsed(report: Report) -> Element:
    return ElementTree.fromstring(render(report))


def cases(report: Report) -> dict[str, Element]:
    """By code."""
    return {case.get("name", "")[:5]: case for case in parsed(report).iter("testcase")}


def outcome(case: Element) -> str:
    return next((child.tag for child in case if child.tag != "system-out"), "passed")


@pytest.mark.parametrize("make", EVERY)
def test_it_is_the_common_dialect(make: Callable[[], Report]) -> None:
    root = parsed(make())
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) == ALLOWED[element.tag]
    for case in root.iter("testcase"):
        assert len(case) <= 1, "servers show one outcome of a case"
        assert case.get("classname")
        assert case.get("name")


@pytest.mark.parametrize("make", EVERY)
def test_the_counts_are_those_of_the_cases(make: Callable[[], Report]) -> None:
    root = parsed(make())
    for element in (root, root[0]):
        assert int(element.get("tests", "")) == len(list(root.iter("testcase")))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            if tag != "skipped" or element is not root:
                assert int(element.get(attribute, "")) == len(list(root.iter(tag)))


@pytest.mark.parametrize("make", EVERY)
def test_no_two_cases_have_the_same_name(make: Callable[[], Report]) -> None:
    named = [(case.get("classname"), case.get("name")) for case in parsed(make()).iter("testcase")]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("make", EVERY)
def test_it_is_red_where_the_exit_code_is_not_0(make: Callable[[], Report]) -> None:
    report = make()
    outcomes = {outcome(case) for case in parsed(report).iter("testcase")}
    assert ("failure" in outcomes) == (report.summary.exit_code == 1)
    assert ("error" in outcomes) == (report.summary.exit_code == 4)


@pytest.mark.parametrize("make", EVERY)
def test_every_rule_has_one_case_however_many_layers(make: Callable[[], Report]) -> None:
    named = [case.get("name", "") for case in parsed(make()).iter("testcase")]
    assert named == [*(f"{rule.code} {rule.title}" for rule in RULES), "coverage"]


def test_the_whole_of_300_layers_is_a_page() -> None:
    assert len(render(many_layers(300))) < 100_000


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        ({}, "BN403", "needs reference"),
        ({"select": ["BN2"]}, "BN603", "not selected"),
        ({"ignore": ["BN6"]}, "BN605", "ignored"),
    ],
)
def test_rules_that_were_not_judged_are_skipped_with_the_reason(
    options: dict[str, list[str]], code: str, reason: str
) -> None:
    skipped = cases(replace(healthy_report(), run=run(options=options)))[code][0]
    assert (skipped.tag, skipped.get("message")) == ("skipped", reason)


def test_without_data_the_rules_that_need_them_are_skipped() -> None:
    found = cases(static_report())
    assert outcome(found["BN201"]) == "passed"
    assert {found[code][0].get("message") for code in ("BN600", "BN603", "BN706")} == {"needs data"}
    with_reference = cases(replace(full_report(), run=run(options={"reference": "model.pt"})))
    assert outcome(with_reference["BN403"]) == "passed"


def test_a_finding_fails_its_rule_and_names_the_layers() -> None:
    (failure,) = cases(full_report())["BN603"]
    assert failure.tag == "failure"
    assert failure.get("type") == "BN603"
    assert (failure.get("message") or "").startswith("The stored statistics of 2 layers")
    assert "What to do: Check the preprocessing first" in (failure.text or "")
    for layer in ("backbone.features.denseblock3.denselayer24.norm2", "backbone.transition.norm"):
        assert layer in (failure.text or "")


def test_info_passes_and_is_told() -> None:
    case = cases(full_report())["BN706"]
    assert outcome(case) == "passed"
    assert "was never run" in (case[0].text or "")


def test_layers_that_were_skipped_are_named_with_the_reason() -> None:
    text = cases(full_report())["cover"][0].text or ""
    assert "auxiliary_classifier.branch3x3dbl.bn: not-exercised" in text
    assert "decoder.group_norm: no-running-statistics" in text


@pytest.mark.parametrize(("fail_on", "red"), [("warning", {"BN600", "BN603"}), ("error", {"BN600"}), ("never", set())])
def test_red_follows_fail_on(fail_on: str, red: set[str]) -> None:
    report = replace(full_report(), run=run(options={"fail_on": fail_on}))
    assert {code for code, case in cases(report).items() if outcome(case) == "failure"} == red


def test_what_was_accepted_passes_and_says_why() -> None:
    case = cases(accepted_report())["BN603"]
    assert outcome(case) == "passed"
    assert "Accepted: in the baseline at 0.76, now 0.74" in (case[0].text or "")


def test_a_finding_of_no_layer_is_told_and_nothing_checked_is_an_error() -> None:
    found = cases(empty_report())
    assert "no stored normalization statistics" in (found["BN705"][0].text or "")
    assert found["cover"][0].tag == "error"
    assert (found["cover"][0].get("message") or "").startswith("Not checked")


def test_inconclusive_is_an_error_not_green() -> None:
    report = healthy_report()
    doubtful = replace(report, summary=replace(report.summary, verdict=INCONCLUSIVE, exit_code=4))
    assert outcome(cases(report)["cover"]) == "passed"
    assert outcome(cases(doubtful)["cover"]) == "error"
