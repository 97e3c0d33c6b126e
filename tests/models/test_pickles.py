import argparse
import io
import os
import pickle
import re
import sys
import tarfile
import types
import zipfile

import pytest
import torch
from model_networks import Hostile, Small, trained
from torch import nn

from bncheck.data import open_data
from bncheck.errors import DataError, ModelError
from bncheck.formats import open_model
from bncheck.formats.pickles.opcodes import blocked_globals
from bncheck.results.notes import sentences


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_hostile_checkpoint_is_named_and_not_run(tmp_path, legacy, protocol):
    marker = tmp_path / "marker"
    path = tmp_path / "net.pt"
    how = {"_use_new_zipfile_serialization": not legacy, "pickle_protocol": protocol}
    torch.save({"state_dict": Small().state_dict(), "args": Hostile(str(marker))}, path, **how)
    model = open_model(path)
    assert [layer.name for layer in model.layers] == ["bn1"]
    assert f"was imported or run ({os.system.__module__}.system)." in sentences(model.notes)[-1]
    torch.save({"args": Hostile(str(marker))}, path, **how)
    with pytest.raises(ModelError, match=rf"{os.system.__module__}\.system.*trust_pickle"):
        open_model(path)
    assert not marker.exists()


@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "stream"])
def test_a_name_that_no_class_has_does_not_reach_torch(tmp_path, monkeypatch, legacy):
    """Torch searches its own message for the name, in a time that grows with the square of its length."""
    path = tmp_path / "net.pt"
    torch.save({"args": Hostile("x")}, path, _use_new_zipfile_serialization=not legacy)
    name = f"c{os.system.__module__}\nsystem\n".encode()
    content = path.read_bytes()
    assert name in content
    with io.BytesIO() as rewritten:
        if legacy:
            rewritten.write(content.replace(name, b"ca\n" + b"x" * 2_000 + b"\n"))
        else:
            with zipfile.ZipFile(path) as old, zipfile.ZipFile(rewritten, "w") as new:
                for each in old.namelist():
                    new.writestr(each, old.read(each).replace(name, b"ca\n" + b"x" * 2_000 + b"\n"))
        path.write_bytes(rewritten.getvalue())

    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr(torch, "load", never)
    with pytest.raises(ModelError, match=r"holds more than tensors and was not read: it asks for a\.xxx"):
        open_model(path)
    with pytest.raises(DataError, match=r"holds a\.xxx.*could run code"):
        open_data(path)


def test_the_marker_would_appear(tmp_path):
    """The tests above can fail: unrestricted, the same pickle does create the file."""
    marker = tmp_path / "marker"
    torch.save(Hostile(str(marker)), tmp_path / "net.pt")
    torch.load(tmp_path / "net.pt", weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_plain_pickle_is_refused_without_trust(tmp_path, protocol):
    marker = tmp_path / "marker"
    (tmp_path / "net.pkl").write_bytes(pickle.dumps({"x": Hostile(str(marker))}, protocol=protocol))
    with pytest.raises(ModelError, match=r"\.system.*trust_pickle"):
        open_model(tmp_path / "net.pkl")
    assert not marker.exists()


def test_a_plain_pickle_without_classes(tmp_path):
    (tmp_path / "net.pkl").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ModelError, match=r"written by pickle, not by torch.save"):
        open_model(tmp_path / "net.pkl")
    (tmp_path / "net.pkl").write_bytes(pickle.dumps({"a": 1})[:-1])
    with pytest.raises(ModelError, match="cut off or damaged"):
        open_model(tmp_path / "net.pkl")


def test_every_blocked_class_is_named(tmp_path):
    path = tmp_path / "net.pt"
    torch.save({"a": argparse.Namespace(x=1), "b": nn.ReLU()}, path)
    with pytest.raises(ModelError, match="not read") as caught:
        open_model(path)
    for name in ("argparse.Namespace", "torch.nn.modules.activation.ReLU"):
        assert name in str(caught.value)
    assert "OrderedDict" not in str(caught.value)


@pytest.mark.parametrize("protocol", [2, 4])
def test_names_are_found_through_the_memo(protocol):
    """The second class of one module finds the module's name in the memo."""
    stream = io.BytesIO(pickle.dumps([nn.ReLU, nn.Sigmoid, argparse.Namespace, nn.ReLU], protocol=protocol))
    assert blocked_globals(stream) == [
        "torch.nn.modules.activation.ReLU",
        "torch.nn.modules.activation.Sigmoid",
        "argparse.Namespace",
    ]


