"""A repair ends with where its file lies or why there is none, what is left over, and the command that checks it."""

from __future__ import annotations

from bncheck.render.words.hidden import INSTANCE
from bncheck.render.words.reasons import why_kept
from bncheck.render.words.repair import in_tens
from bncheck.results import NO_DIFFERENCE, TOO_FEW, WORSE, RepairResult
from bncheck.vocabulary import argument, spelled

_MORE_TRAINING = f"More {argument('steps')}, a smaller {argument('lr')} or more varied training data may serve better"
_BLEND = f"{argument('method', 'blend')} keeps a part of the stored statistics"
_FORCE = f"{argument('force')} writes the file all the same"


def closing_lines(result: RepairResult) -> list[str]:
    """Where the file is, or why there is none, and what to do."""
    return [spelled(line, result.before.run.spelling) for line in _closing(result)]


def check_of_repair(result: RepairResult) -> str | None:
    """The command that judges the file which a repair wrote; a file without statistics has nothing to judge."""
    if result.path is None or result.after is None or result.has_none_left:
        return None
    return result.after.run.again


def _closing(result: RepairResult) -> list[str]:
    if result.outcome == WORSE and result.method == INSTANCE and result.path is None:
        written = "Nothing was written" if result.out is None else f"Not written: {result.out}"
        return [f"{written}. These layers serve better by what they store; {_FORCE}."]
    if result.path is not None:
        all_the_same = "Written all the same, being no worse" if result.outcome == NO_DIFFERENCE else "Written"
        return [f"{all_the_same}: {result.path}", *_left_over(result)]
    if result.out is None and result.after is not None:
        kept = (
            f"{_MORE_TRAINING}." if result.outcome == WORSE else f"{argument('out', 'FILE')} keeps the repaired model."
        )
        return [f"Nothing was written. {kept}", *_left_over(result)]
    if result.outcome == WORSE and result.method == "renorm":
        return [f"Not written: {result.out}. {_MORE_TRAINING}; {_FORCE}."]
    if result.outcome == TOO_FEW:
        return [
            f"Not written: {result.out}. Give at least {in_tens(result.samples_needed or 0)} samples; {_BLEND}; "
            f"{_FORCE}."
        ]
    if result.outcome == WORSE and not result.differs:
        return [f"Not written: {result.out}. More samples would tell whether it is worse; {_BLEND}; {_FORCE}."]
    if result.outcome == WORSE:
        return [
            f"Not written: {result.out}. Data like those the model was trained on would serve better; {_BLEND}; "
            f"{_FORCE}."
        ]
    return [f"Not written: {result.out}. {_nothing(result)}" if result.out else _nothing(result)]


def _left_over(result: RepairResult) -> list[str]:
    """What the report on the repaired file still finds."""
    after = result.after
    if after is None:
        return []
    codes = sorted({finding.code for finding in after.findings if finding.severity in ("error", "warning")})
    if codes:
        return [f"The repaired file still has findings: {', '.join(codes)}."]
    if result.has_none_left:
        return []
    if after.summary.exit_code:
        return ["There were too few samples to tell whether its statistics describe the data."]
    return []


def _nothing(result: RepairResult) -> str:
    reasons = sorted({layer.reason for layer in result.layers if layer.reason})
    codes = {finding.code for finding in result.before.findings}
    if result.notes and not result.samples:
        return result.notes[-1]
    if "BN705" in codes:
        return (
            "Its normalization was folded into other layers, or frozen, and no statistics are left: repair the "
            "checkpoint it was exported from, and export that again."
        )
    if reasons:
        return f"No layer could be given new statistics: {'; '.join(map(why_kept, reasons))}."
    return "No layer of this file stores statistics."
