"""Options that say how the model is run: `--amp` and `--sync`, and what they cannot be given with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from command_line import call, refused
from torch import nn

from bncheck.cli.ranks import own_device
from bncheck.settings import InspectionSettings, ModelSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A traced model, and samples for it."""
    path = tmp_path_factory.mktemp("running")
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, momentum=None)), torch.randn(200, 4)
    net.train()(x)
    torch.jit.trace(net.eval(), x[:2]).save(str(path / "net.pt"))
    torch.save(x, path / "x.pt")
    return path


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--amp", "int8"), "--amp int8: choose one of float16, bfloat16"),
        (("--sync",), "--sync normalizes by what several processes see together, and this is one alone"),
        (("--sync", "--fast"), "--sync is of the pass by the batch, which --fast leaves out"),
        (("--sync", "--shard", "1/2", "--write-moments", "p.safetensors"), "--sync is of processes that meet"),
        (("--renorm", "--amp", "float16", "--train-data", "X", "--out", "o.pt"), "--amp is of what a model shows"),
        (("--renorm", "--sync", "--train-data", "X", "--out", "o.pt"), "--sync is of what a model shows"),
    ],
)
def test_what_cannot_be_meant_is_said(folder: Path, options: tuple[str, ...], told: str) -> None:
    assert told in refused(call("inspect", folder / "net.pt", "--data", folder / "x.pt", *options), 2)


@pytest.mark.parametrize("option", [("--amp", "bfloat16"), ("--sync",)])
def test_without_data_nothing_is_run(folder: Path, option: tuple[str, ...]) -> None:
    assert f"{option[0]} is about what layers see" in refused(call("inspect", folder / "net.pt", *option), 2)


def test_mixed_precision_is_printed_among_the_options(folder: Path) -> None:
    done = call(
        *("inspect", folder / "net.pt", "--data", folder / "x.pt", "--amp", "bfloat16", "--ignore", "BN301"),
        *("--report", "json=-"),
    )
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["run"]["options"]["amp"] == "bfloat16"
    assert "--amp bfloat16" in report["run"]["again"]  # or it would be another run


@pytest.mark.parametrize(
    ("device", "local", "gpus", "expected"),
    [
        *(("cuda", "1", 4, "cuda:1"), ("cuda", "0", 4, "cuda:0"), ("cuda:3", "1", 4, "cuda:3"), ("cpu", "1", 4, "cpu")),
        *(("cuda", "3", 1, "cuda:0"), ("cuda", "1", 0, "cuda"), ("cuda", None, 4, "cuda"), ("cuda", "x", 4, "cuda")),
    ],
)
def test_each_process_of_a_job_takes_a_gpu_of_its_own(
    device: str, local: str | None, gpus: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    assert own_device(device, {} if local is None else {"LOCAL_RANK": local}) == expected
    settings = InspectionSettings(ModelSettings("net.pt"), reference=ModelSettings("other.pt"))
    there = settings.on_device(expected)
    assert there.reference is not None
    assert (there.model.device, there.reference.device) == (expected, expected)
