"""The part of the page about tasks: what must hold, whether it does, and every case in which it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmarks.diagnosis.tasks.cases import LEAVE, NOISE, RECALIBRATE, Advice, Case, Result
from benchmarks.diagnosis.tasks.nets import KINDS, MENDED_BY
from benchmarks.diagnosis.tasks.training import TRUTH

LOST, OF_ERRORS, HARMLESS = 0.02, 0.2, 0.01
"""Share of the score, or of the errors, from which a fault has to be found; a loss below the last is harmless."""


def must(case: Case) -> bool:
    """Whether the fault costs so much that it has to be found."""
    return case.lost >= LOST or (case.of_errors >= OF_ERRORS and case.lost >= HARMLESS)


def section(results: Sequence[Result], command: str, title: str = "By task") -> str:
    """Markdown."""
    lines = [*_opening(results, command, title), *_targets(results), *_by_size(results), *_by_kind(results)]
    return "\n".join([*lines, *_by_fault(results), *_named_cases(results)]) + "\n"


def _opening(results: Sequence[Result], command: str, title: str) -> Iterator[str]:
    cases = sum(len(result.cases) for result in results)
    unseen = [result.kind for result in results if result.kind not in MENDED_BY]
    sizes = sorted({case.size for result in results for case in result.cases})
    yield f"## {title}"
    yield ""
    yield (
        f"{len(results)} further nets, each for its own task, were inspected on {_list(sizes)} samples: "
        f"{sum(result.inspections for result in results)} times as they are, {cases} times with a fault. No rule was "
        f"mended by {len(unseen)} of them ({', '.join(unseen)}). A fault counts where it costs {LOST:.0%} of the "
        f"task's own score, or {HARMLESS:.0%} that makes {OF_ERRORS:.0%} of its errors, on {TRUTH} samples that were "
        "not inspected. Advice was followed: statistics were recalibrated on the samples that were inspected, and "
        "judged by those others. They improve where the score rises, or the loss falls and the score does not fall "
        f"beyond noise ({NOISE} standard errors): where a fault costs less than noise, no score can show its mending."
    )
    yield ""
    yield f"```console\n$ {command}\n```"
    yield ""


def _targets(results: Sequence[Result]) -> Iterator[str]:
    yield "| | all | not mended by | asked |"
    yield "|---|---:|---:|---:|"
    unseen = [result for result in results if result.kind not in MENDED_BY]
    for what, count, asked in TARGETS:
        yield f"| {what} | {count(results)} | {count(unseen)} | {asked} |"
    yield ""


def _alarms(results: Sequence[Result]) -> str:
    return f"{sum(len(one.alarms) for one in results)} of {sum(one.inspections for one in results)}"


def _recall(results: Sequence[Result]) -> str:
    counted = [case for case in _cases(results) if must(case)]
    return _share(sum(bool(case.found) for case in counted), len(counted))


def _cause(results: Sequence[Result]) -> str:
    found = [case for case in _cases(results) if must(case) and case.found]
    return _share(sum(case.right for case in found), len(found))


def _layer(results: Sequence[Result]) -> str:
    counted = [case for case in _cases(results) if must(case) and case.layers]
    return _share(sum(case.named == case.layers for case in counted), len(counted))


def _recalibrations(results: Sequence[Result]) -> str:
    advised = [one for one in _advice(results) if one.kind == RECALIBRATE]
    return _share(sum(not one.is_wrong for one in advised), len(advised))


def _left(results: Sequence[Result]) -> str:
    advised = [one for one in _advice(results) if one.kind == LEAVE]
    return _share(sum(one.is_wrong for one in advised), len(advised))


TARGETS: tuple[tuple[str, Callable[[Sequence[Result]], str], str], ...] = (
    ("false warnings, healthy", _alarms, "0"),
    ("found, of the faults that count", _recall, "95 %"),
    ("with the right cause, of those found", _cause, ""),
    ("the exact layers, of one or two wrong ones", _layer, "90 %"),
    ("`recalibrate` improves", _recalibrations, "100 %"),
    ("`leave it` would have improved", _left, "0 %"),
)


def _by_size(results: Sequence[Result]) -> Iterator[str]:
    yield "| samples | found | exact layers |"
    yield "|---:|---:|---:|"
    for size in sorted({case.size for case in _cases(results)}):
        counted = [case for case in _cases(results) if must(case) and case.size == size]
        layered = [case for case in counted if case.layers]
        found = _share(sum(bool(case.found) for case in counted), len(counted))
        exact = _share(sum(case.named == case.layers for case in layered), len(layered))
        yield f"| {size:,} | {found} | {exact} |"
    yield ""


def _by_kind(results: Sequence[Result]) -> Iterator[str]:
    yield "| net | task | given | score | found | exact layers |"
    yield "|---|---|---|---:|---:|---:|"
    for result in results:
        counted = [case for case in result.cases if must(case)]
        layered = [case for case in counted if case.layers]
        found = _share(sum(bool(case.found) for case in counted), len(counted))
        exact = _share(sum(case.named == case.layers for case in layered), len(layered))
        task = result.cases[0].problem if result.cases else KINDS[result.kind].problem
        given = KINDS[result.kind].given
        yield f"| {result.kind} | {task} | {given} | {result.score:.3f} | {found} | {exact} |"
    yield ""


def _by_fault(results: Sequence[Result]) -> Iterator[str]:
    yield "| fault | count | found | right cause | exact layers | called |"
    yield "|---|---:|---:|---:|---:|---|"
    for fault in dict.fromkeys(case.fault for case in _cases(results)):
        counted = [case for case in _cases(results) if must(case) and case.fault == fault]
        found = [case for case in counted if case.found]
        layered = [case for case in counted if case.layers]
        exact = f"{sum(case.named == case.layers for case in layered)}" if layered else ""
        codes = " ".join(sorted({code for case in counted for code in case.found}))
        right = sum(case.right for case in found)
        yield f"| {fault} | {len(counted)} | {len(found)} | {right} | {exact} | {codes} |"
    yield ""


def _named_cases(results: Sequence[Result]) -> Iterator[str]:
    for title, lines in (
        ("False warnings", [alarm for result in results for alarm in result.alarms]),
        ("Missed", [told(case) for case in _cases(results) if must(case) and not case.found]),
        ("Another layer named, or none", [told(case) for case in _cases(results) if _misplaced(case)]),
        ("Advice that was wrong", [*_advised(results, lambda advice: advice.is_wrong)]),
        ("Recalibrated for the loss alone", [*_advised(results, lambda advice: advice.is_by_loss_alone)]),
    ):
        yield f"### {title}"
        yield ""
        yield from ([f"- {line}" for line in lines] or ["Nothing."])
        yield ""


def _misplaced(case: Case) -> bool:
    return must(case) and bool(case.layers) and case.named != case.layers


def _advised(results: Sequence[Result], wanted: Callable[[Advice], bool]) -> Iterator[str]:
    """Every advice of that kind, with what following it does."""
    for result in results:
        for number, advice in enumerate(result.healthy):
            if wanted(advice):
                yield f"{result.kind}, healthy, inspection {number}: {_followed(advice)}"
        for case in result.cases:
            if wanted(case.advice):
                yield f"{told(case)}; {_followed(case.advice)}"


def _followed(advice: Advice) -> str:
    return f"advised: {advice.kind}; recalibrating wins {advice.gain:+.4f} ± {advice.error:.4f}"


def told(case: Case) -> str:
    """A fault, its cost and what was said, in a line."""
    cost = f"{case.lost:.1%} of the score, {case.of_errors:.0%} of the errors"
    where = f" in {', '.join(sorted(case.layers))}" if case.layers else ""
    said = " ".join(case.found) or f"{case.severity or 'nothing'}"
    named = f", named {', '.join(sorted(case.named)) or 'none'}" if case.layers else ""
    return f"{case.fault}{where}: {case.net}, n = {case.size}, {cost}: {said}{named}"


def _cases(results: Sequence[Result]) -> list[Case]:
    return [case for result in results for case in result.cases]


def _advice(results: Sequence[Result]) -> list[Advice]:
    return [one for result in results for one in (*result.healthy, *(case.advice for case in result.cases))]


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.0%})" if whole else "none"


def _list(sizes: Sequence[int]) -> str:
    *rest, last = [f"{size:,}" for size in sizes] or ["no"]
    return f"{', '.join(rest)} and {last}" if rest else last
