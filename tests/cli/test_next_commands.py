"""The command that a report ends with can be typed as it stands, and mends what the report found."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import Done, call, users_code
from made_files import Files
from safetensors.torch import save_file
from users_code import Net

import bncheck
from bncheck.api.reading_changed import changed_reading
from bncheck.settings import DataSettings

ARCH = ("--arch", users_code("Net"))


def typed(command: str) -> Done:
    """What typing it in a shell comes to."""
    name, *words = shlex.split(command)
    assert name == "bncheck"
    return call(*words)


def filled(command: str, data: object) -> str:
    """The command with training data in place of what stands for them; what was evaluated is not taken for such."""
    words = shlex.split(command)
    assert words.count("TRAIN") == 1
    return shlex.join([str(data) if word == "TRAIN" else word for word in words])


@pytest.fixture
def faulty(files: Files, scratch: Path) -> Path:
    """A folder to stand in, of models with one planted fault each, under names that a shell would take apart."""
    for name in ("never_updated.torchscript", "not_finite.torchscript"):
        shutil.copy(files.folder / name, scratch / f"the model's {name}")
    state = torch.load(files.healthy)
    negative = {**state, "norm.running_var": torch.tensor([4.0, -0.25])}
    save_file(negative, scratch / "the model's negative.safetensors")
    torch.save({"epoch": 3, "ema": negative, "model": state}, scratch / "the model's copies.ckpt")
    return scratch


@pytest.mark.parametrize(
    ("name", "code", "options"),
    [
        ("never_updated.torchscript", "BN102", ()),
        ("not_finite.torchscript", "BN201", ("--batch-size", 32)),
        ("negative.safetensors", "BN202", ARCH),
        ("copies.ckpt", "BN202", (*ARCH, "--key", "ema")),
    ],
)
def test_a_fault_of_the_statistics_is_mended_by_the_command(
    files: Files, faulty: Path, name: str, code: str, options: tuple[object, ...]
) -> None:
    told = call("inspect", f"the model's {name}", "--data", files.data, *options, "--report", "json=-").json
    command, out = told["summary"]["next"], f"the model's {Path(name).stem}-repaired{Path(name).suffix}"
    assert (told["findings"][0]["code"], told["findings"][0]["command"]) == (code, command)
    assert shlex.split(command)[-2:] == ["--out", out]
    assert typed(filled(command, files.data)).code == 0
    again = [out if word == f"the model's {name}" else word for word in shlex.split(told["run"]["again"])]
    assert typed(shlex.join(again)).code == 0


def test_a_wrong_input_is_mended_by_the_command_on_top_of_what_was_typed(files: Files, scratch: Path) -> None:
    with np.load(files.data) as arrays:
        np.savez("scaled.npz", x=arrays["x"] / 510)
    given = ("inspect", files.healthy, "--data", "scaled.npz", *ARCH, "--scale", "2")
    told = call(*given, "--report", "json=-").json
    assert told["findings"][0]["code"] == "BN601"
    assert told["summary"]["next"].endswith(" --scale 510")
    done = typed(told["summary"]["next"])
    assert (done.code, "To do" in done.stdout) == (0, False)


@pytest.mark.parametrize(
    ("given", "options", "mean", "std"),
    [
        (DataSettings(mean=(0.5,), std=(0.25,)), {"mean": "1,2", "std": "2,4"}, (0.75, 1.0), (0.5, 1.0)),
        (DataSettings(mean=(0.5,), std=(0.25,)), {"scale": "5"}, (0.5,), (0.05,)),
        (DataSettings(preset="imagenet"), {"mean": "", "std": "", "preset": ""}, None, None),
        (DataSettings(preset="imagenet"), {"mean": "-2.118,-2.036,-1.804", "std": "4.367,4.464,4.444"}, None, None),
        (DataSettings(mean=(0.5,), std=(0.25,)), {"mean": "-2", "std": "4"}, None, None),
        (DataSettings(mean=(0.5,), std=(0.25,)), {"mean": "-2", "std": "4.1"}, (0.0,), (1.025,)),
        (DataSettings(mean=(0.1, 0.2, 0.3)), {"channels": "bgr"}, (0.3, 0.2, 0.1), None),
        (DataSettings(mean=(0.1, 0.2, 0.3)), {"channels": "bgr-first"}, (0.1, 0.2, 0.3), None),
        (DataSettings(preset="imagenet"), {"channels": "bgr-first"}, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ],
)
def test_preprocessing_on_top_of_preprocessing_is_one(
    given: DataSettings, options: dict[str, str], mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> None:
    changed = changed_reading(given, options).with_preset()
    assert (changed.mean, changed.std) == (mean, std)
    assert (changed.resize, changed.crop) == (given.with_preset().resize, given.with_preset().crop)


def test_stored_values_alone_ask_for_data_and_what_is_right_for_nothing(files: Files) -> None:
    static = call("inspect", files.healthy, *ARCH, "--report", "json=-").json
    command = static["summary"]["next"]
    assert command.split()[-2:] == ["--data", "DATA"]
    assert typed(command.replace(" DATA", f" {shlex.quote(files.data)}")).code == 0
    without = call("inspect", files.healthy, "--report", "json=-").json["summary"]["next"]
    assert "--arch FILE.py:CALLABLE" in without
    healthy = call("inspect", files.healthy, "--data", files.data, *ARCH, "--report", "json=-").json
    assert (healthy["summary"]["verdict"], healthy["summary"]["next"]) == ("ok", None)


def test_nobody_is_told_to_overwrite(files: Files, faulty: Path) -> None:
    model = "the model's never_updated.torchscript"
    shutil.copy(model, "the model's never_updated-repaired.torchscript")
    told = call("inspect", model, "--report", "json=-").json
    assert shlex.split(told["summary"]["next"])[-1] == "the model's never_updated-repaired-2.torchscript"
    assert "--data TRAIN" in told["summary"]["next"]


def test_in_python_it_is_a_call(files: Files, faulty: Path) -> None:
    report = bncheck.inspect("the model's negative.safetensors", files.data, arch=Net, batch_size=16)
    assert report.summary.next == (
        'bncheck.repair_file("the model\'s negative.safetensors", train_data, arch=Net, batch_size=16, '
        'out="the model\'s negative-repaired.safetensors")'
    )
    eval(report.summary.next, {"bncheck": bncheck, "Net": Net, "train_data": files.data})
    assert Path("the model's negative-repaired.safetensors").exists()


def test_a_module_in_memory_is_recalibrated_to_a_copy(files: Files) -> None:
    model = torch.jit.load(files.not_finite)
    module = Net()
    module.load_state_dict(model.state_dict())
    report = bncheck.inspect(module, files.data)
    assert report.summary.next == "model = bncheck.recalibrate(model, train_data)"
    report = bncheck.inspect(module, files.data, train_data=files.labelled)
    assert report.summary.next == f"model = bncheck.recalibrate(model, {files.labelled!r})"
