"""The page: false alarms, the confusion table, recall per rule, and every miss by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from benchmarks.diagnosis.cases import Case, Result

HARM = 0.02
"""Accuracy lost from which a fault has to be found."""


def page(results: Sequence[Result], command: str) -> str:
    """Markdown."""
    cases = [case for result in results for case in result.cases]
    return "\n".join([*_opening(results, command), *_confusion(cases), *_recalls(cases), *_misses(cases)]) + "\n"


def _opening(results: Sequence[Result], command: str) -> Iterator[str]:
    lagging = [result for result in results if result.recalibrated - result.accuracy >= HARM]
    healthy = [result for result in results if result not in lagging]
    inspections = sum(result.inspections for result in healthy)
    alarms = [alarm for result in healthy for alarm in result.alarms]
    cases = sum(len(result.cases) for result in results)
    low, high = (worst(result.accuracy for result in results) for worst in (min, max))
    yield "# How well the diagnosis does"
    yield ""
    yield (
        f"{len(results)} nets were trained ({low:.1%} to {high:.1%} right on held-out samples), and each was inspected "
        f"as it is, in many ways, and with faults planted into it: {inspections} inspections of healthy nets, "
        f"{cases} of faulty ones. This page is made by"
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


def _must(case: Case) -> bool:
    return case.certain or case.lost >= HARM


def _confusion(cases: Sequence[Case]) -> Iterator[str]:
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
    groups: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        groups[case.fault, case.strength].append(case)
    for (fault, strength), members in groups.items():
        counted = [case for case in members if _must(case)]
        found = [case for case in counted if case.found]
        mild = [case for case in members if not _must(case)]
        right = sum(case.right_layer for case in found)
        below = f"{sum(case.found for case in mild)} of {len(mild)}" if mild else ""
        codes = " or ".join(members[0].wanted)
        yield (
            f"| {fault} | {strength} | {codes} | {len(members)} | {len(counted)} | {len(found)} | {right} | {below} | "
            f"{_others(members)} |"
        )
    yield ""


def _others(members: Iterable[Case]) -> str:
    counts: dict[str, int] = defaultdict(int)
    for case in members:
        for code in set(case.others):
            counts[code] += 1
    return ", ".join(f"{code} {number}" for code, number in sorted(counts.items()))


def _recalls(cases: Sequence[Case]) -> Iterator[str]:
    yield "## Recall by code"
    yield ""
    yield "| code | count | found | recall |"
    yield "|---|---:|---:|---:|"
    by_code: dict[str, list[Case]] = defaultdict(list)
    for case in filter(_must, cases):
        by_code[case.wanted[0]].append(case)
    for code, members in sorted(by_code.items()):
        found = sum(case.found for case in members)
        yield f"| {code} | {len(members)} | {found} | {found / len(members):.0%} |"
    yield ""


def _misses(cases: Sequence[Case]) -> Iterator[str]:
    yield "## Missed"
    yield ""
    lines = [f"- {line}" for line in missed(cases)]
    yield from lines or ["Nothing."]
    yield ""
    yield "## Called something else besides"
    yield ""
    lines = [f"- {line}" for line in other(cases)]
    yield from lines or ["Nothing."]


def missed(cases: Sequence[Case]) -> Iterator[str]:
    """A line for each fault that had to be found and was not."""
    for case in cases:
        if _must(case) and not case.found:
            instead = f"called {', '.join(case.others)}" if case.others else "nothing said"
            yield f"{case.fault}, {case.strength}: {case.net}, {case.lost:.1%} lost, {instead}"


def other(cases: Sequence[Case]) -> Iterator[str]:
    """A line for each fault that was found and has other codes beside its own, or that does no harm and has some."""
    for case in cases:
        if case.others and (case.found or not _must(case)):
            yield f"{case.fault}, {case.strength}: {case.net}, {case.lost:.1%} lost, also {', '.join(case.others)}"
