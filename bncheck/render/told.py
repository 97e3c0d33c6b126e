"""Services are told the same of any result: the file, what was found in it, and whether that is a green light."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from bncheck.render.format import Result
from bncheck.render.words.difference import headline_of_difference
from bncheck.render.words.repair import verdict_lines
from bncheck.render.words.report import headline, too_little_checked
from bncheck.results import (
    INCONCLUSIVE,
    NOT_CHECKED,
    Difference,
    Finding,
    Json,
    ModelFacts,
    RepairResult,
    Report,
    finite,
)

EXIT_UNTOLD = 4


@dataclass(frozen=True, slots=True)
class Told:
    """What a report, a repair and a difference have in common.

    Attributes:
        version: of bncheck.
        files: the one that is judged first.
        findings: of it.
        exit_code: of the command.
        headline: the result in a sentence.
        alarm: why there is no green light though no finding takes it away: too little was checked, or a repair was
            refused; empty where there is nothing of that kind.
        properties: the numbers, as the JSON has them.
    """

    version: str
    files: tuple[ModelFacts, ...]
    findings: tuple[Finding, ...]
    exit_code: int
    headline: str
    alarm: str
    properties: Json

    @property
    def model(self) -> ModelFacts:
        """The file that is judged."""
        return self.files[0]


def told(result: Result) -> Told:
    """What is to be told of that result, whatever it is."""
    match result:
        case Report():
            return _of_report(result)
        case RepairResult():
            return _of_repair(result)
        case Difference():
            return _of_difference(result)


def judged_report(repair: RepairResult) -> Report:
    """The report that a repair is judged by: on the repaired model, or where there is none on the one that came."""
    return repair.after or repair.before


def repair_alone(repair: RepairResult) -> Json:
    """What a repair did and is worth, as JSON, without the two reports that it lies between."""
    return {key: value for key, value in repair.to_dict().items() if key not in ("before", "after")}


def _of_report(report: Report) -> Told:
    said = headline(report)
    return Told(
        version=report.version,
        files=(report.model,),
        findings=report.findings,
        exit_code=report.summary.exit_code,
        headline=said,
        alarm=said if too_little_checked(report) else "",
        properties={"summary": report.to_dict()["summary"]},
    )


def _of_repair(repair: RepairResult) -> Told:
    of_report = _of_report(judged_report(repair))
    outcome = verdict_lines(repair)[0]
    if repair.refused:
        alarm = f"{outcome} Nothing was written."
    else:
        alarm = outcome if repair.after is None else of_report.alarm
    return Told(
        version=of_report.version,
        files=of_report.files if repair.path is not None else (repair.before.model,),
        findings=of_report.findings,
        exit_code=repair.exit_code,
        headline=outcome,
        alarm=alarm,
        properties={**of_report.properties, "repair": repair_alone(repair)},
    )


def _of_difference(difference: Difference) -> Told:
    said, summary = headline_of_difference(difference), difference.summary
    untold = summary.exit_code == EXIT_UNTOLD or summary.verdict in (INCONCLUSIVE, NOT_CHECKED)
    return Told(
        version=difference.version,
        files=(difference.after, difference.before),
        findings=difference.findings,
        exit_code=summary.exit_code,
        headline=said,
        alarm=said if untold else "",
        properties={"summary": finite(asdict(summary))},
    )
