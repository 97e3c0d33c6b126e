"""Models and data on other machines: the Hub's cache and fsspec's file systems stand in for them."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch
from contract_nets import as_onnx, as_shards, as_traced, data, made_net
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

import bncheck
from bncheck.cli.app import app
from bncheck.errors import DataError, ModelError, UsageError
from bncheck.files import remote_name
from bncheck.results import FetchedFrom

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def memory() -> Iterator[Any]:
    """An empty bucket."""
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Hub's cache without network: what it gives is what was fetched before, here by hand."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub" / "models--acme--net"
    folder = repository / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "refs" / "v1").write_text(COMMIT)
    return folder


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("hf://acme/net@v1/model.safetensors", "hf://acme/net@v1/model.safetensors"),
        (Path("hf://acme/net"), "hf://acme/net"),
        (Path("s3://bucket/net.pt"), "s3://bucket/net.pt"),
        ("hf:/acme/net", "hf://acme/net"),
        ("file:///tmp/net.pt", "file:///tmp/net.pt"),
        ("net.py:build", None),
        ("package.module:build", None),
        ("C:/models/net.pt", None),
        ("C://models/net.pt", None),
        ("models/net.pt", None),
        (made_net, None),
    ],
)
def test_names_of_other_machines_are_told(value: object, name: str | None) -> None:
    assert remote_name(value) == name


def _put(system: Any, folder: Path, name: str) -> None:
    for path in folder.iterdir():
        system.pipe(f"/{name}/{path.name}", path.read_bytes())


def test_a_model_and_data_in_a_bucket(memory: Any, tmp_path: Path) -> None:
    traced = as_traced(made_net(), tmp_path).model
    _put(memory, tmp_path, "models")
    array = io.BytesIO()
    np.save(array, data())
    memory.pipe("/data/x.npy", array.getvalue())
    expected = bncheck.inspect(traced, data())
    report = bncheck.inspect("memory://models/traced.pt", "memory://data/x.npy")
    assert [layer.gap for layer in report.layers] == [layer.gap for layer in expected.layers]
    assert report.model.path == "memory://models/traced.pt"
    assert report.data is not None
    assert report.data.source == "memory://data/x.npy"
    assert report.model.sha256 == expected.model.sha256
    assert FetchedFrom("memory://models/traced.pt") in report.run.noted
    assert "memory:/models" not in json.dumps(report.to_dict())
    assert tempfile.gettempdir() not in json.dumps(report.to_dict())


def test_what_belongs_to_a_model_is_fetched_with_it(memory: Any, tmp_path: Path) -> None:
    how = as_shards(made_net(), tmp_path).how
    _put(memory, tmp_path, "models")
    report = bncheck.inspect("memory://models/net.index.json", **how)
    assert [layer.name for layer in report.layers] == ["stem.norm", "deep.0.norm", "last"]
    memory.rm("/models/shard-1.safetensors")
    with pytest.raises(
        ModelError, match=r"memory://models/shard-1\.safetensors cannot be fetched: there is no such file"
    ):
        bncheck.inspect("memory://models/net.index.json", **how)


def test_a_folder_of_images_in_a_bucket(memory: Any, tmp_path: Path) -> None:
    for at in range(4):
        photo = io.BytesIO()
        Image.fromarray(np.full((4, 4, 3), at * 40, np.uint8)).save(photo, "PNG")
        memory.pipe(f"/photos/class{at % 2}/{at}.png", photo.getvalue())
    net = torch.nn.Sequential(torch.nn.BatchNorm2d(3)).eval()
    report = bncheck.inspect(net, "memory://photos")
    assert report.data is not None
    assert (report.data.samples, report.data.source) == (4, "memory://photos")


def test_a_repair_of_what_lies_elsewhere_is_written_here(memory: Any, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    as_traced(made_net(), tmp_path / "there")
    _put(memory, tmp_path / "there", "models")
    result = bncheck.repair_file("memory://models/traced.pt", data(), out=tmp_path / "new.pt", force=True)
    assert result.path is not None
    assert result.before.model.path == "memory://models/traced.pt"
    assert tempfile.gettempdir() not in str(result).replace(str(tmp_path), "")
    assert max(layer.gap for layer in bncheck.inspect(tmp_path / "new.pt", data()).layers) < 0.01
    moved = bncheck.diff("memory://models/traced.pt", tmp_path / "new.pt")
    assert [layer.name for layer in moved.layers] == ["stem.norm", "deep.0.norm", "last"]


def test_what_cannot_be_fetched_is_one_clear_error(memory: Any) -> None:
    net = torch.nn.Sequential(torch.nn.BatchNorm1d(3)).eval()
    with pytest.raises(ModelError, match=r"memory://nowhere/net\.pt cannot be fetched: there is no such file"):
        bncheck.inspect("memory://nowhere/net.pt")
    with pytest.raises(DataError, match=r"memory://nowhere/x\.npy cannot be fetched"):
        bncheck.inspect(net, "memory://nowhere/x.npy")
    with pytest.raises(UsageError, match="nonsense://x: fsspec cannot reach such a place"):
        bncheck.inspect("nonsense://x")
    memory.pipe("/models/net.pt", b"just some words")
    with pytest.raises(ModelError, match=r"^memory://models/net\.pt is a text file, not a model"):
        bncheck.inspect("memory://models/net.pt")


def test_a_repository_of_the_hub_is_a_model(hub: Path) -> None:
    save_file(made_net().state_dict(), hub / "model.safetensors")
    report = bncheck.inspect("hf://acme/net@v1")
    assert len(report.layers) == 3
    assert report.model.path == "hf://acme/net@v1"
    assert FetchedFrom("hf://acme/net@v1", COMMIT) in report.run.noted
    assert f"Fetched hf://acme/net@v1 at commit {COMMIT}." in report.run.notes
    assert "hf:/acme" not in json.dumps(report.to_dict())
    assert len(bncheck.inspect(f"hf://acme/net@{COMMIT}/model.safetensors").layers) == 3


def test_a_folder_of_the_hub_is_built_by_its_class(hub: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(embedding_size=4, hidden_sizes=[4], depths=[1], layer_type="basic", num_labels=2)
    net = transformers.ResNetForImageClassification(config)
    net.save_pretrained(hub)
    (hub / "modeling_own.py").write_text("raise SystemExit(3)\n")
    x = np.random.default_rng(0).normal(size=(8, 3, 16, 16)).astype(np.float32)
    report = bncheck.inspect("hf://acme/net", x)
    assert {layer.status for layer in report.layers} == {"measured"}
    assert report.model.path == "hf://acme/net"


def test_of_a_repository_no_code_is_asked_for(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def snapshot(repository: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.extend(allow_patterns)
        return str(hub)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    torch.save(made_net().state_dict(), hub / "pytorch_model.bin")
    assert len(bncheck.inspect("hf://acme/net").layers) == 3
    safe, others = asked[: asked.index("*.bin") - 2], asked[asked.index("*.bin") - 2 :]
    assert safe == ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]
    assert not [pattern for pattern in others if pattern.endswith(("py", "*"))]


def test_what_the_hub_does_not_give_is_told(hub: Path) -> None:
    with pytest.raises(ModelError, match="hf://acme/other cannot be fetched"):
        bncheck.inspect("hf://acme/other")
    with pytest.raises(ModelError, match=r"hf://acme/net/none\.safetensors cannot be fetched"):
        bncheck.inspect("hf://acme/net/none.safetensors")
    with pytest.raises(ModelError, match="holds no model at its top level"):
        bncheck.inspect("hf://acme/net")
    for name in ("a", "b"):
        torch.save(made_net().state_dict(), hub / f"{name}.pt")
    with pytest.raises(UsageError, match=r"holds several models: name one, such as hf://acme/net/a\.pt"):
        bncheck.inspect("hf://acme/net")
    for odd in ("hf://acme", "hf://acme/net/../../x"):
        with pytest.raises(UsageError, match="a model of the Hub is named hf://ORGANISATION/NAME"):
            bncheck.inspect(odd)


def test_commands_take_such_names(hub: Path, memory: Any, tmp_path: Path) -> None:
    as_traced(made_net(), tmp_path)
    memory.pipe("/models/net.pt", (tmp_path / "traced.pt").read_bytes())
    np.save(tmp_path / "x.npy", data())
    save_file(made_net().state_dict(), hub / "model.safetensors")
    run = CliRunner().invoke
    given = run(app, ["inspect", "memory://models/net.pt", "--data", f"file://{tmp_path}/x.npy"])
    assert given.exit_code == 1, given.output
    assert "memory://models/net.pt" in given.stdout
    assert "imports and runs" not in given.stderr
    audited = run(app, ["audit", "hf://acme/net", "memory://models/net.pt", "hf://acme/none"])
    assert audited.exit_code == 3
    assert "hf://acme/none cannot be fetched" in audited.output
    assert "hf:/acme" not in audited.output.replace("hf://acme", "")
    stamped = run(
        app, ["stamp", "memory://models/net.onnx", "--reference", "hf://acme/net", "--out", str(tmp_path / "o.onnx")]
    )
    assert stamped.exit_code == 2
    assert "memory://models/net.onnx lies elsewhere" in stamped.output


def test_external_data_come_along(memory: Any, tmp_path: Path) -> None:
    import onnx

    (tmp_path / "net").mkdir()
    path = as_onnx(made_net(), tmp_path / "net").model
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert sorted(os.listdir(tmp_path / "net")) == ["net.onnx", "weights.bin"]
    _put(memory, tmp_path / "net", "models")
    assert len(bncheck.inspect("memory://models/net.onnx").layers) == 3


@pytest.mark.parametrize("option", ["--report", "--write-moments", "--write-baseline"])
def test_nothing_is_written_elsewhere(tmp_path: Path, option: str) -> None:
    (tmp_path / "net.pt").write_bytes(b"")
    done = CliRunner().invoke(app, ["inspect", str(tmp_path / "net.pt"), "--data", "x.npz", option, "s3://b/new.json"])
    assert done.exit_code == 2
    assert f"{option} s3://b/new.json: files are written on this machine alone" in " ".join(done.stderr.split())


@pytest.mark.parametrize("target", ["memory://bucket/new.pt", "memory://bucket"])
def test_repaired_models_are_written_here(tmp_path: Path, target: str) -> None:
    net = made_net()
    for model in (as_traced(net, tmp_path), as_shards(net, tmp_path)):
        with pytest.raises(UsageError, match=f"{target}: files are written on this machine alone"):
            bncheck.repair_file(model.model, np.zeros((4, *data()[0].shape[1:]), np.float32), out=target, **model.how)


def _three_parts() -> dict[str, bytes]:
    """A split checkpoint by the names of its files."""
    state, files = made_net().state_dict(), {}
    held = {name: f"pytorch_model-{at % 3 + 1:05}-of-00003.bin" for at, name in enumerate(state)}
    for part in dict.fromkeys(held.values()):
        content = io.BytesIO()
        torch.save({name: value for name, value in state.items() if held[name] == part}, content)
        files[part] = content.getvalue()
    return {**files, "pytorch_model.bin.index.json": json.dumps({"weight_map": held}).encode()}


@pytest.mark.parametrize("kept", ["all", "without the index"])
def test_one_of_several_files_is_fetched_with_the_others(memory: Any, hub: Path, kept: str) -> None:
    files = _three_parts()
    for name, content in files.items():
        if kept == "all" or not name.endswith(".json"):
            memory.pipe(f"/models/{name}", content)
            (hub / name).write_bytes(content)
    for where in ("memory://models", "hf://acme/net"):
        part = f"{where}/pytorch_model-00002-of-00003.bin"
        if kept == "all":
            assert len(bncheck.inspect(part).layers) == len(bncheck.inspect(made_net()).layers)
        else:
            with pytest.raises(ModelError, match=f"{part} is one of 3 files"):
                bncheck.inspect(part)
