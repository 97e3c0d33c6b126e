"""A terminal shows findings as linters do: a line each, or how many there are of each rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bncheck.encoding import one_line
from bncheck.render.terminal.layer_table import STYLES
from bncheck.render.terminal.page import print_parts
from bncheck.render.words.report import headline, too_little_checked
from bncheck.results import Finding, Report
from bncheck.rules import RULES
from bncheck.vocabulary import Severity

_TITLES = {rule.code: rule.title for rule in RULES}


@dataclass(frozen=True, slots=True)
class Counted:
    """How many findings of a rule there are of one severity; accepted ones count for nothing."""

    code: str
    severity: Severity
    findings: int


def count_by_code(reports: Sequence[Report]) -> list[Counted]:
    """The most frequent first, of those as frequent the gravest."""
    found: dict[tuple[str, Severity], int] = {}
    for finding in (finding for report in reports for finding in _counting(report)):
        key = finding.code, Severity(finding.severity)
        found[key] = found.get(key, 0) + 1
    counted = [Counted(code, severity, findings) for (code, severity), findings in found.items()]
    return sorted(counted, key=lambda each: (-each.findings, each.severity.rank, each.code))


def print_concise(report: Report, console: Console, *, among_others: bool = False) -> None:
    """Print `FILE:layer: CODE message` for each finding, and the verdict last.

    Args:
        report: what was found.
        console: where.
        among_others: it is of one file of several, and its verdict stands there alone where nothing else tells it.
    """
    print_parts(_lines(report, among_others=among_others), console)


def print_statistics(reports: Sequence[Report], console: Console) -> None:
    """Print how many findings there are of each rule, and the verdict of each report that has none."""
    counted = count_by_code(reports)
    if counted:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(justify="right")
        for each in counted:
            label = Text(each.severity, STYLES[each.severity])
            table.add_row(str(each.findings), each.code, label, _TITLES.get(each.code, ""))
        print_parts([table], console)
    untold = [report for report in reports if len(reports) == 1 or too_little_checked(report)]
    print_parts([_verdict(report, named=len(reports) > 1) for report in untold], console)


def _lines(report: Report, *, among_others: bool) -> Iterator[Text]:
    for finding in _counting(report):
        where = report.model.path if finding.layer is None else f"{report.model.path}:{finding.layer or '(the model)'}"
        code = Text(finding.code, STYLES[finding.severity])
        told = one_line(f" {finding.message} [{finding.severity}]")
        yield Text.assemble(one_line(where), ": ", code, told, no_wrap=True)
    if not among_others or too_little_checked(report):
        yield _verdict(report, named=among_others)


def _verdict(report: Report, *, named: bool) -> Text:
    said = headline(report)
    return Text(one_line(f"{report.model.path}: {said}" if named else said), no_wrap=True)


def _counting(report: Report) -> list[Finding]:
    return [finding for finding in report.findings if finding.accepted is None]
