"""What several commands make of their arguments: the files they name, and the code of the user's that will run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import typer

from bncheck.cli.process import say
from bncheck.cli.spelling import is_typed
from bncheck.errors import UsageError
from bncheck.files import remote_name
from bncheck.user_code import names_code
from bncheck.vocabulary import argument


def say_whose_code_runs(targets: Mapping[str, str | None]) -> None:
    """Name the code of the user's that options will import and run, where it is there; whoever runs it says if not."""
    for option, target in targets.items():
        location, separator, _ = (target or "").rpartition(":")
        is_there = not location.endswith(".py") or os.path.isfile(location)
        if separator and location and is_there and remote_name(target) is None:
            say(f"{option} imports and runs {location}.")


def code_of(by: str | None) -> str | None:
    """What names slices, where that is code of the user's and no column."""
    return by if by is not None and names_code(by) else None


def refuse_without(switch: str, **given: Any) -> None:
    """Raise UsageError for options that do nothing without `switch`."""
    named = [argument(name) for name, value in given.items() if value not in (None, False)]
    if named:
        raise UsageError(f"{', '.join(named)}: for {switch} alone.")


def refuse_typed(context: typer.Context, why: str, *names: str) -> None:
    """Raise UsageError for options that were typed and mean nothing here; in a configuration file they may stand."""
    named = [argument(name) for name in names if is_typed(context, name)]
    if named:
        raise UsageError(f"{', '.join(named)}: {why}")
