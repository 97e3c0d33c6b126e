"""The examples of docs/many-processes.md do what the page says, where the packages they are for are installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from called import call
from torch import nn

import bncheck

PAGE = (Path(__file__).parents[2] / "docs" / "many-processes.md").read_text("utf-8")
SAMPLES = 90


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model, labelled data, and a place for the parts."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3)).eval()
    x = torch.randn(SAMPLES, 1, 6, 6)
    torch.jit.trace(net, x[:2]).save(str(tmp_path / "model.pt"))
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=(np.arange(SAMPLES) % 3))
    (tmp_path / "parts").mkdir()
    return tmp_path


def block(name: str) -> str:
    """The code between the marks of that name."""
    marked = PAGE.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    return marked.split("\n", 2)[2].rpartition("```")[0]


def run(name: str, folder: Path) -> Any:
    """What `report` is after the code of that name."""
    names: dict[str, Any] = {"FOLDER": str(folder)}
    exec(compile(block(name), f"many-processes.md:{name}", "exec"), names)
    return names["report"]


def test_a_job_array(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script's command is noted, and called in this process: three starts of Python would tell nothing more."""
    monkeypatch.chdir(folder)
    noting = folder / "bncheck"
    noting.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    noting.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    for task in ("1", "2", "3"):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
        typed = subprocess.run(["bash", "-c", block("slurm")], check=True, capture_output=True, text=True).stdout
        assert call(*typed.splitlines()).code == 0
    done = call("merge", *sorted((folder / "parts").iterdir()), "--report", "json=-", "--no-config")
    assert done.json["data"]["samples"] == SAMPLES


def test_ray(folder: Path) -> None:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False)
    try:
        assert run("ray", folder).data.samples == SAMPLES
    finally:
        ray.shutdown()


def test_spark(folder: Path) -> None:
    pytest.importorskip("pyspark")
    assert run("spark", folder).data.samples == SAMPLES


@pytest.mark.parametrize("name", ["ray", "spark"])
def test_the_blocks_are_python_and_call_what_there_is(folder: Path, name: str) -> None:
    """Their work, without what shares it out."""
    names: dict[str, Any] = {"FOLDER": str(folder)}
    lines = block(name).splitlines()
    imports = [line for line in lines if line.startswith(("import bncheck", "import pandas", "SHARDS"))]
    first = lines.index(next(line for line in lines if line.startswith("def measure")))
    last = next(at for at in range(first + 1, len(lines)) if lines[at] and not lines[at].startswith(" "))
    exec("\n".join([*imports, *lines[first:last]]), names)
    if name == "ray":
        rows = names["measure"]({"id": np.arange(3)})
        parts = rows["part"]
    else:
        rows = list(names["measure"](__import__("pandas").DataFrame({"id": [number]}) for number in range(3)))
        parts = [part for frame in rows for part in frame["part"]]
    assert bncheck.merge(parts).data.samples == SAMPLES
