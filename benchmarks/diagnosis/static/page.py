"""The static table of `docs/weights.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.diagnosis.static.planting import AVERAGED, FAULTS, MANY, Healthy, Trial

BEGIN, END = "<!-- static -->", "<!-- /static -->"
"""Lines of the page between which the tables stand."""


def section(healthy: Mapping[str, Healthy], seen: Sequence[Trial], command: str) -> str:
    """Both tables, and the command that made them."""
    files = [trial for trial in seen if trial.fault is None]
    remarks = sum(trial.false > 0 for trial in files)
    warned = sum(trial.warned for trial in files)
    judged = sum(look.judged for look in healthy.values())
    text = (
        f"`{command}`: {len(files)} healthy files, {judged} layers judged; remarks on {remarks} healthy files, "
        f"warnings on {warned}.\n\n"
        "| fault in one layer | found | other layers named |\n|---|---|---|\n"
    )
    for fault in FAULTS:
        told = [trial for trial in seen if trial.fault == fault]
        if told:
            text += f"| {fault} | {_share(told)} | {sum(trial.false for trial in told)} |\n"
    text += "\n| fault of the file | a warning | a remark |\n|---|---|---|\n"
    for fault in (MANY, AVERAGED):
        told = [trial for trial in seen if trial.fault == fault]
        if told:
            remarked = sum(trial.false > 0 or trial.found for trial in told)
            text += f"| {fault} | {sum(trial.warned for trial in told)} of {len(told)} | {remarked} |\n"
    text += (
        "\n| healthy net | layers | judged | distance of means, median | largest | log of variances, least | most |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    for name, look in healthy.items():
        numbers = (
            f"{look.median:.2f} | {look.worst:.2f} | {look.low:.2f} | {look.high:.2f}" if look.judged else "| | | "
        )
        text += f"| {name} | {look.layers} | {look.judged} | {numbers} |\n"
    return text


def _share(told: Sequence[Trial]) -> str:
    found = sum(trial.found for trial in told)
    return f"{found} of {len(told)} ({found / len(told):.0%})"


def put(path: Path, text: str, lines: tuple[str, str] = (BEGIN, END)) -> None:
    """Write the tables between their two lines."""
    begin, end = lines
    before, _, rest = path.read_text(encoding="utf-8").partition(f"{begin}\n")
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
