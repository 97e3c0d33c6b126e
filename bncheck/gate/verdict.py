"""The verdict, and the exit code it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bncheck.errors import not_one_of
from bncheck.results import Finding, unexplained
from bncheck.vocabulary import FailOn, Severity
from bncheck.vocabulary import Verdict as Outcome

FAIL_ON = tuple(FailOn)
EXIT_OK, EXIT_FINDINGS, EXIT_NOT_CHECKED = 0, 1, 4
_FAILING: Mapping[FailOn, frozenset[Severity]] = {
    FailOn.ERROR: frozenset({Severity.ERROR}),
    FailOn.WARNING: frozenset({Severity.ERROR, Severity.WARNING}),
    FailOn.NEVER: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much was looked at.

    Attributes:
        with_statistics: layers of the model that store (or should store) statistics.
        measured: layers the data exercised; `None` without data.
        conclusive: there were enough samples to see a gap that matters.
        incomplete: a layer or a sample was skipped.
        untold: names of measured layers whose gap is no number.
    """

    with_statistics: int
    measured: int | None
    conclusive: bool
    incomplete: bool
    untold: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the report concludes, and what the process ends with."""

    verdict: Outcome
    exit_code: int


def fail_on_named(name: str) -> FailOn:
    """The severity of that name, from which findings fail.

    Raises:
        UsageError: it is none of `error`, `warning` and `never`.
    """
    if name not in FAIL_ON:
        raise not_one_of("fail_on", name, FAIL_ON)
    return FailOn(name)


def judge_findings(
    findings: Sequence[Finding], coverage: Coverage, *, fail_on: FailOn = FailOn.WARNING, strict: bool = False
) -> Verdict:
    """The verdict of a report, and its exit code: the first of 1, 4 and 0 that applies.

    The verdict is `findings` from a warning on, whatever `fail_on`; the exit code counts those not accepted.
    """
    severities = {finding.severity for finding in findings}
    checked = coverage.with_statistics > 0 and coverage.measured != 0
    conclusive = coverage.conclusive and not unexplained(coverage.untold, findings)
    lacking = not checked or not conclusive or (strict and coverage.incomplete)
    counted = {finding.severity for finding in findings if finding.accepted is None}
    if counted & _FAILING[fail_on]:
        exit_code = EXIT_FINDINGS
    else:
        exit_code = EXIT_NOT_CHECKED if lacking else EXIT_OK
    return Verdict(_verdict(severities, checked, conclusive), exit_code)


def _verdict(severities: set[Severity], checked: bool, conclusive: bool) -> Outcome:
    if severities & {Severity.ERROR, Severity.WARNING}:
        return Outcome.FINDINGS
    if not checked:
        return Outcome.NOT_CHECKED
    return Outcome.OK if conclusive else Outcome.INCONCLUSIVE
