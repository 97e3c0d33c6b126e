"""What `make quick` leaves out is written by what tests took, and read again."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import costs

WRITES_NONE = sys.dont_write_bytecode
"""As it is while tests are collected: some of them have commands run in this process, which set it for good."""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A list of a folder of its own, in which one file of tests still exists."""
    (tmp_path / "test_there.py").touch()
    monkeypatch.setattr(costs, "LIST", tmp_path / "costly.txt")
    return costs.LIST


def test_a_function_is_costly_by_the_mean_of_its_cases(written: Path) -> None:
    run = costs.Costs()
    for name, phase in (("a[1]", 0.02), ("a[1]", 0.03), ("a[2]", 0.06), ("b[1]", 0.09), ("b[2]", 0.0), ("c", 0.05)):
        run.pytest_runtest_logreport(SimpleNamespace(nodeid=f"tests/cli/test_x.py::{name}", cpu=phase))
    run.pytest_sessionfinish()
    assert written.read_text().split() == ["cli/test_x.py::a", "cli/test_x.py::c"]
    assert costs.costly() == {"cli/test_x.py::a", "cli/test_x.py::c"}


def test_a_report_has_the_seconds_of_a_processor_that_its_phase_took() -> None:
    times = iter([1.0, 3.5, 3.75])
    clock, taken = costs.Clock(lambda: next(times)), []
    clock.pytest_runtest_logstart()
    for _ in range(2):
        ending, report = clock.pytest_runtest_makereport(), SimpleNamespace()
        next(ending)
        with pytest.raises(StopIteration):
            ending.send(report)
        taken.append(report.cpu)
    assert taken == [2.5, 0.25]


def test_seconds_are_those_of_this_process_and_of_those_it_started_and_none_by_the_clock() -> None:
    assert costs.seconds(lambda: (1.0, 0.5, 0.25, 0.125, 99.0)) == 1.875


def test_a_file_is_costly_where_all_of_its_tests_are(written: Path) -> None:
    """Its helpers do not matter, and one without tests is not."""
    written.write_text("cli/test_x.py::test_a\ncli/test_x.py::test_b\n")
    path = written.parent / "cli" / "test_x.py"
    assert costs.is_costly(path, "def helper():\n    pass\n\ndef test_a():\n    pass\n\ndef test_b(x):\n    pass\n")
    assert not costs.is_costly(path, "def test_a():\n    pass\n\ndef test_c():\n    pass\n")
    assert not costs.is_costly(path, "def helper():\n    pass\n")
    assert not costs.is_costly(path.with_name("test_y.py"), "def test_a():\n    pass\n")


def test_what_did_not_run_keeps_its_place_while_its_file_exists(written: Path) -> None:
    written.write_text("gone/test_y.py::a\ntest_there.py::a\ntest_there.py::b\n")
    run = costs.Costs()
    run.pytest_runtest_logreport(SimpleNamespace(nodeid="tests/test_there.py::b", cpu=0.001))
    run.pytest_sessionfinish()
    assert written.read_text().split() == ["test_there.py::a"]


def test_what_python_compiles_of_tests_and_package_is_kept() -> None:
    """Else every worker rewrites and compiles all of it anew, which takes longer than collecting the tests."""
    assert bool(sys.flags.dont_write_bytecode) == WRITES_NONE


def test_the_list_names_what_exists() -> None:
    files = {name.partition("::")[0] for name in costs.costly()}
    assert files
    assert not [name for name in files if not (costs.LIST.parent / name).is_file()]
