"""Models of MLflow: a stand-in for `mlflow.artifacts` gives what was logged, whether MLflow is there or not."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from contract_nets import as_onnx, as_traced, data, made_net
from safetensors.torch import save_file
from typer.testing import CliRunner

import bncheck
from bncheck.api.next_step import free_name
from bncheck.cli.app import app
from bncheck.errors import DataError, ModelError, UsageError
from bncheck.files import remote_name
from bncheck.results import FetchedFrom

Registry = dict[str, Path]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """What is logged, by name; each an artifact of a run, or a version of a model."""
    logged: Registry = {}

    def download_artifacts(
        artifact_uri: str | None = None,
        run_id: str | None = None,
        artifact_path: str | None = None,
        dst_path: str | None = None,
        tracking_uri: str | None = None,
    ) -> str:
        assert artifact_uri is not None
        assert dst_path is not None
        known = max((name for name in logged if f"{artifact_uri}/".startswith(f"{name}/")), key=len, default=None)
        if known is None:
            raise LookupError(f"RESOURCE_DOES_NOT_EXIST: {artifact_uri} not found")
        inside = artifact_uri.removeprefix(known).strip("/")
        source = logged[known] / inside
        target = Path(dst_path) / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        copy: Callable[..., object] = shutil.copy if source.is_file() else shutil.copytree
        copy(source, target, **({} if source.is_file() else {"dirs_exist_ok": True}))
        return str(target)

    package, artifacts = ModuleType("mlflow"), ModuleType("mlflow.artifacts")
    artifacts.download_artifacts = download_artifacts  # type: ignore[attr-defined]
    package.artifacts = artifacts  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", package)
    monkeypatch.setitem(sys.modules, "mlflow.artifacts", artifacts)
    return logged


def version(folder: Path) -> Path:
    """The folder of a logged model, with what MLflow writes beside it."""
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n")
    (folder / "requirements.txt").write_text("torch\n")
    return folder


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("models:/digits/3", "models:/digits/3"),
        ("models:/digits@champion", "models:/digits@champion"),
        (Path("models:/digits/3"), "models:/digits/3"),
        ("models://digits/3", "models:/digits/3"),
        ("runs:/0a1b/model/data/model.pth", "runs:/0a1b/model/data/model.pth"),
        ("models.py:build", None),
        ("models/digits/3", None),
    ],
)
def test_names_of_mlflow_are_told(value: object, name: str | None) -> None:
    assert remote_name(value) == name


def test_a_version_is_a_model(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    traced = as_traced(made_net(), tmp_path / "made").model
    shutil.copy(traced, version(tmp_path / "logged") / "data" / "model.pth")
    registry["models:/digits/3"] = registry["models:/digits@champion"] = tmp_path / "logged"
    expected = bncheck.inspect(traced, data())
    for name in ("models:/digits/3", "models:/digits@champion", "models:/digits/3/data/model.pth"):
        report = bncheck.inspect(name, data())
        assert [layer.gap for layer in report.layers] == [layer.gap for layer in expected.layers]
        assert report.model.path == name
        assert FetchedFrom(name) in report.run.noted
        assert f"Fetched {name}." in report.run.notes
        told = json.dumps(report.to_dict()) + str(report)
        assert tempfile.gettempdir() not in told
        assert "models://" not in told


def test_other_flavours_and_artifacts_of_runs(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    shutil.copy(as_onnx(made_net(), tmp_path / "made").model, version(tmp_path / "onnx") / "model.onnx")
    np.save(tmp_path / "x.npy", data())
    registry["runs:/0a1b"] = tmp_path
    report = bncheck.inspect("runs:/0a1b/onnx", "runs:/0a1b/x.npy")
    assert report.model.format == "onnx"
    assert report.data is not None
    assert report.data.source == "runs:/0a1b/x.npy"


def test_the_command_line_names_it_as_it_was_typed(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    traced = as_traced(made_net(), tmp_path / "made").model
    shutil.copy(traced, version(tmp_path / "logged") / "data" / "model.pth")
    registry["models:/digits/3"] = tmp_path / "logged"
    np.save(tmp_path / "x.npy", data())
    run = CliRunner().invoke
    done = run(app, ["inspect", "models:/digits/3", "--data", str(tmp_path / "x.npy")])
    assert done.exit_code == 1, done.output
    assert done.stdout.startswith("models:/digits/3")
    assert free_name("models:/digits/3") == "digits-3-repaired"
    assert free_name("models:/digits/3/data/model.pth") == "model-repaired.pth"
    audited = run(app, ["audit", "models:/digits/3", "models:/digits/4"])
    assert audited.exit_code == 3
    assert "models:/digits/4 cannot be fetched: LookupError: RESOURCE_DOES_NOT_EXIST" in audited.output
    repaired = run(
        app,
        ["repair", "models:/digits/3", "--data", str(tmp_path / "x.npy"), "--out", str(tmp_path / "n.pt"), "--force"],
    )
    assert (tmp_path / "n.pt").exists(), repaired.output
    assert tempfile.gettempdir() not in (repaired.stdout + done.stdout + audited.output).replace(str(tmp_path), "")


def test_what_cannot_be_had_is_one_clear_error(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^models:/none/1 cannot be fetched: LookupError: .*MLFLOW_TRACKING_URI"):
        bncheck.inspect("models:/none/1")
    net = torch.nn.Sequential(torch.nn.BatchNorm1d(3)).eval()
    with pytest.raises(DataError, match=r"^runs:/0a1b/x.npy cannot be fetched"):
        bncheck.inspect(net, "runs:/0a1b/x.npy")
    for odd in ("models:/digits", "models:/digits/1/../../x", "models:/a//b"):
        with pytest.raises(UsageError, match=f"^{odd}: a model of MLflow is named models:/NAME/VERSION"):
            bncheck.inspect(odd)
    folder = registry["models:/digits/3"] = version(tmp_path / "logged")
    with pytest.raises(ModelError, match=r"^models:/digits/3 holds no model that bncheck reads"):
        bncheck.inspect("models:/digits/3")
    for name in ("a", "b"):
        save_file(made_net().state_dict(), folder / f"{name}.safetensors")
    with pytest.raises(UsageError, match=r"holds several models: name one, such as models:/digits/3/a\.safetensors"):
        bncheck.inspect("models:/digits/3")
    assert len(bncheck.inspect("models:/digits/3/b.safetensors").layers) == 3


def test_without_mlflow_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mlflow", "mlflow.artifacts"):
        monkeypatch.setitem(sys.modules, name, None)
    done = CliRunner().invoke(app, ["inspect", "models:/digits/3"])
    assert done.exit_code == 2
    said = "bncheck: models:/digits/3 is fetched by MLflow; install it with pip install mlflow-skinny.\n"
    assert done.stderr.endswith(said)
    assert done.stderr.count("\n") == 1
