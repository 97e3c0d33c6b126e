"""Folders of torch.distributed.checkpoint: read without running anything, their parts put together."""

from __future__ import annotations

import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from model_networks import Small, trained
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, Metadata, MetadataIndex

import bncheck
from bncheck.errors import ModelError, UsageError
from bncheck.formats import open_model, parts_of


def saved(folder: Path, content: dict[str, Any]) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save(content, checkpoint_id=folder / "step-100", no_dist=True)
    return folder / "step-100"


def index_of(folder: Path) -> Metadata:
    return pickle.loads((folder / ".metadata").read_bytes())


def put_index(folder: Path, index: Metadata) -> None:
    (folder / ".metadata").write_bytes(pickle.dumps(index))


def in_two_files(folder: Path, name: str, *, only: int | None = None, shift: int = 0) -> None:
    """Have a tensor of a folder stand in two parts, as two processes that each hold half of it leave it."""
    index = index_of(folder)
    (key,) = (key for key in index.storage_data if key.fqn == name)
    info = index.storage_data.pop(key)
    with (folder / info.relative_path).open("rb") as file:
        file.seek(info.offset)
        (folder / "whole").write_bytes(file.read(info.length))
    whole = torch.load(folder / "whole")
    half = len(whole) // 2
    rest = (0,) * (whole.dim() - 1)
    parts = {0: whole[:half], half: whole[half:]}
    index.state_dict_metadata[name].chunks = [
        ChunkStorageMetadata(torch.Size((at, *rest)), torch.Size(part.shape)) for at, part in parts.items()
    ]
    for rank, (at, part) in enumerate(parts.items()):
        if only in (None, rank):
            file = f"__{rank + 1}_0.distcp"
            torch.save(part.clone(), folder / file)
            place = MetadataIndex(name, torch.Size((at + shift * rank, *rest)), rank)
            index.storage_data[place] = type(info)(file, 0, (folder / file).stat().st_size)
    put_index(folder, index)


def test_a_folder_is_audited_run_and_compared(tmp_path: Path) -> None:
    net = trained(Small())
    optimizer = torch.optim.SGD(net.parameters(), momentum=0.9)
    beside = {"optim": optimizer.state_dict(), "epoch": 3, "tags": ["a", "b"]}
    folder = saved(tmp_path, {"model": net.state_dict(), **beside})
    model = open_model(folder)
    assert model.format == "state_dict"
    assert [(layer.name, layer.updates) for layer in model.layers] == [("bn1", 17)]
    assert all(torch.equal(model.tensors()[name], value) for name, value in net.state_dict().items())
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(open_model(folder, arch=Small).program(x), net(x))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    compared = bncheck.diff(folder, tmp_path / "net.pt").summary
    assert (compared.layers_compared, compared.layers_moved, compared.tensors_moved) == (1, 0, 0)
    assert parts_of(folder) == (folder / ".metadata", folder / "__0_0.distcp")


def test_flat_names_and_keys(tmp_path: Path) -> None:
    content = {f"net.{name}": value for name, value in trained(Small()).state_dict().items()}
    assert [layer.name for layer in open_model(saved(tmp_path, content)).layers] == ["net.bn1"]
    both = {"raw": trained(Small()).state_dict(), "ema": trained(Small()).state_dict()}
    assert open_model(saved(tmp_path / "both", both), key="ema").averaged
    with pytest.raises(UsageError, match="raw"):
        open_model(tmp_path / "both" / "step-100", key="none")


@pytest.mark.parametrize("name", ["model.bn1.running_var", "model.conv1.weight"])
def test_parts_of_several_processes_are_put_together(tmp_path: Path, name: str) -> None:
    net = trained(Small())
    folder = saved(tmp_path, {"model": net.state_dict()})
    in_two_files(folder, name)
    model = open_model(folder)
    assert all(torch.equal(model.tensors()[key], value) for key, value in net.state_dict().items())
    assert folder / "__2_0.distcp" in model.files()
    (folder / "__2_0.distcp").unlink()
    with pytest.raises(ModelError, match=r"__2_0.distcp, which is missing"):
        open_model(folder)


