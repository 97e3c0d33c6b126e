"""The part of the page about tasks: what must hold, whether it does, and every case in which it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmarks.diagnosis.tasks.nets import KINDS, MENDED_BY
from benchmarks.diagnosis.tasks.training import TRUTH
from benchmarks.diagnosis.tasks.trials import LEAVE, NOISE, RECALIBRATE, Advice, Result, Trial

LOST, OF_ERRORS, HARMLESS = 0.02, 0.2, 0.01
"""Share of the score, or of the errors, from which a fault has to be found; a loss below the last is harmless."""


def must(trial: Trial) -> bool:
    """Whether the fault costs so much that it has to be found."""
    return trial.lost >= LOST or (trial.of_errors >= OF_ERRORS and trial.lost >= HARMLESS)


def section(results: Sequence[Result], command: str, title: str = "By task") -> str:
    """Markdown."""
    lines = [*_opening(results, command, title), *_targets(results), *_by_size(results), *_by_kind(results)]
    return "\n".join([*lines, *_by_fault(results), *_named_cases(results)]) + "\n"


def _opening(results: Sequence[Result], command: str, title: str) -> Iterator[str]:
    trials = sum(len(result.trials) for result in results)
    unseen = [result.kind for result in results if result.kind not in MENDED_BY]
    sizes = sorted({trial.size for result in results for trial in result.trials})
    yield f"## {title}"
    yield ""
    yield (
        f"{len(results)} further nets, each for its own task, were inspected on {_list(sizes)} samples: "
        f"{sum(result.inspections for result in results)} times as they are, {trials} times with a fault. No rule was "
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
    counted = [trial for trial in _trials(results) if must(trial)]
    return _share(sum(bool(trial.found) for trial in counted), len(counted))


def _cause(results: Sequence[Result]) -> str:
    found = [trial for trial in _trials(results) if must(trial) and trial.found]
    return _share(sum(trial.right for trial in found), len(found))


def _layer(results: Sequence[Result]) -> str:
    counted = [trial for trial in _trials(results) if must(trial) and trial.layers]
    return _share(sum(trial.named == trial.layers for trial in counted), len(counted))


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
    for size in sorted({trial.size for trial in _trials(results)}):
        counted = [trial for trial in _trials(results) if must(trial) and trial.size == size]
        layered = [trial for trial in counted if trial.layers]
        found = _share(sum(bool(trial.found) for trial in counted), len(counted))
        exact = _share(sum(trial.named == trial.layers for trial in layered), len(layered))
        yield f"| {size:,} | {found} | {exact} |"
    yield ""


def _by_kind(results: Sequence[Result]) -> Iterator[str]:
    yield "| net | task | given | score | found | exact layers |"
    yield "|---|---|---|---:|---:|---:|"
    for result in results:
        counted = [trial for trial in result.trials if must(trial)]
        layered = [trial for trial in counted if trial.layers]
        found = _share(sum(bool(trial.found) for trial in counted), len(counted))
        exact = _share(sum(trial.named == trial.layers for trial in layered), len(layered))
        task = result.trials[0].problem if result.trials else KINDS[result.kind].problem
        given = KINDS[result.kind].given
        yield f"| {result.kind} | {task} | {given} | {result.score:.3f} | {found} | {exact} |"
    yield ""


def _by_fault(results: Sequence[Result]) -> Iterator[str]:
    yield "| fault | count | found | right cause | exact layers | called |"
    yield "|---|---:|---:|---:|---:|---|"
    for fault in dict.fromkeys(trial.fault for trial in _trials(results)):
        counted = [trial for trial in _trials(results) if must(trial) and trial.fault == fault]
        found = [trial for trial in counted if trial.found]
        layered = [trial for trial in counted if trial.layers]
        exact = f"{sum(trial.named == trial.layers for trial in layered)}" if layered else ""
        codes = " ".join(sorted({code for trial in counted for code in trial.found}))
        right = sum(trial.right for trial in found)
        yield f"| {fault} | {len(counted)} | {len(found)} | {right} | {exact} | {codes} |"
    yield ""


def _named_cases(results: Sequence[Result]) -> Iterator[str]:
    for title, lines in (
        ("False warnings", [alarm for result in results for alarm in result.alarms]),
        ("Missed", [told(trial) for trial in _trials(results) if must(trial) and not trial.found]),
        ("Another layer named, or none", [told(trial) for trial in _trials(results) if _misplaced(trial)]),
        ("Advice that was wrong", [*_advised(results, lambda advice: advice.is_wrong)]),
        ("Recalibrated for the loss alone", [*_advised(results, lambda advice: advice.is_by_loss_alone)]),
    ):
        yield f"### {title}"
        yield ""
        yield from ([f"- {line}" for line in lines] or ["Nothing."])
        yield ""


def _misplaced(trial: Trial) -> bool:
    return must(trial) and bool(trial.layers) and trial.named != trial.layers


def _advised(results: Sequence[Result], wanted: Callable[[Advice], bool]) -> Iterator[str]:
    """Every advice of that kind, with what following it does."""
    for result in results:
        for number, advice in enumerate(result.healthy):
            if wanted(advice):
                yield f"{result.kind}, healthy, inspection {number}: {_followed(advice)}"
        for trial in result.trials:
            if wanted(trial.advice):
                yield f"{told(trial)}; {_followed(trial.advice)}"


def _followed(advice: Advice) -> str:
    return f"advised: {advice.kind}; recalibrating wins {advice.gain:+.4f} ± {advice.error:.4f}"


def told(trial: Trial) -> str:
    """A fault, its cost and what was said, in a line."""
    cost = f"{trial.lost:.1%} of the score, {trial.of_errors:.0%} of the errors"
    where = f" in {', '.join(sorted(trial.layers))}" if trial.layers else ""
    said = " ".join(trial.found) or f"{trial.severity or 'nothing'}"
    named = f", named {', '.join(sorted(trial.named)) or 'none'}" if trial.layers else ""
    return f"{trial.fault}{where}: {trial.net}, n = {trial.size}, {cost}: {said}{named}"


def _trials(results: Sequence[Result]) -> list[Trial]:
    return [trial for result in results for trial in result.trials]


def _advice(results: Sequence[Result]) -> list[Advice]:
    return [one for result in results for one in (*result.healthy, *(trial.advice for trial in result.trials))]


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.0%})" if whole else "none"


def _list(sizes: Sequence[int]) -> str:
    *rest, last = [f"{size:,}" for size in sizes] or ["no"]
    return f"{', '.join(rest)} and {last}" if rest else last
