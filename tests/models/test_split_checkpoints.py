"""Checkpoints in several files: an index and shards, named by their folder, their index or one of them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_networks import Small, trained
from safetensors.torch import save_file
from torch.jit import mobile

import bncheck
from bncheck.errors import ModelError
from bncheck.formats import open_model, parts_of

STATE = trained(Small()).state_dict()


def split(folder: Path, suffix: str = "bin", save: Callable[[Any, Path], object] = torch.save) -> Path:
    """The network's state dict in three shards."""
    stem = "model" if suffix == "safetensors" else "pytorch_model"
    folder.mkdir(exist_ok=True)
    shards = {name: f"{stem}-{number % 3 + 1:05}-of-00003.{suffix}" for number, name in enumerate(STATE)}
    for shard in set(shards.values()):
        save({name: value for name, value in STATE.items() if shards[name] == shard}, folder / shard)
    index = folder / f"{stem}.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": shards}))
    return index


@pytest.mark.parametrize("named", ["index", "folder", "shard"])
@pytest.mark.parametrize(("suffix", "save"), [("bin", torch.save), ("safetensors", save_file)])
def test_all_of_it_is_read_whatever_of_it_is_named(
    tmp_path: Path, suffix: str, save: Callable[[Any, Path], object], named: str
) -> None:
    index = split(tmp_path / "net", suffix, save)
    shards = sorted((tmp_path / "net").glob(f"*.{suffix}"))
    path = {"index": index, "folder": index.parent, "shard": shards[1]}[named]
    model = open_model(path)
    assert (model.path, model.format) == (str(index), "safetensors" if suffix == "safetensors" else "state_dict")
    assert {name: value.tolist() for name, value in model.tensors().items()} == {
        name: value.tolist() for name, value in STATE.items()
    }
    assert set(parts_of(path)) - {index} == set(shards)
    assert set(model.files()) == {index, *shards}


def test_a_shard_without_its_index_is_what_it_is(tmp_path: Path) -> None:
    index = split(tmp_path)
    index.unlink()
    own = {name: value for name, value in STATE.items() if not name.startswith("bn1")}
    for shard in ("pytorch_model-00001-of-00003.bin", "other-00001-of-00002.bin"):
        torch.save(own, tmp_path / shard)
        assert list(open_model(tmp_path / shard).tensors()) == list(own)
    with pytest.raises(ModelError, match="is a folder"):
        open_model(tmp_path)


def test_of_a_shard_without_its_index_nothing_is_said_that_another_would_refute(tmp_path: Path) -> None:
    part = {name: value for name, value in STATE.items() if "running_var" not in name}
    for name in ("pytorch_model-00001-of-00003.bin", "net.bin", "epoch-00001-of-00001.bin"):
        torch.save(part, tmp_path / name)
    with pytest.raises(ModelError, match=r"is one of 3 files by its name, and the statistics of bn1 are in another"):
        open_model(tmp_path / "pytorch_model-00001-of-00003.bin")
    for whole in ("net.bin", "epoch-00001-of-00001.bin"):
        assert [finding.code for finding in bncheck.inspect(tmp_path / whole).findings] == ["BN101"]
    torch.save(STATE, tmp_path / "epoch-00001-of-00090.bin")
    assert not bncheck.inspect(tmp_path / "epoch-00001-of-00090.bin").findings


def test_a_repaired_one_keeps_its_form(tmp_path: Path) -> None:
    index = split(tmp_path / "net")
    x = torch.rand(64, 3, 8, 8).numpy()
    bncheck.repair_file(index.parent, x, arch=Small, out=tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(
        path.name for path in index.parent.iterdir()
    )
    new, fed = open_model(tmp_path / "new"), {}
    net = open_model(index, arch=Small).program
    handle = net.bn1.register_forward_pre_hook(lambda module, given: fed.update(x=given[0]))
    with torch.no_grad():
        net(torch.from_numpy(x))
    handle.remove()
    np.testing.assert_allclose(new.layers[0].mean, fed["x"].double().mean((0, 2, 3)), rtol=1e-4, atol=1e-6)
    unchanged = {name for name in STATE if not name.startswith("bn1.running")}
    assert all(torch.equal(new.tensors()[name], STATE[name]) for name in unchanged)
    bncheck.repair_file(index, x, arch=Small, out=index.parent / "better.json")
    assert open_model(index.parent / "better.json").layers[0].mean.tolist() == new.layers[0].mean.tolist()
    assert open_model(index).layers[0].mean.tolist() == STATE["bn1.running_mean"].double().tolist()


def test_what_does_not_belong_to_it_is_told(tmp_path: Path) -> None:
    index = split(tmp_path)
    first = tmp_path / "pytorch_model-00001-of-00003.bin"
    save_file({"a": torch.ones(1)}, first)
    with pytest.raises(ModelError, match="is a safetensors file, and its index names it as one of PyTorch's"):
        open_model(index)
    torch.save([1], first)
    with pytest.raises(ModelError, match="holds no state dict"):
        open_model(index)
    torch.save({}, first)
    with pytest.raises(ModelError, match="do not hold"):
        open_model(index)
    first.unlink()
    with pytest.raises(ModelError, match=r"00001-of-00003.bin, which is missing"):
        open_model(index)
    (tmp_path / "index.json").write_text(json.dumps({"weight_map": {"a": "../net.bin"}}))
    with pytest.raises(ModelError, match="not in its own folder"):
        open_model(tmp_path / "index.json")


def test_shards_with_objects_in_them_are_read_as_data_and_not_written(tmp_path: Path) -> None:
    index = split(tmp_path, save=lambda held, path: torch.save({**held, "by": Path("somebody")}, path))
    assert len(open_model(index).tensors()) == len(STATE)
    with pytest.raises(ModelError, match="was read as data and cannot be written again"):
        bncheck.repair_file(index, torch.rand(64, 3, 8, 8).numpy(), arch=Small, out=tmp_path / "new")


def test_mobile_models_are_read_run_and_repaired_as_what_they_are(tmp_path: Path) -> None:
    x = torch.rand(64, 3, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(trained(Small()))._save_for_lite_interpreter(str(tmp_path / "net.ptl"))
    report = bncheck.inspect(tmp_path / "net.ptl", x.numpy())
    assert [(layer.name, layer.status) for layer in report.layers] == [("bn1", "measured")]
    bncheck.repair_file(tmp_path / "net.ptl", x.numpy(), out=tmp_path / "new.ptl")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        phones, torchs = (
            mobile._load_for_lite_interpreter(str(tmp_path / "new.ptl")),
            torch.jit.load(tmp_path / "new.ptl"),
        )
    assert torch.equal(phones(x), torchs(x))
    assert not torch.equal(phones(x), mobile._load_for_lite_interpreter(str(tmp_path / "net.ptl"))(x))
