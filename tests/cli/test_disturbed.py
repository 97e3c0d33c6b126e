"""What happens around a run: the disk is full, the model is exchanged under it, names are no UTF-8."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest
import torch
from command_line import call, call_process, refused
from guarded_files import CODE, write_onnx, write_shards
from made_files import Files
from onnx import numpy_helper
from safetensors.torch import save_file

from bncheck.render import all_formats

CHANGING = """
import shutil
from pathlib import Path
from users_code import images

def batches():
    yield from images().split(50)
    change()
"""
CHANGES = {
    "removed": "Path(NAME).unlink(missing_ok=True)",
    "replaced": "Path('other.file').exists() and Path('other.file').replace(NAME)",
    "emptied": "Path(NAME).write_bytes(b'')",
    "a folder": "Path(NAME).unlink() if Path(NAME).is_file() else None\n    Path(NAME).mkdir(exist_ok=True)",
    "garbage": "Path(NAME).write_bytes(b'of no kind')",
}


def state_dict(files: Files, folder: Path) -> Path:
    return Path(shutil.copy(files.drifted, folder / "model.pt"))


def script(files: Files, folder: Path) -> Path:
    return Path(shutil.copy(files.never_updated, folder / "model.pt"))


def exported(files: Files, folder: Path) -> Path:
    return Path(shutil.copy(files.fixed_batch, folder / "model.pt2"))


def one_safetensors(files: Files, folder: Path) -> Path:
    save_file(torch.load(files.drifted, weights_only=True), folder / "model.safetensors")
    return folder / "model.safetensors"


def shards(files: Files, folder: Path) -> Path:
    return write_shards(folder, torch.load(files.drifted, weights_only=True))


def onnx_in_parts(files: Files, folder: Path) -> Path:
    made = folder.parent / "made"
    made.mkdir()  # of a name that onnx can write to
    write_onnx(made / "model.onnx")
    for part in made.iterdir():
        part.rename(folder / part.name)
    made.rmdir()
    return folder / "model.onnx"


MAKERS = [state_dict, script, exported, one_safetensors, shards, onnx_in_parts]
PARTS = {shards: "part-1.safetensors", onnx_in_parts: "model.onnx.bin"}


def repairs(model: Path, data: str, out: str, *more: str) -> tuple[str, ...]:
    arch = () if model.suffix in (".onnx", ".pt2") else ("--arch", f"{CODE}:Net")
    return ("repair", str(model), "--data", data, "--out", out, "--force", *arch, *more)


@pytest.mark.usefixtures("without_probes")  # what ends the run comes after them
@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize(
    ("make", "part"),
    [
        *(pytest.param(make, False, id=f"{make.__name__}-itself") for make in MAKERS),
        *(pytest.param(make, True, id=f"{make.__name__}-part") for make in PARTS),
    ],
)
def test_a_model_that_is_not_any_more_what_was_measured(
    files: Files, scratch: Path, make: Callable[[Files, Path], Path], part: bool, what: str
) -> None:
    model = make(files, scratch).relative_to(scratch)
    changed = PARTS[make] if part else str(model)
    Path("other.file").write_bytes(Path(changed).read_bytes() + b"\0")
    Path(f"{make.__name__}_changing.py").write_text(
        f"import sys\nsys.path.append({str(CODE.parent)!r})\nNAME = {changed!r}\n{CHANGING}\n"
        f"def change():\n    {CHANGES[what]}\n"
    )
    before = set(os.listdir())
    told = refused(call(*repairs(model, f"{make.__name__}_changing.py:batches", f"new{model.suffix}"), "-q"), 3)
    assert f"{model} " in told
    assert "it changed while bncheck ran, and nothing was written" in told
    assert set(os.listdir()) - {"__pycache__"} <= before


@pytest.mark.usefixtures("without_probes")
@pytest.mark.parametrize("make", [maker for maker in MAKERS if maker is not onnx_in_parts], ids=lambda m: m.__name__)
def test_a_disk_that_is_full(files: Files, scratch: Path, make: Callable[[Files, Path], Path]) -> None:
    """As a limit on the size of files, which no file system is needed for; its message says so in other words."""
    model = make(files, scratch)
    before = sorted(os.listdir())
    with tiny_files():
        done = call(*repairs(model, files.data, f"new{model.suffix}"), "-q")
    assert "it cannot be written: File too large" in refused(done, 2)
    assert sorted(os.listdir()) == before


@contextlib.contextmanager
def tiny_files() -> Iterator[None]:
    """No file can grow beyond 200 bytes; Python ignores the signal that says so."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


