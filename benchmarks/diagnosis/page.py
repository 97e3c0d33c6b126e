"""The page: false alarms, the confusion table, recall per rule, and every miss by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from benchmarks.diagnosis.trials import Result, Trial

HARM = 0.02
"""Accuracy lost from which a fault has to be found."""


def page(results: Sequence[Result], command: str) -> str:
    """Markdown."""
    trials = [trial for result in results for trial in result.trials]
    return "\n".join([*_opening(results, command), *_confusion(trials), *_recalls(trials), *_misses(trials)]) + "\n"


def _opening(results: Sequence[Result], command: str) -> Iterator[str]:
    lagging = [result for result in results if result.recalibrated - result.accuracy >= HARM]
    healthy = [result for result in results if result not in lagging]
    inspections = sum(result.inspections for result in healthy)
    alarms = [alarm for result in healthy for alarm in result.alarms]
    trials = sum(len(result.trials) for result in results)
    low, high = (worst(result.accuracy for result in results) for worst in (min, max))
    yield "# How well the diagnosis does"
    yield ""
    yield (
        f"{len(results)} nets were trained ({low:.1%} to {high:.1%} right on held-out samples), and each was inspected "
        f"as it is, in many ways, and with faults planted into it: {inspections} inspections of healthy nets, "
        f"{trials} of faulty ones. This page is made by"
    )
    yield ""
    yield f"```console\n$ {command}\n```"
    yield ""
    yield "## False alarms"
    yield ""
    yield (
        f"{len(alarms)} warnings or errors in {inspections} inspections of healthy nets: with 100 to 10,000 held-out "
        "samples, in batches of 1, 64 and 512, shuffled and sorted by class, with labels and without."
    )
    if alarms:
        yield ""
        yield from (f"- {alarm}" for alarm in alarms)
    yield ""
    for one in lagging:
        yield (
            f"{one.net} is not healthy as trained: its averages lag. It is right on {one.accuracy:.1%}, and on "
            f"{one.recalibrated:.1%} by statistics of its own training data. In {one.inspections} inspections it got "
            f"{len(one.alarms)} warnings."
        )
        yield ""


def _must(trial: Trial) -> bool:
    return trial.certain or trial.lost >= HARM


def _confusion(trials: Sequence[Trial]) -> Iterator[str]:
    yield "## What was planted, and what was found"
    yield ""
    yield (
        f"A fault *counts* where it costs {HARM:.0%} of accuracy or more, or is certain whatever it costs (a value "
        "that cannot be, a setting). Noise in the images costs accuracy whatever the statistics are: it counts where "
        "other statistics would win as much. *Others* are warnings and errors by another code."
    )
    yield ""
    yield "| fault | strength | code | nets | count | found | right layer | found where harmless | others |"
    yield "|---|---|---|---:|---:|---:|---:|---:|---|"
    groups: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[trial.fault, trial.strength].append(trial)
    for (fault, strength), members in groups.items():
        counted = [trial for trial in members if _must(trial)]
        found = [trial for trial in counted if trial.found]
        mild = [trial for trial in members if not _must(trial)]
        right = sum(trial.right_layer for trial in found)
        below = f"{sum(trial.found for trial in mild)} of {len(mild)}" if mild else ""
        codes = " or ".join(members[0].wanted)
        yield (
            f"| {fault} | {strength} | {codes} | {len(members)} | {len(counted)} | {len(found)} | {right} | {below} | "
            f"{_others(members)} |"
        )
    yield ""


def _others(members: Iterable[Trial]) -> str:
    counts: dict[str, int] = defaultdict(int)
    for trial in members:
        for code in set(trial.others):
            counts[code] += 1
    return ", ".join(f"{code} {number}" for code, number in sorted(counts.items()))


def _recalls(trials: Sequence[Trial]) -> Iterator[str]:
    yield "## Recall by code"
    yield ""
    yield "| code | count | found | recall |"
    yield "|---|---:|---:|---:|"
    by_code: dict[str, list[Trial]] = defaultdict(list)
    for trial in filter(_must, trials):
        by_code[trial.wanted[0]].append(trial)
    for code, members in sorted(by_code.items()):
        found = sum(trial.found for trial in members)
        yield f"| {code} | {len(members)} | {found} | {found / len(members):.0%} |"
    yield ""


def _misses(trials: Sequence[Trial]) -> Iterator[str]:
    yield "## Missed"
    yield ""
    lines = [f"- {line}" for line in missed(trials)]
    yield from lines or ["Nothing."]
    yield ""
    yield "## Called something else besides"
    yield ""
    lines = [f"- {line}" for line in other(trials)]
    yield from lines or ["Nothing."]


def missed(trials: Sequence[Trial]) -> Iterator[str]:
    """A line for each fault that had to be found and was not."""
    for trial in trials:
        if _must(trial) and not trial.found:
            instead = f"called {', '.join(trial.others)}" if trial.others else "nothing said"
            yield f"{trial.fault}, {trial.strength}: {trial.net}, {trial.lost:.1%} lost, {instead}"


def other(trials: Sequence[Trial]) -> Iterator[str]:
    """A line for each fault that was found and has other codes beside its own, or that does no harm and has some."""
    for trial in trials:
        if trial.others and (trial.found or not _must(trial)):
            yield f"{trial.fault}, {trial.strength}: {trial.net}, {trial.lost:.1%} lost, also {', '.join(trial.others)}"
