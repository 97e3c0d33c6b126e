"""Shared by all tests: one thread, so that figures repeat and busy machines do not stall in thread pools; goldens."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fuzz.repeatable import draw_by_seed_alone
from tests import costs

os.environ.setdefault("OMP_NUM_THREADS", "1")


LEFT_OUT = ("slow", "training", "browser")
"""Marks of the tests that are not quick: `make quick`, `make coverage` and `make lowest` leave them out."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-goldens` and `--write-costs`."""
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="Write the golden files anew: look at what changed before you keep it.",
    )
    parser.addoption(
        "--write-costs", action="store_true", help="Write tests/costly.txt, which `make quick` leaves out."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Have properties draw the same in any order of the tests, and the costs written where it is asked for."""
    draw_by_seed_alone()
    if config.getoption("--write-costs"):
        config.pluginmanager.register(costs.Clock())
        if not hasattr(config, "workerinput"):
            config.pluginmanager.register(costs.Costs())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that the list names as costly."""
    costly = costs.costly()
    for item in items:
        if costs.function_of(item.nodeid) in costly:
            item.add_marker("costly")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import files that are deselected as a whole: some load frameworks for seconds."""
    deselected = set(re.findall(r"not (\w+)", config.getoption("markexpr"))) & {*LEFT_OUT, "costly"}
    if not deselected or collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    whole = re.search(r"^pytestmark = (?:\[\n(?: .*\n)*|.*)", text, re.MULTILINE)
    if whole and set(re.findall(r"mark\.(\w+)", whole[0])) & deselected:
        return True
    return True if "costly" in deselected and costs.is_costly(collection_path, text) else None


def pytest_collection_finish() -> None:
    """Leave what the imports made to itself: looking through it for cycles took a twentieth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


@pytest.fixture
def without_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inspections that measure and judge, and ask nothing further: the probes' answers take half of their time."""
    monkeypatch.setattr("bncheck.api.reporting.running.run_probes", _ask_nothing)


def _ask_nothing(session: object, subject: object, seen: object, evidence: Any) -> Any:
    return evidence


@pytest.fixture
def agrees_with_golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Asserts that a golden file holds a text; with `--update-goldens` it holds it from then on."""
    update = request.config.getoption("--update-goldens")

    def agrees(golden: Path, text: str) -> None:
        if update:
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(text, encoding="utf-8")
        assert golden.is_file(), f"{golden} is not there: pytest --update-goldens writes it"
        assert text == golden.read_text(encoding="utf-8")

    return agrees
