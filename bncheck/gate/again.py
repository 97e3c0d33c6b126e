"""Judging a report again: other limits, other rules, the same measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bncheck.errors import UsageError
from bncheck.gate.verdict import Coverage, judge_findings
from bncheck.results import (
    FINDINGS,
    LIMIT,
    MEASURED,
    SKIPPED,
    Asked,
    Finding,
    Note,
    Report,
    encoded,
    next_command,
    untold_layers,
)
from bncheck.rules import RULES, beyond_limit, judged_rules, matching, require_limit
from bncheck.vocabulary import FailOn, argument


@dataclass(frozen=True, slots=True)
class Limits:
    """What a report is to be judged by; `None` and `()` leave it as the report's own run had it.

    Attributes:
        fail_on: `error`, `warning` or `never`.
        strict: count anything skipped as not checked.
        max_gap: a measured layer above it is finding BN600.
        select, ignore: rules, by code or prefix.
    """

    fail_on: FailOn | None = None
    strict: bool | None = None
    max_gap: float | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def over(self, asked: Asked) -> Asked:
        """What was asked for, with these limits in place of its own."""
        return replace(
            asked,
            fail_on=asked.fail_on if self.fail_on is None else self.fail_on,
            strict=asked.strict if self.strict is None else self.strict,
            max_gap=asked.max_gap if self.max_gap is None else self.max_gap,
            select=self.select or asked.select,
            ignore=self.ignore or asked.ignore,
        )


def judge_again(report: Report, limits: Limits) -> Report:
    """The report as it would have been under those limits.

    Raises:
        UsageError: a limit cannot be read, or the report holds nothing to judge by it.
    """
    findings = _limited(report, limits.max_gap)
    if limits.select or limits.ignore:
        codes = _codes(report, limits)
        findings = tuple(finding for finding in findings if finding.code in codes)
    limited = {name: value for name, value in encoded(limits).items() if value is not None and value != []}
    run = replace(report.run, options={**report.run.options, **limited}, asked=limits.over(report.run.asked))
    return settled(replace(report, run=run), findings)


def settled(report: Report, findings: Sequence[Finding], notes: Sequence[Note] = ()) -> Report:
    """The report with these findings instead, and the verdict and exit code that follow from them."""
    asked = report.run.asked
    verdict = judge_findings(findings, _coverage(report), fail_on=asked.fail_on, strict=asked.strict)
    layers = tuple(
        replace(layer, codes=tuple(dict.fromkeys(found.code for found in findings if layer.name in found.layers)))
        for layer in report.layers
    )
    summary = replace(report.summary, verdict=verdict.verdict, exit_code=verdict.exit_code)
    if FINDINGS in (verdict.verdict, report.summary.verdict):
        summary = replace(summary, next=next_command(findings, report.run.again))
    return replace(
        report,
        run=replace(report.run, noted=tuple(dict.fromkeys((*report.run.noted, *notes)))),
        summary=summary,
        findings=tuple(findings),
        layers=layers,
    )


def _coverage(report: Report) -> Coverage:
    """How much was looked at. Data that were given and could not be run leave the report without any."""
    statuses = [layer.status for layer in report.layers]
    smallest = report.summary.smallest_detectable_gap
    with_data = report.data is not None or report.run.asked.data is not None
    return Coverage(
        with_statistics=len(statuses) - statuses.count(SKIPPED),
        measured=statuses.count(MEASURED) if with_data else None,
        conclusive=report.data is None or (smallest is not None and smallest <= report.run.margin),
        incomplete=SKIPPED in statuses or report.summary.samples_left_out > 0,
        untold=untold_layers(report.layers),
    )


def _limited(report: Report, max_gap: float | None) -> tuple[Finding, ...]:
    """The findings, those of the limit found anew if there is another."""
    require_limit(max_gap)
    if max_gap is None:
        return report.findings
    measured = [layer for layer in report.layers if layer.status == MEASURED and layer.gap is not None]
    if not measured:
        raise UsageError(
            f"{argument('max_gap')}: this report measured no layer, so there is no gap to judge. "
            f"Inspect with {argument('data')}."
        )
    spelling = report.run.spelling
    found = [
        beyond_limit(layer.name, layer.gap, max_gap, layer.noise or 0.0) for layer in measured if layer.gap is not None
    ]
    others = [finding for finding in report.findings if finding.code != LIMIT]
    together = [*others, *(finding.told(spelling) for finding in found if finding is not None)]
    return tuple(sorted(together, key=lambda finding: (finding.severity.rank, finding.code)))


def _codes(report: Report, limits: Limits) -> frozenset[str]:
    """The rules that are wanted, some of which the report must have judged: silence is no all-clear."""
    codes = matching(limits.select or ("BN",), argument("select"))
    codes -= matching(limits.ignore, argument("ignore")) if limits.ignore else frozenset()
    judged = {rule.code for rule in judged_rules(report)} | ({LIMIT} if limits.max_gap is not None else set())
    if not codes & judged:
        chosen = ", ".join(limits.select or limits.ignore)
        raise UsageError(
            f"{argument('select')} {chosen}: this report did not judge any of these rules. Inspect the model again."
        )
    for finding in report.findings:
        hidden = codes & judged & set(_suppressed_by(finding.code))
        if finding.code not in codes and hidden:
            raise UsageError(
                f"{finding.code} was found, and {', '.join(sorted(hidden))} left out because of it, so without it this "
                f"report cannot tell. Inspect the model again with {argument('ignore')} {finding.code}."
            )
    return codes


def _suppressed_by(code: str) -> tuple[str, ...]:
    return next((rule.suppresses for rule in RULES if rule.code == code), ())