def test_a_trusted_module(tmp_path):
    net = trained(Small())
    torch.save(net, tmp_path / "net.pt")
    model = open_model(tmp_path / "net.pt", trust_pickle=True)
    x = torch.rand(2, 3, 8, 8)
    assert model.format == "module"
    assert [layer.name for layer in model.layers] == ["bn1"]
    assert torch.equal(model.program(x), net(x))
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(net))
    assert open_model(tmp_path / "net.pkl", trust_pickle=True).format == "module"


def test_a_trusted_module_beside_its_average(tmp_path):
    raw, averaged = trained(Small(), 1).train().half(), trained(Small(), 2)
    torch.save({"epoch": 3, "ema": averaged, "model": raw, "optimizer": {"param_groups": []}}, tmp_path / "best.pt")
    model = open_model(tmp_path / "best.pt", trust_pickle=True)
    assert any("'model'" in note and "key" in note and "ema" in note for note in sentences(model.notes))
    assert "bn1" in model.in_training
    assert any("half precision" in note for note in sentences(model.notes))
    assert model.layers[0].dtype == "float16"
    assert model.layers[0].mean.tolist() == raw.bn1.running_mean.double().tolist()
    assert model.program(torch.rand(2, 3, 8, 8)).dtype == torch.float32
    assert model.tensor_names[model.program.bn1.running_mean.data_ptr()] == "bn1.running_mean"
    ema = open_model(tmp_path / "best.pt", trust_pickle=True, key="ema")
    assert ema.layers[0].mean.tolist() == averaged.bn1.running_mean.double().tolist()


@pytest.mark.parametrize("lost", ["module", "class"])
def test_a_class_that_is_gone(tmp_path, monkeypatch, lost):
    gone = types.ModuleType("gone_module")
    gone.Net = type("Net", (), {"__module__": "gone_module"})
    monkeypatch.setitem(sys.modules, "gone_module", gone)
    torch.save(gone.Net(), tmp_path / "net.pt")
    if lost == "module":
        monkeypatch.delitem(sys.modules, "gone_module")
    else:
        del gone.Net
    with pytest.raises(ModelError, match=r"class cannot be found here: .*gone_module.*PYTHONPATH"):
        open_model(tmp_path / "net.pt", trust_pickle=True)


def test_old_tar_containers_are_refused_with_a_way_out(tmp_path):
    with tarfile.open(tmp_path / "old.tar", "w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(ModelError, match=r"weights_only=False.*trust_pickle"):
        open_model(tmp_path / "old.tar")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_whole_file_in_old_pickle_operations_is_read(tmp_path, legacy):
    """Python 2 wrote numbers as text, which the tensors-only reader does not know; public checkpoints are so."""
    path = tmp_path / "old.pt"
    content = {"state_dict": trained(Small()).state_dict(), "best": True}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy, pickle_protocol=2 if legacy else 1)
    if legacy:
        text, changed = re.subn(rb"(best(?:q.|r....))\x88", rb"\1I01\n", path.read_bytes(), flags=re.DOTALL)
        assert changed == 1
        path.write_bytes(text)
    model = open_model(path)
    assert [layer.mean.tolist() for layer in model.layers] == [content["state_dict"]["bn1.running_mean"].tolist()]
    assert sentences(model.notes) == ()  # nothing of it was left out
    assert [layer.name for layer in open_model(path, trust_pickle=True).layers] == ["bn1"]


def test_old_pickle_operations_without_a_tensor_are_not_called_damaged(tmp_path):
    torch.save({"best": True}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    text, changed = re.subn(
        rb"(best(?:q.|r....))\x88", rb"\1I01\n", (tmp_path / "old.pt").read_bytes(), flags=re.DOTALL
    )
    assert changed == 1
    (tmp_path / "old.pt").write_bytes(text)
    with pytest.raises(ModelError, match="holds no model: the names at its top are best"):
        open_model(tmp_path / "old.pt")


def test_a_damaged_file_is_not_called_dangerous(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as archive, zipfile.ZipFile(tmp_path / "b.pt", "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            copy.writestr(name, content[:-9] if name.endswith("data.pkl") else content)
    with pytest.raises(ModelError, match="cut off or damaged") as caught:
        open_model(tmp_path / "b.pt")
    assert "weights_only" not in str(caught.value)
