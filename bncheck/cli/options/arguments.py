"""Reading arguments that several commands have: files, keyword arguments, the code of the user's that will run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bncheck.cli.options.typed import read_floats, read_size
from bncheck.cli.process import say
from bncheck.errors import UsageError

if TYPE_CHECKING:
    from bncheck.data import DataOptions


def open_options(values: dict[str, Any]) -> DataOptions:
    """What the data and image options say."""
    from bncheck.data import DataOptions

    return DataOptions(**values)


def data_settings(
    *, mean: str | None, std: str | None, resize: str | None, crop: str | None, **as_typed: Any
) -> dict[str, Any]:
    """The data and image options, read from what was typed."""
    return as_typed | {
        "mean": read_floats(mean, "--mean"),
        "std": read_floats(std, "--std"),
        "resize": read_size(resize, "--resize"),
        "crop": read_size(crop, "--crop"),
    }


def read_kwargs(text: str | None) -> dict[str, Any] | None:
    """The JSON object of `--arch-kwargs`."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"--arch-kwargs: not JSON ({error}); write it like '{{\"depth\": 18}}'.") from error
    if not isinstance(value, dict):
        raise UsageError("--arch-kwargs: expected a JSON object, like '{\"depth\": 18}'.")
    return value


def say_whose_code_runs(targets: dict[str, str | None]) -> None:
    """Name the code of the user's that options will import and run."""
    for option, target in targets.items():
        location, separator, _ = (target or "").rpartition(":")
        if separator and location:
            say(f"{option} imports and runs {location}.")
