"""Models in compressed files and archives: found in them, called by the file's name, never written again."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest
import torch
from model_networks import Small, trained

import bncheck
from bncheck.errors import ModelError

pytestmark = pytest.mark.usefixtures("without_probes")  # what is read and written is asked, not what else may be wrong


def stored() -> bytes:
    file = io.BytesIO()
    torch.save(trained(Small()).state_dict(), file)
    return file.getvalue()


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return path


def packed(form: str, folder: Path) -> Path:
    content = stored()
    if form == "gzip":
        (folder / "net.pth.gz").write_bytes(gzip.compress(content))
        return folder / "net.pth.gz"
    if form == "zip":
        return zipped(folder / "net.zip", model__pth=content, README__md=b"read me")
    return zipped(
        folder / "agent.zip", data=b"{}", pytorch_variables__pth=b"", policy__optimizer__pth=b"x", policy__pth=content
    )


@pytest.mark.parametrize("form", ["gzip", "zip", "stable-baselines3"])
def test_what_is_packed_is_read(form: str, tmp_path: Path) -> None:
    path = packed(form, tmp_path)
    report = bncheck.inspect(path, data=torch.rand(64, 3, 8, 8), arch=Small)
    assert report.model.path == str(path)
    assert [layer.name for layer in report.layers] == [layer.name for layer in bncheck.inspect(path).layers]
    assert report.layers
    with pytest.raises(ModelError, match="which is not written again: unpack it"):
        bncheck.repair_file(path, torch.rand(64, 3, 8, 8), out=tmp_path / "new.pth", arch=Small, force=True)
    assert not (tmp_path / "new.pth").exists()


def test_what_is_wrong_is_said_of_the_file_that_was_named(tmp_path: Path) -> None:
    path = packed("zip", tmp_path)
    with pytest.raises(ModelError, match=r"net\.zip \(model\.pth\) does not fit the architecture"):
        bncheck.inspect(path, arch=lambda: torch.nn.Linear(2, 2))
    path.with_name("cut.gz").write_bytes(gzip.compress(stored())[:-200])
    with pytest.raises(ModelError, match=r"cut\.gz cannot be unpacked"):
        bncheck.inspect(path.with_name("cut.gz"))
    two = zipped(tmp_path / "two.zip", a__pth=stored(), b__pth=stored())
    with pytest.raises(ModelError, match=r"Unpack it and name a\.pth"):
        bncheck.inspect(two)


def test_a_file_made_to_fill_the_disk_ends_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bncheck.formats.declared.ALWAYS", 2**16)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"\0" * 2**24))
    with pytest.raises(ModelError, match="made to fill the disk"):
        bncheck.inspect(tmp_path / "bomb.gz")
