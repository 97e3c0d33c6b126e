"""Files that were read as data are repaired where their statistics stand; every other byte of them stays."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_files import FORMS, Runs, checkpoint, detector_state, package, save, saved, with_package
from torch import nn

import bncheck
from bncheck.errors import ModelError
from bncheck.formats import open_model

pytestmark = pytest.mark.usefixtures("without_probes")  # what is written does not hang on them

MEASURED = ("model.0.bn", "model.1.bn", "norm", "frozen")
STATISTICS = {f"{layer}.running_{which}" for layer in MEASURED for which in ("mean", "var")}


def images() -> np.ndarray[Any, Any]:
    return np.random.default_rng(4).normal(1.0, 2.0, (40, 2, 7, 7)).astype(np.float32)


def repaired(path: Path, **how: Any) -> bncheck.RepairReport:
    arch = how.pop("arch", f"{with_package(path.parent)}:build")
    return bncheck.repair_file(path, images(), out=path.parent / "out.pt", arch=arch, overwrite=True, **how)


@pytest.mark.parametrize("form", FORMS)
def test_only_the_statistics_of_the_model_change(tmp_path: Path, form: str) -> None:
    path = saved(tmp_path, form)
    before = path.read_bytes()
    result = repaired(path)
    after = (tmp_path / "out.pt").read_bytes()
    assert path.read_bytes() == before
    assert not (tmp_path / "marker").exists()
    # Statistics are 2 bytes each, 2 of them in each of 22 channels; an archive has a checksum of each record, twice.
    checksums = 2 * 4 * len(STATISTICS) if form.startswith("zip") else 0
    assert len(after) == len(before)
    assert 0 < sum(one != other for one, other in zip(before, after, strict=True)) <= 2 * 2 * 22 + checksums
    report = bncheck.inspect(tmp_path / "out.pt", images(), arch=f"{with_package(tmp_path)}:build")
    gaps = [layer.gap for layer in report.layers if layer.name in MEASURED]
    assert len(gaps) == 4
    assert max(gaps) < 0.05 < 0.1 < max(layer.gap or 0 for layer in result.before.layers)


def test_python_reads_what_was_written(tmp_path: Path) -> None:
    path = saved(tmp_path, canary=None, shell=None, code=None)
    repaired(path)
    with zipfile.ZipFile(tmp_path / "out.pt") as archive:
        assert archive.testzip() is None
    with package():
        old, new = (torch.load(one, weights_only=False, map_location="cpu") for one in (path, tmp_path / "out.pt"))
    assert {
        name
        for name, value in new["model"].state_dict().items()
        if not torch.equal(value, old["model"].state_dict()[name])
    } == STATISTICS
    assert all(torch.equal(value, old["ema"].state_dict()[name]) for name, value in new["ema"].state_dict().items())
    assert (new["epoch"], new["model"].training, new["args"]) == (7, True, old["args"])


def test_another_copy_of_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path)
    repaired(path, key="ema")
    old, new = open_model(path), open_model(tmp_path / "out.pt")
    assert [layer.mean.tolist() for layer in old.layers[:4]] == [layer.mean.tolist() for layer in new.layers[:4]]
    old, new = open_model(path, key="ema"), open_model(tmp_path / "out.pt", key="ema")
    moved = [one.name for one, other in zip(old.layers[:4], new.layers, strict=False) if one.mean[0] != other.mean[0]]
    assert moved == list(MEASURED)


def test_a_state_dict_beside_foreign_objects(tmp_path: Path) -> None:
    state = {f"net.{name}": value for name, value in detector_state().items()}
    path = save({"state_dict": state, "extra": Runs(len, ())}, tmp_path / "net.ckpt")
    repaired(path)
    assert len((tmp_path / "out.pt").read_bytes()) == len(path.read_bytes())
    old, new = open_model(path).tensors(), open_model(tmp_path / "out.pt").tensors()
    moved = {name.removeprefix("net.") for name, value in new.items() if not torch.equal(value, old[name])}
    assert moved == STATISTICS


def test_who_shares_the_memory_is_named(tmp_path: Path) -> None:
    with package() as zoo:
        net = checkpoint(zoo, tmp_path)["ema"]
        path = save({"model": net, "swa": net.state_dict(), "other": zoo.Detector()}, tmp_path / "net.pt")
    result = repaired(path)
    assert any(note.startswith("In the file swa shares the statistics") for note in result.notes)
    assert open_model(tmp_path / "out.pt").siblings[0].same_statistics


def test_a_value_that_the_file_cannot_hold(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with pytest.raises(ModelError, match=r"cannot be written: the value .* beyond float16"):
        bncheck.repair_file(path, images() * 1e6, out=tmp_path / "out.pt", arch=f"{with_package(tmp_path)}:build")
    assert not (tmp_path / "out.pt").exists()


def test_statistics_that_are_not_there_cannot_be_added(tmp_path: Path) -> None:
    state = {name: value for name, value in detector_state().items() if not name.startswith("norm.running")}
    path = save({"state_dict": state, "extra": Runs(len, ())}, tmp_path / "net.ckpt")
    with pytest.raises(ModelError, match=r"has no place for norm\.running_mean: it was read as data"):
        repaired(path)


def test_a_packed_archive_cannot_be_changed_in_place(tmp_path: Path) -> None:
    path = saved(tmp_path)
    whole = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    path.write_bytes(whole.getvalue())
    with pytest.raises(ModelError, match="is compressed, or of another order of bytes"):
        repaired(path)


def test_checksums_that_stand_behind_the_record(tmp_path: Path) -> None:
    """As who writes an archive into a pipe leaves them."""
    path = save({"net": nn.Sequential(nn.BatchNorm2d(2)), "x": Runs(len, ())}, tmp_path / "net.pt")

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: Any) -> int:
            raise OSError

        def tell(self) -> int:
            raise OSError

    whole = Pipe()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(whole, "w") as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name))
    path.write_bytes(whole.getvalue())
    repaired(path, arch=None, force=True)
    with zipfile.ZipFile(tmp_path / "out.pt") as archive:
        assert archive.testzip() is None
    assert abs(float(open_model(tmp_path / "out.pt").layers[0].mean[0]) - 1) < 0.2
