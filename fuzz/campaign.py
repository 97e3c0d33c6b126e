"""Many cases, one after another, until time or number is reached; what is wrong is made small and kept."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import HypothesisWarning

from fuzz.case import BYTES, STRUCTURE, Case, Format
from fuzz.commands import cases
from fuzz.formats import formats
from fuzz.oracle import Judged, judge
from fuzz.repeatable import draw_by_seed_alone

MOST_SHRINKING = 80
"""Runs that are spent on making one finding smaller."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A case that ran, in a row of numbers."""

    format: str
    kind: str
    command: str
    code: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, with the smallest case that shows it."""

    case: Case
    problems: tuple[str, ...]

    @property
    def signature(self) -> str:
        """What findings with the same cause have in common."""
        return f"{self.case.format}: {self.problems[0][:120]}"


@dataclass(slots=True)
class Batch:
    """Some cases of one format, and what came of them."""

    format: str
    kind: str
    seed: int
    ran: list[Ran] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class _EnoughError(BaseException):
    """Ends Hypothesis where it would go on shrinking."""


def run_batch(
    format: Format, kind: str, number: int, seed_: int, before: Callable[[Case], None] | None = None
) -> Batch:
    """Run cases of a format, drawn by a seed.

    Args:
        format: of the hostile file.
        kind: `STRUCTURE` or `BYTES`.
        number: of cases; fewer are run once one is wrong.
        seed_: by which they are drawn.
        before: told of each case before it runs.
    """
    draw_by_seed_alone()
    batch = Batch(format.name, kind, seed_)
    shrunk = 0

    @seed(seed_)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    @given(cases(format, kind, _sound()))
    def holds(case: Case) -> None:
        nonlocal shrunk
        if batch.findings:
            shrunk += 1
            if shrunk > MOST_SHRINKING:
                raise _EnoughError
        if before is not None:
            before(case)
        judged = run_case(case)
        if not batch.findings:
            batch.ran.append(Ran(format.name, kind, case.typed[0], judged.done.code, judged.done.seconds))
        if judged.problems:
            finding = Finding(case, judged.problems)
            if not batch.findings or finding.signature[:60] == batch.findings[0].signature[:60]:
                batch.findings[:] = [finding]
            raise AssertionError(judged.problems[0].split(":")[0])

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)  # of how much there is to print
            holds()
    except (_EnoughError, Exception):  # what Hypothesis makes of a finding
        if not batch.findings:
            raise
    return batch


def run_case(case: Case) -> Judged:
    """Run one case in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bncheck-fuzz-", ignore_cleanup_errors=True) as name:
        return judge(case, Path(name).resolve() / "case")


def _sound() -> tuple[bytes, ...]:
    contents = [content for format in formats() for content in format.sound.values() if isinstance(content, bytes)]
    return tuple(dict.fromkeys(content for content in contents if content))


def batches(names: Sequence[str], size: int, seed_: int) -> Iterator[tuple[Format, str, int, int]]:
    """Arguments of `run_batch`, without end: every format in turn, structures twice as often as bytes."""
    chosen = [format for format in formats() if not names or format.name in names]
    if not chosen:
        raise SystemExit(f"no such format: {', '.join(names)}; there are {', '.join(f.name for f in formats())}")
    turn = 0
    while True:
        for format in chosen:
            yield format, BYTES if turn % 3 == 2 else STRUCTURE, size, seed_ * 1_000_003 + turn
        turn += 1


def keep(finding: Finding, folder: Path) -> Path:
    """Write a finding's files and the command that repeats it, into a folder of its own."""
    name = hashlib.sha256(finding.signature.encode()).hexdigest()[:8]
    place = folder / f"{finding.case.format.replace(' ', '-').replace(',', '')}-{name}"
    shutil.rmtree(place, ignore_errors=True)
    finding.case.write(place)
    told = "\n".join(f"# {line}" for problem in finding.problems for line in problem.splitlines())
    (place / "again.sh").write_text(
        f'#!/bin/sh\n{told}\ncd "$(dirname "$0")" && {finding.case.shown} --debug\n', "utf-8"
    )
    return place