NOT_UTF8 = os.fsdecode(b"caf\xe9")


@pytest.mark.usefixtures("without_probes")
@pytest.mark.parametrize(
    "make",
    [pytest.param(make, marks=[pytest.mark.slow] if make is state_dict else [], id=make.__name__) for make in MAKERS],
)
def test_names_that_are_no_utf8(files: Files, scratch: Path, make: Callable[[Files, Path], Path]) -> None:
    folder = scratch / NOT_UTF8
    folder.mkdir()
    model = make(files, folder).relative_to(scratch)
    shutil.copy(files.data, folder / "data.npz")
    reports = {each.name: f"{NOT_UTF8}/report.{each.name}" for each in all_formats()}
    typed = [f"{name}={path}" for name, path in reports.items()]
    data = ("--data", f"{NOT_UTF8}/data.npz", *(() if model.suffix in (".onnx", ".pt2") else ("--arch", f"{CODE}:Net")))
    # One in a process of its own, whose stdout must be UTF-8 too; the start of a process costs more than the rest.
    run = call_process if make is state_dict else call
    done = run("inspect", model, *data, *(part for each in typed for part in ("--report", each)))
    if make in (one_safetensors, shards):
        assert "safetensors are opened by names in UTF-8 alone" in refused(done, 3)
        return
    assert done.code in (0, 1), done
    texts = {name: Path(path).read_bytes().decode("utf-8") for name, path in reports.items()}
    assert json.loads(texts["json"])["model"]["path"] == f"caf\ufffd/{model.name}"
    assert "\\ud" not in texts["json"] + texts["sarif"]
    assert call("gate", reports["json"], "-q", "--report", f"sarif={NOT_UTF8}/again").code == done.code
    out = f"{NOT_UTF8}/new{model.suffix}"
    repaired = call(*repairs(model, f"{NOT_UTF8}/data.npz", out, "--report", f"html={out}.html"))
    assert repaired.code in (0, 1), repaired
    assert Path(out).exists()
    gone = call("inspect", f"{NOT_UTF8}.pt", "--report", f"json={NOT_UTF8}/{NOT_UTF8}/a.json")
    assert "there is no folder caf" in refused(gone, 2)


def test_a_model_that_is_removed_while_it_is_stamped(files: Files, scratch: Path) -> None:
    model = onnx.load(onnx_in_parts(files, scratch))
    values = {tensor.name: torch.tensor(numpy_helper.to_array(tensor)) for tensor in model.graph.initializer}
    roles = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"}
    torch.save({f"norm.{role}": values[name] for name, role in roles.items()}, "reference.pt")
    Path("stamped_net.py").write_text(
        "from pathlib import Path\nfrom torch import nn\n\ndef build():\n"
        "    net = nn.Module()\n    net.norm = nn.BatchNorm2d(2)\n    return net\n\n"
        "def removing():\n    Path('model.onnx').unlink()\n    return build()\n"
    )
    command = ("stamp", "model.onnx", "--reference", "reference.pt", "--out", "new.onnx", "--reference-arch")
    assert call(*command, "stamped_net.py:build").code == 0
    Path("new.onnx").unlink()
    told = refused(call(*command, "stamped_net.py:removing"), 3)
    assert "model.onnx was removed or cannot be read any more: it changed while bncheck ran" in told
    assert not [name for name in os.listdir() if name.startswith((".new", "new"))]
