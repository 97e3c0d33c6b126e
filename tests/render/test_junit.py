"""JUnit XML, read back: its counts add up, every layer has a case for every rule, and red means exit code 1 or 4."""

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


def cases(report: Report) -> dict[tuple[str, str], Element]:
    """By layer and code."""
    return {(case.get("classname", ""), case.get("name", "")[:5]): case for case in parsed(report).iter("testcase")}


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


def test_every_layer_has_a_case_for_every_rule_that_was_judged() -> None:
    report = full_report()
    judged = {rule.code for rule in RULES} - {"BN402", "BN403"}  # no reference was given
    listed = {code for layer, code in cases(report) if layer == "decoder.frozen"}
    assert judged >= listed >= {"BN101", "BN102", "BN201", "BN202", "BN600", "BN603", "BN706"}
    for layer in report.layers:
        assert {code for name, code in cases(report) if name == layer.name} == listed
    assert "BN403" in {code for _, code in cases(replace(report, run=run(options={"reference": "model.pt"})))}


def test_without_data_there_are_no_cases_of_rules_that_need_them() -> None:
    codes = {code for _, code in cases(static_report())}
    assert "BN202" in codes
    assert not codes & {"BN600", "BN603", "BN706", "BN707"}


@pytest.mark.parametrize(
    ("options", "left"), [({"select": ["BN2,BN706"]}, {"BN201", "BN202", "BN706"}), ({"ignore": ["BN2"]}, {"BN101"})]
)
def test_rules_that_were_not_selected_have_no_cases(options: dict[str, list[str]], left: set[str]) -> None:
    codes = {code for _, code in cases(replace(healthy_report(), run=run(options=options)))}
    assert left <= codes
    if "select" in options:
        assert codes <= left | {code for code in codes if code.startswith("BN2")} | {"cover"}
    else:
        assert not any(code.startswith("BN2") for code in codes)


def test_a_finding_fails_the_case_of_every_layer_it_is_about() -> None:
    found = cases(full_report())
    for layer in ("backbone.features.denseblock3.denselayer24.norm2", "backbone.transition.norm"):
        (failure,) = found[layer, "BN603"]
        assert failure.tag == "failure"
        assert failure.get("type") == "BN603"
        assert (failure.get("message") or "").startswith("The stored statistics of 2 layers")
        assert "What to do: Check the preprocessing first" in (failure.text or "")
    assert outcome(found["backbone.stem.bn", "BN603"]) == "passed"


def test_info_passes_and_is_told() -> None:
    case = cases(full_report())["auxiliary_classifier.branch3x3dbl.bn", "BN706"]
    assert outcome(case) == "passed"
    assert "was never run" in (case[0].text or "")


def test_a_skipped_layer_is_skipped_with_its_reason_where_its_values_do_not_tell() -> None:
    found = cases(full_report())
    assert found["auxiliary_classifier.branch3x3dbl.bn", "BN603"][0].get("message") == "not-exercised"
    assert outcome(found["auxiliary_classifier.branch3x3dbl.bn", "BN201"]) == "passed"
    assert found["decoder.group_norm", "BN201"][0].get("message") == "no-running-statistics"


@pytest.mark.parametrize(("fail_on", "red"), [("warning", {"BN600", "BN603"}), ("error", {"BN600"}), ("never", set())])
def test_red_follows_fail_on(fail_on: str, red: set[str]) -> None:
    report = replace(full_report(), run=run(options={"fail_on": fail_on}))
    assert {code for (_, code), case in cases(report).items() if outcome(case) == "failure"} == red


def test_what_was_accepted_passes_and_says_why() -> None:
    case = cases(accepted_report())["backbone.transition.norm", "BN603"]
    assert outcome(case) == "passed"
    assert "Accepted: in the baseline at 0.76, now 0.74" in (case[0].text or "")


def test_a_finding_of_no_layer_is_the_models() -> None:
    case = cases(empty_report())["(the model)", "BN705"]
    assert "no stored normalization statistics" in (case[0].text or "")
    coverage = cases(empty_report())["(the model)", "cover"]
    assert coverage[0].tag == "error"
    assert (coverage[0].get("message") or "").startswith("Not checked")


def test_inconclusive_is_an_error_not_green() -> None:
    report = healthy_report()
    doubtful = replace(report, summary=replace(report.summary, verdict=INCONCLUSIVE, exit_code=4))
    assert outcome(cases(report)["(the model)", "cover"]) == "passed"
    assert outcome(cases(doubtful)["(the model)", "cover"]) == "error"
