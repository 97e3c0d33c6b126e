import hashlib
import json

import pytest
import torch
from model_networks import Small, trained
from safetensors.torch import save_file

from bncheck.errors import ModelError, UsageError
from bncheck.formats import open_model
from bncheck.formats.safetensors.names import shards_named


def _sharded(folder, **weight_map):
    content = trained(Small()).state_dict()
    shards = {"a.safetensors": ["conv1.weight", "conv1.bias", "bn1.weight"]}
    shards["b.safetensors"] = [name for name in content if name not in shards["a.safetensors"]]
    for shard, names in shards.items():
        save_file({name: content[name] for name in names}, folder / shard)
    names = {name: shard for shard, inside in shards.items() for name in inside}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": names | weight_map}))
    return index


def test_one_file(tmp_path):
    net = trained(Small())
    save_file(net.state_dict(), tmp_path / "weights.bin")
    model = open_model(tmp_path / "weights.bin")
    assert model.format == "safetensors"
    assert [(layer.name, layer.updates) for layer in model.layers] == [("bn1", 17)]
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(open_model(tmp_path / "weights.bin", arch=Small).program(x), net(x))


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.99])
def test_truncated(tmp_path, share):
    save_file(trained(Small()).state_dict(), tmp_path / "w.safetensors")
    whole = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(whole[: max(9, int(len(whole) * share))])
    with pytest.raises(ModelError, match="cannot be read as safetensors") as caught:
        open_model(tmp_path / "w.safetensors")
    assert "\n" not in str(caught.value)


def test_an_index_and_its_shards(tmp_path):
    index = _sharded(tmp_path)
    model = open_model(index)
    assert model.format == "safetensors"
    assert [layer.name for layer in model.layers] == ["bn1"]
    content = b"".join((tmp_path / name).read_bytes() for name in (index.name, "a.safetensors", "b.safetensors"))
    assert model.sha256 == hashlib.sha256(content).hexdigest()
    assert open_model(index, arch=Small).program(torch.rand(1, 3, 8, 8)).shape == (1, 5)


def test_a_missing_shard_is_named(tmp_path):
    index = _sharded(tmp_path)
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(ModelError, match=r"the shard b.safetensors, which is missing"):
        open_model(index)


def test_a_missing_tensor_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"do not hold: other.weight"):
        open_model(_sharded(tmp_path, **{"other.weight": "a.safetensors"}))


@pytest.mark.parametrize("place", ["../secret.safetensors", "{root}/secret.safetensors", "x/../../secret.safetensors"])
def test_shards_stay_in_the_indexs_folder(tmp_path, place):
    save_file({"other.weight": torch.ones(2)}, tmp_path / "secret.safetensors")
    folder = tmp_path / "model"
    (folder / "x").mkdir(parents=True)
    with pytest.raises(ModelError, match="not in its own folder; it was not read"):
        open_model(_sharded(folder, **{"other.weight": place.format(root=tmp_path)}))


def test_an_index_of_something_else(tmp_path):
    (tmp_path / "i.json").write_text(json.dumps({"weight_map": {"a": ["b"]}}))
    with pytest.raises(ModelError, match="no index of safetensors"):
        open_model(tmp_path / "i.json")


def test_shards_of_another_format(tmp_path):
    torch.save({}, tmp_path / "c.bin")
    with pytest.raises(ModelError, match=r"c.bin, which is not safetensors"):
        open_model(_sharded(tmp_path, **{"other.weight": "c.bin"}))


def test_a_key_has_no_use_here(tmp_path):
    with pytest.raises(UsageError, match="leave key out"):
        open_model(_sharded(tmp_path), key="model")


@pytest.mark.parametrize("shard", [[], {}, 3, None])
def test_a_shard_that_is_no_name(shard, tmp_path):
    index = tmp_path / "net.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"bn.weight": shard, "bn.bias": "part.safetensors"}}), "utf-8")
    assert shards_named(index) == (tmp_path / "part.safetensors",)
    with pytest.raises(ModelError):
        open_model(index)
