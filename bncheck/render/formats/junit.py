"""JUnit XML has one case per layer and rule, for the test pages of CI servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from bncheck import encoding
from bncheck.render.format import Format, Result
from bncheck.render.told import judged_report, told
from bncheck.render.words.cells import number, printable
from bncheck.render.words.repair import closing_lines, verdict_lines
from bncheck.render.words.report import concerning, headline, too_little_checked
from bncheck.results import ERROR, SKIPPED, WARNING, WORSE, Difference, Finding, LayerReport, RepairResult, Report
from bncheck.rules import Rule, judged_rules
from bncheck.vocabulary import FailOn, Reason, Severity

THE_MODEL = "(the model)"
REPAIR, REPAIRED = "repair outcome", "repaired statistics"
FROZEN, COMPARED = "BN402 frozen statistics", "statistics compared"
_FAILING: dict[FailOn, tuple[Severity, ...]] = {
    FailOn.ERROR: (ERROR,),
    FailOn.WARNING: (ERROR, WARNING),
    FailOn.NEVER: (),
}
_WITHOUT_STATISTICS = (Reason.NO_STATISTICS, Reason.FOLDED, Reason.UNSUPPORTED)


@dataclass(frozen=True, slots=True)
class _Case:
    """A test case; `outcome` is `failure`, `error` or `skipped`, empty where it passed."""

    place: str
    name: str
    outcome: str = ""
    message: str = ""
    text: str = ""


def of_report(report: Report) -> str:
    """One suite. Findings that `--fail-on` lets pass, and accepted ones, are told in cases that pass.

    A layer that was skipped has skipped cases. Exit code 4 (too little was checked) is an error of the case
    `coverage`: a green page would tell otherwise.
    """
    return _document(report, _cases_of_report(report), _properties(report))


def of_repair(repair: RepairResult) -> str:
    """The suite of the repaired model, with a case for every layer that was to be repaired and one for the outcome.

    Layers that keep their statistics are skipped; a refused repair fails, and one of nothing is an error.
    """
    report = judged_report(repair)
    cases = [*_cases_of_repair(repair), *_cases_of_report(report)]
    properties = [*_properties(report), ("repair_method", repair.method), ("repair_outcome", repair.outcome)]
    return _document(repair, cases, properties)


def of_difference(difference: Difference) -> str:
    """One suite: a case for every layer that both files have, failed where it moved and was to be frozen."""
    properties = [
        ("bncheck", difference.version),
        ("before", difference.before.path),
        ("sha256", difference.after.sha256 or ""),
        ("verdict", difference.summary.verdict),
        ("exit_code", str(difference.summary.exit_code)),
    ]
    return _document(difference, list(_cases_of_difference(difference)), properties)


def _document(result: Result, cases: Sequence[_Case], values: Iterable[tuple[str, str]]) -> str:
    counts = {kind: sum(case.outcome == kind for case in cases) for kind in ("failure", "error", "skipped")}
    totals = {"tests": str(len(cases)), "failures": str(counts["failure"]), "errors": str(counts["error"])}
    root = ElementTree.Element("testsuites", {"name": "bncheck", **totals, "time": "0"})
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        {"name": printable(told(result).model.path), **totals, "skipped": str(counts["skipped"]), "time": "0"},
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in values:
        ElementTree.SubElement(properties, "property", {"name": name, "value": printable(value)})
    for case in cases:
        suite.append(_element(case))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _properties(report: Report) -> Iterator[tuple[str, str]]:
    yield "bncheck", report.version
    yield "sha256", report.model.sha256 or ""
    yield "data", report.data.source if report.data else ""
    yield "verdict", report.summary.verdict
    yield "exit_code", str(report.summary.exit_code)


def _cases_of_report(report: Report) -> list[_Case]:
    return [*_cases_of_layers(report), *_cases_of_model(report), _coverage(report)]


def _cases_of_repair(repair: RepairResult) -> Iterator[_Case]:
    for layer in repair.layers:
        if layer.changed:
            gaps = f"gap {number(layer.gap_before)} before, {number(layer.gap_after)} after"
            yield _Case(layer.name or THE_MODEL, REPAIRED, text=gaps)
        else:
            yield _Case(layer.name or THE_MODEL, REPAIRED, "skipped", layer.reason or SKIPPED)
    about = told(repair)
    outcome = "failure" if repair.refused and repair.outcome == WORSE else "error" if about.alarm else ""
    text = "\n".join([*verdict_lines(repair), *closing_lines(repair)])
    yield _Case(THE_MODEL, REPAIR, outcome, about.headline, text)


def _cases_of_difference(difference: Difference) -> Iterator[_Case]:
    found = {name: finding for finding in difference.findings for name in finding.layers}
    for layer in difference.layers:
        name = FROZEN if layer.expected_frozen else COMPARED
        moved = f"moved by a gap of {number(layer.gap)}" if layer.moved else "not moved"
        finding = found.get(layer.name)
        if layer.expected_frozen and layer.moved:
            text = _text(finding) if finding else moved
            yield _Case(layer.name or THE_MODEL, name, "failure", finding.message if finding else moved, text)
        else:
            yield _Case(layer.name or THE_MODEL, name, text=moved)
    about = told(difference)
    text = f"exit code {about.exit_code}"
    yield _Case(THE_MODEL, "coverage", "error", about.alarm, text) if about.alarm else _Case(THE_MODEL, "coverage")


def _cases_of_layers(report: Report) -> Iterator[_Case]:
    rules, findings = judged_rules(report), concerning(report)
    for layer in report.layers:
        for rule in rules:
            found = [finding for finding in findings.get(layer.name, ()) if finding.code == rule.code]
            if found:
                yield _found(layer.name or THE_MODEL, rule, found, report)
            elif reason := _unjudged(layer, rule):
                yield _Case(layer.name or THE_MODEL, _name(rule), "skipped", reason)
            else:
                yield _Case(layer.name or THE_MODEL, _name(rule))


def _cases_of_model(report: Report) -> Iterator[_Case]:
    """The findings that name no layer of the report."""
    listed = {layer.name for layer in report.layers}
    for rule in judged_rules(report):
        unplaced = [found for found in report.findings if found.code == rule.code and not listed & set(found.layers)]
        if unplaced:
            yield _found(THE_MODEL, rule, unplaced, report)


def _coverage(report: Report) -> _Case:
    if too_little_checked(report):
        return _Case(THE_MODEL, "coverage", "error", headline(report), f"exit code {report.summary.exit_code}")
    return _Case(THE_MODEL, "coverage")


def _unjudged(layer: LayerReport, rule: Rule) -> str | None:
    """Why the rule could not be judged on that layer."""
    if layer.status != SKIPPED:
        return None
    by_values = "statistics" in rule.needs and layer.reason not in _WITHOUT_STATISTICS
    return None if by_values else (layer.reason or SKIPPED)


def _found(place: str, rule: Rule, findings: Sequence[Finding], report: Report) -> _Case:
    failing = _FAILING[report.run.asked.fail_on]
    counted = [found for found in findings if found.accepted is None and found.severity in failing]
    told = counted or findings
    text = "\n\n".join(_text(found) for found in told)
    return _Case(place, _name(rule), "failure" if counted else "", told[0].message, text)


def _text(finding: Finding) -> str:
    accepted = [] if finding.accepted is None else [f"Accepted: {finding.accepted}"]
    lines = [f"{finding.severity}: {finding.message}", *accepted, f"What to do: {finding.fix}"]
    return "\n".join(map(encoding.printable, lines))


def _name(rule: Rule) -> str:
    return f"{rule.code} {rule.title}"


def _element(case: _Case) -> ElementTree.Element:
    place = printable(case.place).replace("\n", "�")
    element = ElementTree.Element("testcase", {"classname": place, "name": printable(case.name), "time": "0"})
    if case.outcome == "skipped":
        ElementTree.SubElement(element, "skipped", {"message": printable(case.message)})
    elif case.outcome:
        attributes = {"message": printable(case.message), "type": case.name.split()[0]}
        ElementTree.SubElement(element, case.outcome, attributes).text = printable(case.text)
    elif case.text:
        ElementTree.SubElement(element, "system-out").text = printable(case.text)
    return element


FORMAT = Format("junit", (".xml",), of_report, of_repair, of_difference)
