"""The plugin of pytest: `pytest --bncheck model.pt2 --bncheck-data val.npz` has a test more for each model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bncheck.errors import BncheckError


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; their values in `bncheck.toml` or pyproject.toml are the command line's, and not read here."""
    group = parser.getgroup("bncheck", "models whose BatchNorm statistics must describe their data")
    group.addoption("--bncheck", action="append", default=[], metavar="MODEL", help="Test a model; can be repeated.")
    group.addoption("--bncheck-data", metavar="DATA", help="What to run them on, as `bncheck inspect --data` takes it.")
    group.addoption("--bncheck-arch", metavar="ARCH", help="What builds the module of a state dict.")
    group.addoption("--bncheck-max-gap", type=float, metavar="GAP", help="A layer above it fails, too.")


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a test for each model, after those of the files."""
    models = config.getoption("--bncheck")
    if models and config.getoption("--bncheck-data") is None:
        raise pytest.UsageError("--bncheck compares models with data: name some with --bncheck-data.")
    items += [ModelItem.from_parent(session, name=f"bncheck[{model}]", model=model) for model in models]


class ModelItem(pytest.Item):
    """The test of one model: it fails where `bncheck inspect` would end with another exit code than 0."""

    def __init__(self, *, model: str, **others: Any) -> None:
        super().__init__(**others)
        self.model = model

    def runtest(self) -> None:
        """Inspect the model.

        Raises:
            AssertionError: its statistics do not describe the data, or too little was checked to tell.
            BncheckError: the model or the data cannot be read.
        """
        from bncheck.testing.statistics import assert_statistics_match

        options = {
            "arch": self.config.getoption("--bncheck-arch"),
            "max_gap": self.config.getoption("--bncheck-max-gap"),
        }
        assert_statistics_match(self.model, self.config.getoption("--bncheck-data"), **options)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What failed, in the words of the answer and without a traceback into bncheck."""
        if isinstance(excinfo.value, AssertionError | BncheckError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the test is: the model's file."""
        return Path(self.model), None, self.name