def test_a_part_that_is_not_there_or_lies_elsewhere_is_told(tmp_path: Path) -> None:
    folder = saved(tmp_path, {"model": trained(Small()).state_dict()})
    shutil.copytree(folder, tmp_path / "other")
    in_two_files(folder, "model.conv1.weight", only=1)
    with pytest.raises(ModelError, match=r"Parts of model.conv1.weight are missing"):
        open_model(folder)
    in_two_files(tmp_path / "other", "model.conv1.weight", shift=1)
    with pytest.raises(ModelError, match="reaches beyond it"):
        open_model(tmp_path / "other")


def test_repair_is_refused_with_the_way_out(tmp_path: Path) -> None:
    folder = saved(tmp_path, {"model": trained(Small()).state_dict()})
    with pytest.raises(ModelError, match="dcp_to_torch_save"):
        bncheck.repair_file(folder, torch.rand(64, 3, 8, 8).numpy(), arch=Small, out=tmp_path / "new.pt")
    with pytest.raises(ModelError, match="one part of a distributed checkpoint: name its folder"):
        open_model(folder / "__0_0.distcp")


@pytest.mark.parametrize("place", ["../secret.distcp", "{root}/secret.distcp"])
def test_parts_stay_in_the_folder(tmp_path: Path, place: str) -> None:
    folder = saved(tmp_path, {"model": trained(Small()).state_dict()})
    shutil.copy(folder / "__0_0.distcp", tmp_path / "secret.distcp")
    index = index_of(folder)
    for info in index.storage_data.values():
        info.relative_path = place.format(root=tmp_path)
    put_index(folder, index)
    with pytest.raises(ModelError, match="not in its own folder; it was not read"):
        open_model(folder)


class Planted:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return (Path.touch, (self.canary,))


def test_nothing_is_run(tmp_path: Path) -> None:
    folder = saved(tmp_path, {"model": trained(Small()).state_dict()})
    index = index_of(folder)
    index.storage_meta = Planted(tmp_path / "canary")
    put_index(folder, index)
    assert [layer.name for layer in open_model(folder).layers] == ["bn1"]
    (key, *_) = (key for key in index.storage_data if key.fqn == "model.bn1.weight")
    torch.save(Planted(tmp_path / "canary"), folder / "planted")
    index.storage_data[key] = type(index.storage_data[key])("planted", 0, (folder / "planted").stat().st_size)
    put_index(folder, index)
    with pytest.raises(ModelError, match=r"model.bn1.weight is no plain tensor in .*planted"):
        open_model(folder)
    assert not (tmp_path / "canary").exists()


def damaged_indices() -> dict[str, Any]:
    def without(index: Metadata) -> Metadata:
        del index.storage_data
        return index

    def negative(index: Metadata) -> Metadata:
        for info in index.storage_data.values():
            info.offset = -1
        return index

    def transformed(index: Metadata) -> Metadata:
        for info in index.storage_data.values():
            info.transform_descriptors = ["zstd"]
        return index

    def huge(index: Metadata) -> Metadata:
        for kind in index.state_dict_metadata.values():
            kind.size = torch.Size([2**40])
        for key in index.storage_data:
            object.__setattr__(key, "offset", torch.Size([0]))
        return index

    return {"damaged": without, " damaged": negative, "were transformed": transformed, "would take": huge}


@pytest.mark.parametrize("said", damaged_indices())
def test_a_damaged_index_is_told(tmp_path: Path, said: str) -> None:
    folder = saved(tmp_path, {"w": torch.ones(3)})
    put_index(folder, damaged_indices()[said](index_of(folder)))
    with pytest.raises(ModelError, match=said.strip()):
        open_model(folder)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("file", [".metadata", "__0_0.distcp"])
def test_files_that_are_cut_off(tmp_path: Path, file: str, share: float) -> None:
    folder = saved(tmp_path, {"model": trained(Small()).state_dict()})
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match=r"cut off|damaged"):
        open_model(folder)
