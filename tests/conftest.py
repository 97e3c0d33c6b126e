"""Shared by all tests: one thread, so that figures repeat and busy machines do not stall in thread pools; goldens."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-goldens`."""
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="Write the golden files anew: look at what changed before you keep it.",
    )


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
