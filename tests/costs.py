"""What tests cost: which of them `make quick` leaves out, and how that list is written.

A test function is costly where a case of it takes `COSTLY` seconds of a processor or more in the mean, what it sets up
and the processes that it starts included: seconds by the clock would tell of whatever else the machine does. The list
is a file, since a mark at each of some 1,000 functions would say less about them than about a machine.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from functools import lru_cache
from pathlib import Path

import pytest

COSTLY = 0.05
"""Seconds of a processor for a test's case, in the mean over the cases of its function, from which on it is costly."""

LIST = Path(__file__).parent / "costly.txt"


def function_of(node: str) -> str:
    """The name of a test function: `cli/test_gate.py::test_a`, of every case of it."""
    return node.partition("[")[0].removeprefix("tests/")


def costly() -> frozenset[str]:
    """The functions that the list names."""
    return _read(LIST, LIST.stat().st_mtime_ns) if LIST.is_file() else frozenset()


@lru_cache(maxsize=1)
def _read(path: Path, _changed: int) -> frozenset[str]:
    return frozenset(path.read_text(encoding="utf-8").split())


def is_costly(path: Path, text: str) -> bool:
    """Whether a file of that text has tests, and the list names them all."""
    names = re.findall(r"^ *def (test_\w+)", text, re.MULTILINE)
    file = path.relative_to(LIST.parent).as_posix() if path.is_relative_to(LIST.parent) else path.name
    return bool(names) and {f"{file}::{name}" for name in names} <= costly()


def seconds(times: Callable[[], Sequence[float]] = os.times) -> float:
    """Of a processor, that this process and those that it waited for have taken."""
    return sum(times()[:4])


class Clock:
    """Has every report tell the seconds of a processor that its phase took; in every process that runs tests."""

    def __init__(self, now: Callable[[], float] = seconds) -> None:
        self._now = now
        self._before = 0.0

    def pytest_runtest_logstart(self) -> None:
        """Begin with a case."""
        self._before = self._now()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put what the phase that ended took into its report, which xdist hands on with all that stands in it."""
        report = yield
        now = self._now()
        report.cpu = now - self._before  # type: ignore[attr-defined]
        self._before = now
        return report


class Costs:
    """Collects what every case took, and writes the list at the end: `pytest -n 2 --write-costs`."""

    def __init__(self) -> None:
        self.seconds: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add what a phase of a case took, as the workers report it."""
        self.seconds[function_of(report.nodeid)][report.nodeid] += report.cpu  # type: ignore[attr-defined]

    def pytest_sessionfinish(self) -> None:
        """Write the list, of this run's functions anew; what did not run keeps its place while it exists."""
        slow = {name for name, cases in self.seconds.items() if sum(cases.values()) / len(cases) >= COSTLY}
        there = {name for name in costly() - set(self.seconds) if (LIST.parent / name.partition("::")[0]).is_file()}
        LIST.write_text("".join(f"{name}\n" for name in sorted(slow | there)), encoding="utf-8")
