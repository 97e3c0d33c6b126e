"""Settings: every default stands in one place, whatever edge it is asked for at."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import typer

import bncheck
from bncheck.cli.app import app
from bncheck.settings import (
    BATCH_SIZE,
    BATCH_SIZES,
    DEVICE,
    METHOD,
    RECALIBRATION_SAMPLES,
    SAMPLES,
    SEED,
    UNTIL,
    UNTIL_OF_REPAIR,
    JudgingSettings,
    MonitorSettings,
    RepairSettings,
    SamplingSettings,
    TrainingSettings,
)

PUBLIC = (bncheck.inspect, bncheck.repair_file, bncheck.recalibrate, bncheck.diff)
PLUMBING = {"command", "options", "judging", "edge", "settings"}


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not parameter.empty
    }


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: str(function.__name__))
def test_the_library_takes_no_plumbing_of_the_command_line(function: Callable[..., Any]) -> None:
    assert not PLUMBING & inspect.signature(function).parameters.keys()


@pytest.mark.parametrize("command", ["inspect", "repair"])
def test_the_command_line_and_the_library_have_the_same_defaults(command: str) -> None:
    function = {"inspect": bncheck.inspect, "repair": bncheck.repair_file}[command]
    here = defaults(function)
    typed = {one.name: one.default for one in typer.main.get_command(app).commands[command].params}  # type: ignore[attr-defined]
    shared = {"batch_size", "seed", "device", "fail_on", "limit", "key", "output", "strict"} & here.keys()
    assert {name: typed[name] for name in shared} == {name: here[name] for name in shared}
    if command == "inspect":
        assert typed["batch_sizes"] == ",".join(map(str, here["batch_sizes"]))
    else:
        assert (typed["until"], typed["method"]) == (here["until"], here["method"])


def test_settings_without_a_word_are_the_defaults() -> None:
    sampling = SamplingSettings()
    assert (sampling.batch_size, sampling.until, sampling.seed) == (BATCH_SIZE, UNTIL, SEED)
    assert sampling.batch_sizes == BATCH_SIZES
    assert JudgingSettings().fail_on == "warning"
    monitor = MonitorSettings()
    assert (monitor.samples, monitor.recalibration_samples) == (SAMPLES, RECALIBRATION_SAMPLES)
    fields = RepairSettings.__dataclass_fields__
    assert (fields["method"].default, fields["until"].default) == (METHOD, UNTIL_OF_REPAIR)
    assert (TrainingSettings().device, TrainingSettings().seed) == (DEVICE, SEED)


def test_settings_that_are_equal_are_one() -> None:
    assert SamplingSettings(limit=5) == SamplingSettings(limit=5)
    assert JudgingSettings(("BN1",)) != JudgingSettings(("BN2",))
