"""Settings: every default stands in one place, whatever edge it is asked for at."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
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
    DataSettings,
    JudgingSettings,
    ModelSettings,
    MonitorSettings,
    PredictionSettings,
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


WRONG = [
    *((SamplingSettings, name, value) for name in ("batch_size", "limit", "until", "seed") for value in ("q", [1])),
    *((SamplingSettings, name, 2.5) for name in ("batch_size", "limit", "seed")),
    *((SamplingSettings, "batch_sizes", sizes) for sizes in (("x",), (1.5,))),
    *((JudgingSettings, name, value) for name, value in (("max_gap", "x"), ("fail_on", 3), ("deploy_dtype", [1]))),
    *((PredictionSettings, "task", value) for value in (1, ["classes"])),
    *((MonitorSettings, name, "x") for name in ("samples", "recalibration_samples", "batch_size", "seed")),
    *((TrainingSettings, name, "x") for name in ("steps", "epochs", "batch_size", "lr", "momentum", "weight_decay")),
    *((TrainingSettings, name, "x") for name in ("r_max", "d_max", "norm_momentum", "evaluations", "patience", "seed")),
    *((TrainingSettings, name, 1) for name in ("optimizer", "loss", "train", "precision", "device")),
    *((DataSettings, name, 7) for name in ("layout", "channels", "preset", "label_column", "mean")),
    *((DataSettings, name, "x") for name in ("mean", "std", "scale", "resize", "crop")),
    *((DataSettings, name, ("x", 2)) for name in ("mean", "std", "resize", "crop")),
    *((partial(ModelSettings, "m.pt"), name, value) for name in ("key", "device") for value in (1, ["a"])),
    *((partial(ModelSettings, "m.pt"), "arch_kwargs", value) for value in (1, ["a"], "a", {1: 2})),
    *((partial(ModelSettings, "m.pt"), name, 1) for name in ("arch", "trust_pickle")),
    *((partial(ModelSettings, "m.pt"), "allow_ops", value) for value in (1, "aten::add", [1])),
    *((JudgingSettings, name, value) for name in ("select", "ignore") for value in (1, "BN101", [1])),
    *((JudgingSettings, "strict", "no"), (MonitorSettings, "device", 1)),
    *((PredictionSettings, name, 1.5) for name in ("output", "metric")),
    *((partial(RepairSettings, ModelSettings("m.pt"), None), name, "no") for name in ("force", "overwrite")),
    *((partial(RepairSettings, ModelSettings("m.pt"), None), name, "x") for name in ("until", "prior")),
]


@pytest.mark.parametrize(("settings", "name", "value"), WRONG, ids=[f"{name}={value!r}" for _, name, value in WRONG])
def test_a_setting_of_a_wrong_type_is_refused_by_name(settings: Callable[..., Any], name: str, value: object) -> None:
    with pytest.raises(bncheck.UsageError) as refused:
        settings(**{name: value})
    assert name in str(refused.value)


@pytest.mark.parametrize(("name", "value"), [("until", "x"), ("seed", "q")])
def test_the_library_refuses_a_wrong_type_by_name(name: str, value: str) -> None:
    with pytest.raises(bncheck.UsageError, match=f"^{name} '{value}': expected a (whole )?number, not str"):
        bncheck.inspect(torch.nn.BatchNorm1d(2), np.zeros((4, 2)), **{name: value})


def test_a_file_of_tensors_says_that_python_takes_the_function_itself(tmp_path: Path) -> None:
    torch.save(torch.nn.BatchNorm1d(2).state_dict(), tmp_path / "net.pt")
    with pytest.raises(bncheck.UsageError, match=r"arch=.FILE\.py:CALLABLE. .*in Python the function itself"):
        bncheck.inspect(tmp_path / "net.pt", np.zeros((4, 2), np.float32))


@pytest.mark.parametrize(("name", "value"), [("select", "BN6"), ("allow_ops", [1]), ("device", 3), ("device", "gpu")])
def test_the_library_asks_for_lists_of_texts_and_for_a_device(name: str, value: Any) -> None:
    with pytest.raises(bncheck.UsageError, match=f"^{name} "):
        bncheck.inspect(torch.nn.BatchNorm1d(2), np.zeros((4, 2)), **{name: value})


def test_a_device_of_pytorch_is_one() -> None:
    report = bncheck.inspect(torch.nn.BatchNorm1d(2), np.zeros((4, 2), np.float32), device=torch.device("cpu"))  # type: ignore[arg-type]
    assert report.run.options["device"] == "cpu"


class Silent:
    """An object that raises where it is shown."""

    def __repr__(self) -> str:
        raise RuntimeError


def test_a_value_that_cannot_be_shown_is_refused_all_the_same() -> None:
    with pytest.raises(bncheck.UsageError, match=r"^device .*, not Silent\.$"):
        ModelSettings("m.pt", device=Silent())  # type: ignore[arg-type]


def test_a_number_of_numpy_is_one() -> None:
    assert SamplingSettings(limit=np.int64(5), until=np.float32(0.5), seed=np.uint8(1)).limit == 5


def test_settings_that_are_equal_are_one() -> None:
    assert SamplingSettings(limit=5) == SamplingSettings(limit=5)
    assert JudgingSettings(("BN1",)) != JudgingSettings(("BN2",))
