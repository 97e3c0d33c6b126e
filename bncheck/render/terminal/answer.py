"""A report as a colleague would answer: the cause, the cost in predictions, what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bncheck.render.words.cells import count
from bncheck.render.words.report import headline, percent, prediction_lines
from bncheck.results.finding import Finding
from bncheck.results.report import FINDINGS, INFO, Report

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")
SUBJECT = {"inconclusive": "BN707", "not-checked": "BN705", "ok": "BN603"}
"""The finding that a verdict without a fault is about."""
LIMIT = "BN600"
"""That a limit is exceeded is no cause: where there is one, it is told instead."""

OF_CALLS = "BN604"
"""No one set of statistics helps there: what it costs stands in its message, last."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Three short paragraphs, empty where there is nothing to say.

    Attributes:
        cause: the verdict, and what is wrong in one sentence.
        cost: what it does to the predictions.
        action: what to do, in one sentence.
    """

    cause: str
    cost: str
    action: str


def answer(report: Report) -> Answer:
    """The answer that the gravest finding gives; where there is none, the verdict alone."""
    verdict = headline(report)
    about = subject(report)
    if about is None:
        return Answer(verdict, _cost(report), "")
    told = f"{verdict} {about.code}: {first_sentence(about.message)}"
    return Answer(
        cause=told if report.summary.verdict == FINDINGS else verdict,
        cost=_cost(report, about),
        action=f"What to do: {first_sentence(about.fix)}",
    )


def subject(report: Report) -> Finding | None:
    """The finding that the answer tells: of faults the gravest, a limit last."""
    if report.summary.verdict == FINDINGS:
        faults = [finding for finding in report.findings if finding.severity != INFO and finding.accepted is None]
        causes = [finding for finding in faults if finding.code != LIMIT]
        return next(iter(causes or faults), None)
    code = SUBJECT.get(report.summary.verdict)
    return next((finding for finding in report.findings if finding.code == code), None)


def first_sentence(text: str) -> str:
    """The text up to where its first sentence ends."""
    return _SENTENCE.split(text, maxsplit=1)[0]


def _cost(report: Report, about: Finding | None = None) -> str:
    """By what was measured to help, where the finding says that or its evidence holds it; else by recalibrating."""
    if about is not None and about.code == OF_CALLS:
        return _SENTENCE.split(about.message)[-1]
    evidence = about.evidence if about else {}
    before, after = evidence.get("accuracy_before"), evidence.get("accuracy_after")
    if before is not None and after is not None:
        samples = count(evidence.get("samples", 0), "sample")
        return f"Accuracy on {samples}: {percent(before)} as fed, {percent(after)} with the input changed."
    grouped, stored = evidence.get("accuracy_grouped"), evidence.get("accuracy_stored")
    if grouped is not None and stored is not None:
        again = evidence.get("accuracy_recalibrated")
        recalibrated = "" if again is None else f"{percent(again)} recalibrated, "
        return f"Accuracy: {percent(stored)} as shipped, {recalibrated}{percent(grouped)} in grouped batches."
    return " ".join(prediction_lines(report, briefly=True)[:1])
