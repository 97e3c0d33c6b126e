"""A report is answered as a colleague would: the cause, the cost in predictions, what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from bncheck.render.words.beside.slices import only_source
from bncheck.render.words.cells import count
from bncheck.render.words.judged import DATA_GROUP
from bncheck.render.words.predictions import AS_SHIPPED, percent, prediction_lines, score_shown, scored
from bncheck.render.words.report import headline
from bncheck.results import FINDINGS, INFO, Cost, Finding, Report, gravest, score_title
from bncheck.vocabulary import Remedy

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")
SUBJECT = {"inconclusive": ("BN707",), "not-checked": ("BN102", "BN705"), "ok": ("BN603",)}
"""The findings, one of which a verdict without a fault is about."""
HELPED = {
    Remedy.INPUT: "with the input changed",
    Remedy.EPS: "with another eps",
    Remedy.GROUPED: "in grouped batches",
    Remedy.CALLS: "by each call's own",
    Remedy.INSTANCE: "by each instance's own",
}
"""How a score was measured that another remedy than new statistics gave."""
OF_CALLS = "BN604"
"""No one set of statistics helps there: what it costs stands in its message, last."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Short paragraphs, empty where there is nothing to say.

    Attributes:
        cause: the verdict, and what is wrong in one sentence.
        place: the slice of the data that it comes from, where it is one alone.
        cost: what it does to the predictions.
        action: what to do, in one sentence.
    """

    cause: str
    cost: str
    action: str
    place: str = ""


def answer(report: Report) -> Answer:
    """The answer that the gravest finding gives; where there is none, the verdict alone."""
    verdict = headline(report)
    about = subject(report)
    if about is None:
        return Answer(verdict, _cost(report), "")
    told = f"{verdict} {_named(about, report)}: {first_sentence(about.message)}"
    return Answer(
        cause=told if report.summary.verdict == FINDINGS else verdict,
        cost=_cost(report, about),
        action=f"What to do: {first_sentence(about.fix)}",
        place=only_source(report) if about.code.startswith(DATA_GROUP) else "",
    )


def answer_in_full(report: Report) -> Answer:
    """The same without anything left out: all that the gravest finding says, and all that predictions come to."""
    about = subject(report)
    brief = answer(report)
    if about is None:
        cause, action = brief.cause, brief.action
    else:
        named = _named(about, report)
        cause, action = f"{headline(report)} {named}: {about.message}", f"What to do: {about.fix}"
    predictions = " ".join(prediction_lines(report))
    measured = brief.cost if about is not None and _cost(report, about) != _cost(report) else ""
    told = "" if measured and measured in cause else measured
    return Answer(cause, " ".join(filter(None, (told, predictions))), action, brief.place)


def compared(report: Report) -> tuple[str, list[tuple[float, str]]]:
    """The score that decided, by each way of normalizing, or by what was changed: that which helps stands last."""
    name, values = scored(report)
    about = subject(report)
    cost = None if about is None else about.cost
    if cost is None or cost.remedy not in HELPED or cost.shipped is None or cost.remedied is None:
        return name, values
    on = "" if cost.samples is None else f" ({count(cost.samples, 'sample')})"
    if name == cost.score and values[0][0] == cost.shipped:
        return name, [*values, (cost.remedied, f"{HELPED[cost.remedy]}{on}")]
    return cost.score, [(cost.shipped, f"{AS_SHIPPED}{on}"), (cost.remedied, f"{HELPED[cost.remedy]}{on}")]


def subject(report: Report) -> Finding | None:
    """The finding that the answer tells: of faults the gravest, a limit last."""
    if report.summary.verdict == FINDINGS:
        return gravest(report.findings)
    codes = SUBJECT.get(report.summary.verdict, ())
    return next((finding for finding in report.findings if finding.code in codes), None)


def _named(about: Finding, report: Report) -> str:
    """The code, and the severity where the headline leaves it open."""
    counted = {finding.severity for finding in report.findings if finding.accepted is None} - {INFO}
    return about.code if counted == {about.severity} else f"{about.code} ({about.severity})"


def first_sentence(text: str) -> str:
    """The text up to where its first sentence ends."""
    return _SENTENCE.split(text, maxsplit=1)[0]


def _cost(report: Report, about: Finding | None = None) -> str:
    """By what was measured to help, where the finding says that; else by recalibrating."""
    if about is not None and about.cost is not None and (measured := _measured(about.cost)):
        return measured
    if about is not None and about.code == OF_CALLS:
        return _SENTENCE.split(about.message)[-1]
    return " ".join(prediction_lines(report, briefly=True)[:1])


def _measured(cost: Cost) -> str:
    """What another remedy than recalibrating was measured to be worth; empty where none was."""
    if cost.remedy is Remedy.EPS and cost.shipped is None and cost.remedied is not None:
        what = "of the predictions" if cost.score == "predictions changed" else "of the outputs"
        return f"Another eps changes {percent(cost.remedied)} {what}."
    if cost.shipped is None or cost.remedied is None:
        return ""
    title, show = score_title(cost.score), partial(score_shown, cost.score)
    samples = "" if cost.samples is None else f" on {count(cost.samples, 'sample')}"
    if cost.remedy not in HELPED:
        return ""
    shipped, helped = show(cost.shipped), f"{show(cost.remedied)} {HELPED[cost.remedy]}"
    if cost.remedy is Remedy.CALLS:
        on = "" if cost.samples is None else f" ({count(cost.samples, 'sample')})"
        return f"{title} is {shipped} with the average and {helped}{on}."
    if cost.remedy is Remedy.GROUPED:
        recalibrated = "" if cost.recalibrated is None else f"{show(cost.recalibrated)} recalibrated, "
        return f"{title}: {shipped} {AS_SHIPPED}, {recalibrated}{helped}."
    return f"{title}{samples}: {shipped} {'as fed' if cost.remedy is Remedy.INPUT else AS_SHIPPED}, {helped}."
