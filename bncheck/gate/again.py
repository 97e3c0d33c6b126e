"""Judging a report again: other limits, other rules, the same measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bncheck.errors import UsageError
from bncheck.gate.verdict import Coverage, judge_findings
from bncheck.results.finding import Finding
from bncheck.results.report import LEFT_OUT, MEASURED, SKIPPED, WARNING, Report
from bncheck.rules.catalogue import RULES, SEVERITY_ORDER, matching
from bncheck.rules.judged import judged_rules
from bncheck.rules.limit import CODE, beyond_limit, require_limit
from bncheck.vocabulary import Spelling, spelled


@dataclass(frozen=True, slots=True)
class Limits:
    """What a report is to be judged by; `None` and `()` leave it as the report's own run had it.

    Attributes:
        fail_on: `error`, `warning` or `never`.
        strict: count anything skipped as not checked.
        max_gap: a measured layer above it is finding BN600.
        select, ignore: rules, by code or prefix.
    """

    fail_on: str | None = None
    strict: bool | None = None
    max_gap: float | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


def judge_again(report: Report, limits: Limits) -> Report:
    """The report as it would have been under those limits.

    Raises:
        UsageError: a limit cannot be read, or the report holds nothing to judge by it.
    """
    findings = _limited(report, limits.max_gap)
    if limits.select or limits.ignore:
        codes = _codes(report, limits)
        findings = tuple(finding for finding in findings if finding.code in codes)
    changed = {
        "fail_on": limits.fail_on,
        "strict": limits.strict,
        "max_gap": limits.max_gap,
        "select": list(limits.select) or None,
        "ignore": list(limits.ignore) or None,
    }
    options = {**report.run.options, **{name: value for name, value in changed.items() if value is not None}}
    return settled(replace(report, run=replace(report.run, options=options)), findings)


def settled(report: Report, findings: Sequence[Finding], notes: Sequence[str] = ()) -> Report:
    """The report with these findings instead, and the verdict and exit code that follow from them."""
    options = report.run.options
    fail_on, strict = str(options.get("fail_on", WARNING)), bool(options.get("strict", False))
    verdict = judge_findings(findings, _coverage(report), fail_on=fail_on, strict=strict)
    layers = tuple(
        replace(layer, codes=tuple(dict.fromkeys(found.code for found in findings if layer.name in found.layers)))
        for layer in report.layers
    )
    return replace(
        report,
        run=replace(report.run, notes=tuple(dict.fromkeys((*report.run.notes, *notes)))),
        summary=replace(report.summary, verdict=verdict.verdict, exit_code=verdict.exit_code),
        findings=tuple(findings),
        layers=layers,
    )


def _coverage(report: Report) -> Coverage:
    """How much was looked at. Data that were given and could not be run leave the report without any."""
    statuses = [layer.status for layer in report.layers]
    smallest = report.summary.smallest_detectable_gap
    with_data = report.data is not None or report.run.options.get("data") is not None
    return Coverage(
        with_statistics=len(statuses) - statuses.count(SKIPPED),
        measured=statuses.count(MEASURED) if with_data else None,
        conclusive=report.data is None or (smallest is not None and smallest <= report.run.thresholds["margin"]),
        incomplete=SKIPPED in statuses or any(LEFT_OUT in note for note in report.run.notes),
    )


def _limited(report: Report, max_gap: float | None) -> tuple[Finding, ...]:
    """The findings, those of the limit found anew if there is another."""
    require_limit(max_gap)
    if max_gap is None:
        return report.findings
    measured = [layer for layer in report.layers if layer.status == MEASURED and layer.gap is not None]
    if not measured:
        raise UsageError("--max-gap: this report measured no layer, so there is no gap to judge. Inspect with --data.")
    found = [
        beyond_limit(layer.name, layer.gap, max_gap, layer.noise or 0.0) for layer in measured if layer.gap is not None
    ]
    spelling = Spelling.COMMAND_LINE if report.run.command.startswith("bncheck ") else Spelling.PYTHON
    found = [None if finding is None else replace(finding, fix=spelled(finding.fix, spelling)) for finding in found]
    others = [finding for finding in report.findings if finding.code != CODE]
    together = [*others, *(finding for finding in found if finding is not None)]
    return tuple(sorted(together, key=lambda finding: (SEVERITY_ORDER[finding.severity], finding.code)))


def _codes(report: Report, limits: Limits) -> frozenset[str]:
    """The rules that are wanted, some of which the report must have judged: silence is no all-clear."""
    codes = matching(limits.select or ("BN",), "--select")
    codes -= matching(limits.ignore, "--ignore") if limits.ignore else frozenset()
    judged = {rule.code for rule in judged_rules(report)} | ({CODE} if limits.max_gap is not None else set())
    if not codes & judged:
        chosen = ", ".join(limits.select or limits.ignore)
        raise UsageError(f"--select {chosen}: this report did not judge any of these rules. Inspect the model again.")
    for finding in report.findings:
        hidden = codes & judged & set(_suppressed_by(finding.code))
        if finding.code not in codes and hidden:
            raise UsageError(
                f"{finding.code} was found, and {', '.join(sorted(hidden))} left out because of it, so without it this "
                f"report cannot tell. Inspect the model again with --ignore {finding.code}."
            )
    return codes


def _suppressed_by(code: str) -> tuple[str, ...]:
    return next((rule.suppresses for rule in RULES if rule.code == code), ())
