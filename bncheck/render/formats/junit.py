"""JUnit XML has one case per rule, for the test pages of CI servers; its text names the layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from bncheck import encoding
from bncheck.render.format import Format, Result
from bncheck.render.repaired.closing import closing_lines
from bncheck.render.told import judged_report, told
from bncheck.render.words.cells import number, printable
from bncheck.render.words.repair import verdict_lines
from bncheck.render.words.report import headline, too_little_checked
from bncheck.results import (
    ERROR,
    SKIPPED,
    WARNING,
    WORSE,
    Difference,
    Finding,
    LayerRepair,
    LayerReport,
    RepairResult,
    Report,
)
from bncheck.rules import RULES, Rule, why_not_judged
from bncheck.vocabulary import FailOn, Severity

THE_MODEL = "(the model)"
REPAIR, COVERAGE = "repair outcome", "coverage"
FROZEN, COMPARED = "BN402 frozen statistics", "statistics compared"
_FAILING: dict[FailOn, tuple[Severity, ...]] = {
    FailOn.ERROR: (ERROR,),
    FailOn.WARNING: (ERROR, WARNING),
    FailOn.NEVER: (),
}


@dataclass(frozen=True, slots=True)
class _Case:
    """A test case; `outcome` is `failure`, `error` or `skipped`, empty where it passed."""

    name: str
    outcome: str = ""
    message: str = ""
    text: str = ""


def of_report(report: Report) -> str:
    """One suite. Findings that `--fail-on` lets pass, and accepted ones, are told in cases that pass.

    A rule that was not judged is skipped, with the reason. Exit code 4 (too little was checked) is an error of the case
    `coverage`: a green page would tell otherwise. It names the layers that were skipped.
    """
    return _document(report, _cases_of_report(report), _properties(report))


def of_repair(repair: RepairResult) -> str:
    """The suite of the repaired model, with a case for the outcome, whose text tells what became of every layer.

    A refused repair fails, and one of nothing is an error.
    """
    report = judged_report(repair)
    cases = [*_cases_of_repair(repair), *_cases_of_report(report)]
    properties = [*_properties(report), ("repair_method", repair.method), ("repair_outcome", repair.outcome)]
    return _document(repair, cases, properties)


def of_difference(difference: Difference) -> str:
    """One suite: a case for what moved, and one for what was to be frozen, failed where a layer of that moved."""
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
        suite.append(_element(case, printable(told(result).model.path)))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _properties(report: Report) -> Iterator[tuple[str, str]]:
    yield "bncheck", report.version
    yield "sha256", report.model.sha256 or ""
    yield "data", report.data.source if report.data else ""
    yield "verdict", report.summary.verdict
    yield "exit_code", str(report.summary.exit_code)


def _cases_of_report(report: Report) -> list[_Case]:
    return [*_cases_of_rules(report), _coverage(report)]


def _cases_of_rules(report: Report) -> Iterator[_Case]:
    for rule in RULES:
        found = [finding for finding in report.findings if finding.code == rule.code]
        if found:
            yield _found(rule, found, report)
        elif reason := why_not_judged(rule, report):
            yield _Case(_name(rule), "skipped", reason)
        else:
            yield _Case(_name(rule))


def _cases_of_repair(repair: RepairResult) -> Iterator[_Case]:
    about = told(repair)
    outcome = "failure" if repair.refused and repair.outcome == WORSE else "error" if about.alarm else ""
    text = [*verdict_lines(repair), *closing_lines(repair), *map(_repaired, repair.layers)]
    yield _Case(REPAIR, outcome, about.headline, "\n".join(text))


def _repaired(layer: LayerRepair) -> str:
    """What became of a layer."""
    name = _called(layer.name)
    if not layer.changed:
        return f"{name}: not repaired, {layer.reason or SKIPPED}"
    return f"{name}: gap {number(layer.gap_before)} before, {number(layer.gap_after)} after"


def _cases_of_difference(difference: Difference) -> Iterator[_Case]:
    moved = [layer for layer in difference.layers if layer.moved]
    text = "\n".join(f"{_called(layer.name)}: moved by a gap of {number(layer.gap)}" for layer in moved)
    yield _Case(COMPARED, text=text or "no layer moved")
    if any(layer.expected_frozen for layer in difference.layers):
        broken = [finding for finding in difference.findings if finding.layers]
        told_of = "\n\n".join(map(_text, broken))
        yield _Case(FROZEN, "failure" if broken else "", broken[0].message if broken else "", told_of)
    about = told(difference)
    text = f"exit code {about.exit_code}"
    yield _Case(COVERAGE, "error", about.alarm, text) if about.alarm else _Case(COVERAGE)


def _coverage(report: Report) -> _Case:
    skipped = [f"{_called(layer.name)}: {layer.reason or SKIPPED}" for layer in report.layers if _is_skipped(layer)]
    text = "\n".join([f"exit code {report.summary.exit_code}", *skipped])
    if too_little_checked(report):
        return _Case(COVERAGE, "error", headline(report), text)
    return _Case(COVERAGE, text="\n".join(skipped))


def _is_skipped(layer: LayerReport) -> bool:
    return layer.status == SKIPPED


def _found(rule: Rule, findings: Sequence[Finding], report: Report) -> _Case:
    failing = _FAILING[report.run.asked.fail_on]
    counted = [found for found in findings if found.accepted is None and found.severity in failing]
    told = counted or findings
    text = "\n\n".join(_text(found) for found in told)
    return _Case(_name(rule), "failure" if counted else "", told[0].message, text)


def _text(finding: Finding) -> str:
    accepted = [] if finding.accepted is None else [f"Accepted: {finding.accepted}"]
    layers = [f"Layers: {', '.join(map(_called, finding.layers))}"] if finding.layers else []
    lines = [f"{finding.severity}: {finding.message}", *layers, *accepted, f"What to do: {finding.fix}"]
    return "\n".join(map(encoding.printable, lines))


def _called(layer: str) -> str:
    """A layer's name, in one line."""
    return encoding.one_line(layer) or THE_MODEL


def _name(rule: Rule) -> str:
    return f"{rule.code} {rule.title}"


def _element(case: _Case, place: str) -> ElementTree.Element:
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
