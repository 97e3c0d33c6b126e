"""What tests cost: which of them `make quick` leaves out, and how that list is written.

A test function is costly where a case of it takes `COSTLY` seconds or more in the mean, what it sets up included. The
list is a file, since a mark at each of some 800 functions would say less about them than about a machine.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

COSTLY = 0.05
"""Seconds of a test's case, in the mean over the cases of its function, from which on it is costly."""

LIST = Path(__file__).parent / "costly.txt"


def function_of(node: str) -> str:
    """The name of a test function: `cli/test_gate.py::test_a`, of every case of it."""
    return node.partition("[")[0].removeprefix("tests/")


def costly() -> frozenset[str]:
    """The functions that the list names."""
    return frozenset(LIST.read_text(encoding="utf-8").split()) if LIST.is_file() else frozenset()


class Costs:
    """Collects what every case took, and writes the list at the end: `pytest -n 2 --write-costs`."""

    def __init__(self) -> None:
        self.seconds: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add what a phase of a case took, as the workers report it."""
        self.seconds[function_of(report.nodeid)][report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Write the list, of this run's functions anew; what did not run keeps its place while it exists."""
        slow = {name for name, cases in self.seconds.items() if sum(cases.values()) / len(cases) >= COSTLY}
        there = {name for name in costly() - set(self.seconds) if (LIST.parent / name.partition("::")[0]).is_file()}
        LIST.write_text("".join(f"{name}\n" for name in sorted(slow | there)), encoding="utf-8")
