"""A room's mutants, one after another, each against the tests that run its place; what became of them is kept."""

from __future__ import annotations

import gc
import json
import random
import sys
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from mutants.explanations import explained
from mutants.mutant import Mutant, Source
from mutants.testing import ENDED, KILLED, Reached, Tests, Tried

ROOT = Path(__file__).parent.parent
OUT = Path("out/mutants")
QUICK = "not slow and not browser and not training"


@dataclass(frozen=True, slots=True)
class Room:
    """What is changed, and the tests that must notice: a table `[tool.mutants.NAME]` of `pyproject.toml`."""

    name: str
    mutate: Path
    tests: tuple[str, ...]

    @property
    def files(self) -> list[Path]:
        """The files to change."""
        return sorted(self.mutate.rglob("*.py"))


def plan(pyproject: Path = ROOT / "pyproject.toml") -> dict[str, Room]:
    """The rooms that are configured, by their names."""
    tables = tomllib.loads(pyproject.read_text("utf-8"))["tool"]["mutants"]
    return {name: Room(name, Path(table["mutate"]), tuple(table["tests"])) for name, table in tables.items()}


@dataclass(frozen=True, slots=True)
class Result:
    """A line of what is kept."""

    path: str
    line: int
    kind: str
    name: str
    outcome: str
    by: str | None
    tests: int


def kept(room: str) -> list[Result]:
    """What became of a room's mutants the last time."""
    path = OUT / f"{room}.jsonl"
    return [Result(**json.loads(line)) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is tried.

    Attributes:
        budget: most seconds of tests for a mutant.
        share: of the mutants of a room that is drawn, by the seed.
        seed: of that draw.
        again: only what nobody noticed the last time, and nothing explains.
        rest: only what was not tried the last time, before it was stopped.
        files: only faults in files whose path ends so; all without any.
    """

    budget: float = 6.0
    share: float = 1.0
    seed: int = 0
    again: bool = False
    rest: bool = False
    files: tuple[str, ...] = ()

    @property
    def continues(self) -> bool:
        """Whether what became of others the last time stays."""
        return self.again or self.rest or bool(self.files)


class Campaign:
    """The part of pytest's session that runs tests: here it runs them for every mutant."""

    def __init__(self, room: Room, effort: Effort) -> None:
        self._room, self._effort = room, effort

    def pytest_configure(self) -> None:
        """Have Hypothesis draw the same in every run, and not make smaller what it finds: a notice is enough."""
        from hypothesis import Phase, settings

        phases = [Phase.explicit, Phase.generate]
        settings.register_profile(
            "mutants", phases=phases, max_examples=30, database=None, derandomize=True, deadline=None
        )
        settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of pytest's own loop."""
        if session.testsfailed:
            raise pytest.UsageError("the tests cannot be collected")
        sources = [Source.read(path) for path in self._room.files]
        tests = Tests(session, sources)
        reached = tests.reached(OUT / "reached")
        if reached.failed:
            raise pytest.UsageError(f"fails without any fault: {', '.join(reached.failed)}")
        print(f"{len(reached.cost)} tests, {sum(reached.cost.values()):.0f} s of a processor", flush=True)
        gc.collect()
        gc.freeze()
        self._try_all(tests, reached, self._chosen(sources))
        return True

    def _chosen(self, sources: Iterable[Source]) -> list[Mutant]:
        chosen = [mutant for source in sources for mutant in source.mutants]
        if self._effort.share < 1:
            number = round(self._effort.share * len(chosen))
            drawn = set(random.Random(self._effort.seed).sample(range(len(chosen)), number))
            chosen = [mutant for i, mutant in enumerate(chosen) if i in drawn]
        if self._effort.files:
            chosen = [mutant for mutant in chosen if str(mutant.path).endswith(self._effort.files)]
        known = {one.name: one.outcome for one in kept(self._room.name)}
        if self._effort.again:
            done = {name for name, outcome in known.items() if outcome in (KILLED, ENDED)} | set(explained())
            return [mutant for mutant in chosen if mutant.name in set(known) - done]
        return [mutant for mutant in chosen if mutant.name not in known] if self._effort.rest else chosen

    def _try_all(self, tests: Tests, reached: Reached, mutants: Sequence[Mutant]) -> None:
        room, start = self._room.name, time.monotonic()
        results = {one.name: one for one in kept(room)} if self._effort.continues else {}
        kills: dict[str, Counter[str]] = defaultdict(Counter)
        for i, mutant in enumerate(mutants):
            known = kills[f"{mutant.path}::{mutant.function}"]
            names, cost = self._affordable(reached, mutant, known)
            tried = tests.try_out(mutant, names, 10 + 10 * cost)
            if tried.by is not None:
                known[tried.by] += 1
            results[mutant.name] = _result(mutant, tried)
            if i % 10 == 9 or i + 1 == len(mutants):
                outcomes = Counter(one.outcome for one in results.values())
                words = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
                print(f"{room}: {i + 1} of {len(mutants)}, {time.monotonic() - start:.0f} s: {words}", flush=True)
                lines = [json.dumps(asdict(one)) for one in results.values()]
                (OUT / f"{room}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")

    def _affordable(self, reached: Reached, mutant: Mutant, kills: Counter[str]) -> tuple[list[str], float]:
        """Choose tests: first what noticed other faults in this function, then the cheapest, within the budget."""
        names: list[str] = []
        total = 0.0
        for name in sorted(reached.tests_of(mutant), key=lambda name: (-kills[name], reached.cost[name])):
            if names and total + reached.cost[name] > self._effort.budget:
                break
            names.append(name)
            total += reached.cost[name]
        return names, total


def run(room: Room, effort: Effort) -> int:
    """Try a room's mutants; the answer is pytest's exit code."""
    sys.dont_write_bytecode = True
    off = ["cacheprovider", "xdist", "pytest_cov"]
    # That a test fails is enough: what pytest tells of two long texts that differ takes seconds.
    options = [*(f"-pno:{plugin}" for plugin in off), "--assert=plain", "--tb=no"]
    return int(pytest.main(["-qq", "-m", QUICK, *options, *room.tests], plugins=[Campaign(room, effort)]))


def _result(mutant: Mutant, tried: Tried) -> Result:
    return Result(str(mutant.path), mutant.line, mutant.kind, mutant.name, tried.outcome, tried.by, tried.tests)
