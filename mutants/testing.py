"""The tests, collected once by pytest, and run one by one in children of this process."""

from __future__ import annotations

import hashlib
import os
import pickle
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import pytest

from mutants.forked import Ended, forked
from mutants.live import LiveFunctions
from mutants.mutant import Mutant, Source

Block = tuple[Path, int]

_TELLS = "_blocks_that_ran"
KILLED, SURVIVED, NOT_REACHED, ENDED, BROKEN = "killed", "survived", "not reached", "ended", "broken"


@dataclass(slots=True)
class Reached:
    """What each test runs and costs: the blocks of statements, and seconds of a processor."""

    blocks: dict[str, set[Block]] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def add(self, other: Reached) -> None:
        """Take in what other tests reached."""
        self.blocks |= other.blocks
        self.cost |= other.cost
        self.failed += other.failed

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Those that run the block it stands in."""
        block = (mutant.path, mutant.block)
        return [name for name, ran in self.blocks.items() if block in ran]


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a mutant: how it ended, by which test, and how many tests it was given."""

    outcome: str
    by: str | None
    tests: int


class _FailedError(BaseException):
    """Leaves a test run at the first failure."""


class _Watcher:
    """Remembers what failed and what was skipped."""

    def __init__(self) -> None:
        self.failed: str | None = None
        self.skipped = False

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid
        self.skipped |= report.skipped


class Tests:
    """The collected tests of a pytest session, and the functions of some files that they may run."""

    __test__ = False

    def __init__(self, session: pytest.Session, sources: Sequence[Source]) -> None:
        self._items = {item.nodeid: item for item in session.items}
        self._hook = session.config.hook
        # It would print a dot for every test of every mutant.
        session.config.pluginmanager.unregister(name="terminalreporter")
        self._watcher = _Watcher()
        session.config.pluginmanager.register(self._watcher)
        self._sources = {source.path: source for source in sources}
        self._modules = {path: import_module(_dotted(path)) for path in self._sources}
        self._live = LiveFunctions(list(self._sources))

    def reached(self, kept: Path) -> Reached:
        """Run every test once, each file of them in a child, and see which blocks it runs.

        What a fixture of several tests runs counts for all tests of its file: it would be set up for any of them.

        Args:
            kept: folder in which the answers are kept, until a file of tests or of the changed code is another.
        """
        found = Reached()
        of_sources = _hash(list(self._sources))
        by_file: dict[str, list[str]] = defaultdict(list)
        for name in self._items:
            by_file[name.partition("::")[0]].append(name)
        for number, (file, names) in enumerate(by_file.items()):
            answer_kept = kept / f"{Path(file).stem}-{_hash([Path(file)])}-{of_sources}.pickle"
            if answer_kept.is_file():
                found.add(pickle.loads(answer_kept.read_bytes()))
                continue
            answer = forked(lambda names=names: self._reached(names), seconds=3600, alarm=7200)  # type: ignore[misc]
            if isinstance(answer, Ended):
                raise SystemExit(f"{file} ended with status {answer.status}")
            if not answer.failed:
                kept.mkdir(parents=True, exist_ok=True)
                answer_kept.write_bytes(pickle.dumps(answer))
            found.add(answer)
            seconds = sum(answer.cost.values())
            print(f"{number + 1} of {len(by_file)}: {file}, {len(names)} tests, {seconds:.1f} s", flush=True)
        return found

    def try_out(self, mutant: Mutant, names: Sequence[str], seconds: float) -> Tried:
        """Run those tests with the mutant's code until one fails."""
        if not names:
            return Tried(NOT_REACHED, None, 0)
        answer = forked(lambda: self._first_failing(mutant, names), seconds)
        if isinstance(answer, Ended):
            return Tried(BROKEN if answer.is_broken else ENDED, None, len(names))
        return Tried(SURVIVED if answer is None else KILLED, answer, len(names))

    def _first_failing(self, mutant: Mutant, names: Sequence[str]) -> str | None:
        self._live.run(self._sources[mutant.path].code_of(mutant))
        _be_quiet()
        for name, after in zip(names, [*names[1:], None], strict=True):
            self._run(name, after)
            if self._watcher.failed is not None:
                return self._watcher.failed
        return None

    def _reached(self, names: Sequence[str]) -> Reached:
        _be_quiet()
        ran: dict[Path, set[int]] = {path: set() for path in self._sources}
        for path, source in self._sources.items():
            setattr(self._modules[path], _TELLS, ran[path])
            self._live.run(source.code_that_tells(_TELLS))
        found, shared = Reached(), defaultdict[str, set[Block]](set)
        for name, after in zip(names, [*names[1:], None], strict=True):
            self._watcher.failed, self._watcher.skipped = None, False
            start = time.process_time()
            item = self._items[name]
            at_setup: set[Block] = set()
            original = item.setup

            def setup(original=original, into=at_setup) -> None:  # type: ignore[no-untyped-def]
                original()
                into.update(_union(ran))

            item.setup = setup  # type: ignore[method-assign]
            self._run(name, after)
            if self._watcher.failed:
                found.failed.append(name)
            elif not self._watcher.skipped:
                found.blocks[name], found.cost[name] = _union(ran), time.process_time() - start
                shared[name.partition("::")[0]] |= at_setup
            for blocks in ran.values():
                blocks.clear()
        for name in found.blocks:
            found.blocks[name] |= shared[name.partition("::")[0]]
        return found

    def _run(self, name: str, after: str | None) -> None:
        following = None if after is None else self._items[after]
        self._hook.pytest_runtest_protocol(item=self._items[name], nextitem=following)


def _union(ran: dict[Path, set[int]]) -> set[Block]:
    return {(path, number) for path, numbers in ran.items() for number in numbers}


def _dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _hash(paths: Sequence[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def _be_quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
