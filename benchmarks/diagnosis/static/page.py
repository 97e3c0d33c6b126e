"""The static table of `docs/weights.md`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.diagnosis.static.planting import ALONE, AVERAGED, FAULTS, MANY, Healthy, Trial

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


def summary(healthy: Mapping[str, Healthy], seen: Sequence[Trial], command: str) -> str:
    """What `docs/diagnosis.md` has of it: by fault and by network, and what was missed by name."""
    files = [trial for trial in seen if trial.fault is None]
    text = (
        "## Files alone, without data\n\n"
        f"Statistics of single layers in {len(files)} networks were changed, and the files audited without data "
        "(docs/weights.md says how). *Found* names the layer; *false alarms* are other layers named.\n\n"
        f"```console\n$ {command}\n```\n\n"
        f"Remarks on {sum(trial.false > 0 for trial in files)} of {len(files)} healthy files, warnings on "
        f"{sum(trial.warned for trial in files)}.\n\n"
        "| fault | strength | planted | found without data | false alarms |\n|---|---|---:|---:|---:|\n"
    )
    for fault in FAULTS:
        told = [trial for trial in seen if trial.fault == fault]
        if told:
            name, strength = _split(fault)
            found = sum(trial.found for trial in told)
            text += f"| {name} | {strength} | {len(told)} | {found} | {sum(trial.false for trial in told)} |\n"
    for fault in (MANY, AVERAGED):
        told = [trial for trial in seen if trial.fault == fault]
        if told:
            where = ", alone in the file" if fault == AVERAGED else ""
            text += f"| {fault}{where} | the file | {len(told)} | {sum(trial.found for trial in told)} | |\n"
    text += (
        "\n| network | layers | judged | strong faults found | weaker ones | named in the healthy file |\n"
        "|---|---:|---:|---:|---:|---:|\n"
    )
    for net, look in healthy.items():
        own = [trial for trial in seen if trial.net == net]
        strong = [trial for trial in own if trial.fault in STRONG]
        weak = [trial for trial in own if trial.fault in FAULTS and trial.fault not in STRONG]
        false = sum(trial.false for trial in own if trial.fault is None)
        text += f"| {net} | {look.layers} | {look.judged} | {_of(strong)} | {_of(weak)} | {false or ''} |\n"
    missed = Counter((trial.net, trial.fault) for trial in seen if trial.fault in STRONG and not trial.found)
    text += f"\nOf the strong faults {sum(missed.values())} were missed" + (":\n\n" if missed else ".\n")
    return text + "".join(f"- {net}: {fault} in {_layers(count)}\n" for (net, fault), count in missed.items())


STRONG = ("means off by 0.5 sd", "means off by 1.0 sd", "variances x 1/16", "variances x 16", *ALONE)
"""Faults that have to be found wherever layers are judged."""


def _split(fault: str) -> tuple[str, str]:
    """What it is, and how strong."""
    for between in (" off by ", " x "):
        name, found, strength = fault.partition(between)
        if found:
            return f"{name}{' off' if 'off' in between else ''}", f"{'x ' if 'x' in between else ''}{strength}"
    return fault, "one layer"


def _of(told: Sequence[Trial]) -> str:
    return f"{sum(trial.found for trial in told)} of {len(told)}" if told else ""


def _layers(count: int) -> str:
    return f"{count} layers" if count > 1 else "1 layer"


def _share(told: Sequence[Trial]) -> str:
    found = sum(trial.found for trial in told)
    return f"{found} of {len(told)} ({found / len(told):.0%})"


def put(path: Path, text: str, lines: tuple[str, str] = (BEGIN, END)) -> None:
    """Write the tables between their two lines."""
    begin, end = lines
    before, _, rest = path.read_text(encoding="utf-8").partition(f"{begin}\n")
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
