"""Safetensors repaired: one file and shards, metadata and names kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from repair_nets import ARCH, assert_rest_unchanged, assert_statistics, bytes_of, images, stale_net
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import bncheck
from bncheck.errors import UsageError

pytestmark = pytest.mark.usefixtures("without_probes")  # what is written does not hang on them


def test_a_file_keeps_its_metadata_and_its_names(tmp_path: Path) -> None:
    net = stale_net()
    state = {f"backbone.{name}": value for name, value in net.state_dict().items()}
    save_file(state, tmp_path / "net.safetensors", metadata={"format": "pt", "licence": "MIT"})
    bncheck.repair_file(tmp_path / "net.safetensors", images(), out=tmp_path / "new.safetensors", arch=ARCH)
    with safe_open(tmp_path / "new.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt", "licence": "MIT"}
    found = load_file(tmp_path / "new.safetensors")
    before = load_file(tmp_path / "net.safetensors")
    assert_rest_unchanged({name: found[name] for name in before}, before)
    assert set(found) == set(before)
    assert_statistics({name.removeprefix("backbone."): value for name, value in found.items()}, net)


def shards(folder: Path) -> Path:
    """Statistics in the second and third of four shards, one of them in a folder of its own."""
    state = stale_net().state_dict()
    names = {
        "net-1.safetensors": [name for name in state if name.startswith("head")],
        "net-2.safetensors": [name for name in state if name.startswith("stem")],
        "parts/deep.safetensors": [name for name in state if name.startswith("deep") and "conv" not in name],
        "net-4.safetensors": [name for name in state if name.startswith("deep") and "conv" in name],
    }
    (folder / "parts").mkdir(parents=True)
    for shard, members in names.items():
        save_file({name: state[name] for name in members}, folder / shard, metadata={"shard": shard})
    index = {
        "metadata": {"total_size": 1234, "note": "kept"},
        "weight_map": {name: shard for shard, members in names.items() for name in members},
    }
    (folder / "net.safetensors.index.json").write_text(json.dumps(index))
    return folder / "net.safetensors.index.json"


def collected(index: Path) -> dict[str, torch.Tensor]:
    weight_map = json.loads(index.read_text())["weight_map"]
    return {name: load_file(index.parent / shard)[name] for name, shard in weight_map.items()}


def test_shards_go_into_a_folder_under_their_own_names(tmp_path: Path) -> None:
    index = shards(tmp_path / "old")
    before = bytes_of(tmp_path / "old")
    result = bncheck.repair_file(index, images(), out=tmp_path / "new", arch=ARCH)
    assert result.path == str(tmp_path / "new" / index.name)
    assert bytes_of(tmp_path / "old") == before
    after = bytes_of(tmp_path / "new")
    assert set(after) == set(before)
    same = {name for name in before if after[name] == before[name]}
    assert same == {"net-1.safetensors", "net-4.safetensors"}
    assert json.loads(after[index.name]) == json.loads(before[index.name])
    with safe_open(tmp_path / "new" / "parts" / "deep.safetensors", framework="pt") as file:
        assert file.metadata() == {"shard": "parts/deep.safetensors"}
    found = collected(tmp_path / "new" / index.name)
    assert_rest_unchanged(found, collected(index))
    assert_statistics(found, stale_net())


def test_beside_the_original_shards_are_named_after_the_new_index(tmp_path: Path) -> None:
    index = shards(tmp_path)
    before = bytes_of(tmp_path)
    result = bncheck.repair_file(index, images(), out=tmp_path / "new.safetensors.index.json", arch=ARCH)
    after = bytes_of(tmp_path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {
        *("new.safetensors.index.json", "new-1.safetensors", "new-2.safetensors", "new-4.safetensors"),
        "parts/new-deep.safetensors",
    }
    assert_statistics(collected(Path(result.path)), stale_net())


def test_statistics_that_were_never_saved_join_the_shard_of_their_layer(tmp_path: Path) -> None:
    net = stale_net()
    parameters = dict(net.named_parameters())
    names = {"a.safetensors": "stem", "b.safetensors": ""}
    weight_map = {name: next(s for s, start in names.items() if name.startswith(start)) for name in parameters}
    for shard in names:
        members = {name: value.detach() for name, value in parameters.items() if weight_map[name] == shard}
        save_file(members, tmp_path / shard)
    size = sum(value.numel() * 4 for value in parameters.values())
    index = tmp_path / "net.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": size}, "weight_map": weight_map}))
    result = bncheck.repair_file(index, images(), out=tmp_path / "new", arch=ARCH)
    written = json.loads(Path(result.path).read_text())
    assert written["weight_map"]["stem.norm.running_mean"] == "a.safetensors"
    assert written["weight_map"]["deep.0.norm.running_var"] == "b.safetensors"
    found = collected(Path(result.path))
    assert written["metadata"]["total_size"] == sum(value.numel() * value.element_size() for value in found.values())
    assert_statistics(found, net)


def test_an_existing_folder_is_not_written_into_over_other_shards(tmp_path: Path) -> None:
    index = shards(tmp_path / "old")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "net-1.safetensors").write_text("someone else's")
    with pytest.raises(UsageError, match=r"net-1\.safetensors: it exists already; name another file, or .* overwrite"):
        bncheck.repair_file(index, images(), out=tmp_path / "new", arch=ARCH)
    assert bytes_of(tmp_path / "new") == {"net-1.safetensors": b"someone else's"}
