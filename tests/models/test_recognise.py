import gzip
import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from model_networks import Small

from bncheck.errors import ModelError, UsageError
from bncheck.formats import open_model
from bncheck.formats.recognition.recognise import recognise
from bncheck.formats.safetensors import SAFETENSORS_INDEX
from bncheck.formats.state_dict import LEGACY_CHECKPOINT, PLAIN_PICKLE, TAR_CHECKPOINT, ZIP_CHECKPOINT


def _zip(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"{}")


def _tar(path, names):
    with tarfile.open(path, "w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())


@pytest.mark.parametrize("suffix", [".pt", ".onnx", ".tar", ".jpg", ""])
def test_the_suffix_decides_nothing(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    torch.save(Small().state_dict(), path)
    assert recognise(path) == ZIP_CHECKPOINT
    torch.save(Small().state_dict(), path, _use_new_zipfile_serialization=False)
    assert recognise(path) == LEGACY_CHECKPOINT


def test_other_containers_by_content(tmp_path):
    (tmp_path / "p").write_bytes(b"\x80\x04}.")
    assert recognise(tmp_path / "p") == PLAIN_PICKLE
    (tmp_path / "i").write_text(json.dumps({"metadata": {}, "weight_map": {}}))
    assert recognise(tmp_path / "i") == SAFETENSORS_INDEX
    _tar(tmp_path / "t", ["sys_info", "pickle", "tensors", "storages"])
    assert recognise(tmp_path / "t") == TAR_CHECKPOINT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", r"git lfs pull"),
        (b"<!DOCTYPE html><html>Sign in</html>", "web page.*Download it again"),
        (b"\n  <html><body>404</body></html>", "web page"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 64, "cannot be read as HDF5"),
        (b"\x08\x01\x12\xa8\x8f\x02\x0a\x94\x20\x12\x0e\x0a\x05Const", "TensorFlow SavedModel.*tf2onnx"),
        (gzip.compress(b"hello", mtime=0), r"\(model\) is a text file, not a model"),
        (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0" + b"\0" * 40, "begins like an ONNX model but is cut off"),
        (b"just some words", "text file"),
        (b"[1, 2", "text file"),
        (b'{"a": 1}', "without a `weight_map`"),
        (b"\x01\x00\xfe\xff" * 30, "in no format that bncheck knows"),
        (b"\x18\x00\x00\x00TFL3" + b"\0" * 30, "TensorFlow Lite"),
        (b"\x40\x00\x00\x00PTMF" + b"\0" * 30, "PyTorch Mobile model as a flatbuffer"),
    ],
)
def test_what_people_hand_in_by_mistake(tmp_path, content, message):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        open_model(path)
    assert str(path) in str(caught.value)


def test_arrays_are_data(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    np.savez(tmp_path / "x.npz", x=np.zeros(3))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(ModelError, match="pass it as data"):
            open_model(tmp_path / name)


def test_foreign_archives(tmp_path):
    _zip(tmp_path / "z", ["results/best.pth", "results/last.pth", "results/log.txt"])
    with pytest.raises(ModelError, match=r"not one that PyTorch wrote. Unpack it and name results/best.pth"):
        open_model(tmp_path / "z")
    _zip(tmp_path / "k", ["config.json", "model.weights.h5"])
    with pytest.raises(ModelError, match="cannot be read as HDF5"):
        open_model(tmp_path / "k")
    _zip(tmp_path / "n", ["config.json", "model.weights.npz"])
    with pytest.raises(ModelError, match="keeps its weights as NumPy arrays"):
        open_model(tmp_path / "n")
    _tar(tmp_path / "t", ["000.jpg", "000.cls"])
    with pytest.raises(ModelError, match="tar archive, not a model"):
        open_model(tmp_path / "t")


def test_folders(tmp_path):
    with pytest.raises(ModelError, match=r"is a folder.*Name a model file"):
        open_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"Name one of its files: model.safetensors"):
        open_model(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ModelError, match="SavedModel"):
        open_model(tmp_path)


def test_a_missing_file_is_the_commands_mistake(tmp_path):
    with pytest.raises(UsageError, match=r"There is no file .*nowhere.pt"):
        open_model(tmp_path / "nowhere.pt")


def test_a_device_that_is_not_there(tmp_path):
    torch.save(Small().state_dict(), tmp_path / "a.pt")
    with pytest.raises(UsageError, match="device quantum cannot be used"):
        open_model(tmp_path / "a.pt", device="quantum")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_truncated_checkpoints(tmp_path, legacy, share):
    path = tmp_path / "net.pth"
    torch.save(Small().state_dict(), path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(3, int(len(whole) * share))])
    with pytest.raises(ModelError, match="cut off or damaged") as caught:
        open_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_record_inside_a_whole_archive(tmp_path):
    path = tmp_path / "net.pth"
    torch.save({"weight": torch.zeros(4000)}, path)
    content = bytearray(path.read_bytes())
    position = content.index(b"weight")
    content[position - 12 : position + 12] = b"\xff" * 24
    path.write_bytes(content)
    with pytest.raises(ModelError, match="cut off or damaged"):
        open_model(path)
