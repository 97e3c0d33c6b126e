"""No output of any command is ever written over anything that it reads, whatever the file is called there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pytest
import torch
import typer
from command_line import call, refused, users_code
from guarded_files import COMMANDS, SHARDS, Command, write_everything
from made_files import Files

import bncheck
from bncheck.api.stamping import stamp
from bncheck.cli import guard
from bncheck.cli.app import app
from bncheck.errors import UsageError

NAMES_NO_FILE = {"JSON", "NAME", "N", "X", "CODES", "GLOB", "CODE", "SIZE", "imagenet", "I/K"}


def own_name(file: str) -> Iterator[str]:
    yield file


def under_every_name(file: str) -> Iterator[str]:
    """The file's own name, the same another way, and a symbolic and a hard link to it, one after another."""
    yield file
    yield str(Path("photos", "..", file))
    yield from linked(file)


def linked(file: str) -> Iterator[str]:
    link = Path("link.json")
    for make in (link.symlink_to, link.hardlink_to):
        make(file)
        yield str(link)
        link.unlink()


@pytest.fixture(scope="session")
def everything(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("everything")
    write_everything(folder, Path(files.drifted), Path(files.labelled))
    saved = folder / "saved.json"
    assert call("inspect", files.healthy, "--report", f"json={saved}", "-q", "--no-config").code == 0
    return folder


@pytest.fixture
def here(everything: Path, scratch: Path) -> Path:
    """A copy of everything, to stand in."""
    shutil.copytree(everything, scratch, dirs_exist_ok=True)
    return scratch


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }


def cases() -> Iterator[object]:
    """Every input of every command under its own name, against each output.

    Under every name the first time that a file is read as what it is, and that an output is given: whether two names
    are one file is told in one place for all commands.
    """
    seen: set[object] = set()
    for name, command in COMMANDS.items():
        for output in command.outputs:
            for file, role in command.inputs.items():
                names = own_name if {(file, role), output} <= seen else under_every_name
                seen |= {(file, role), output}
                identity = f"{name}-{output[-1].rstrip('=')}-{file}"
                yield pytest.param(command, output, file, role, names, id=identity)


@pytest.mark.parametrize(("command", "output", "file", "role", "names"), list(cases()))
def test_an_output_that_is_an_input(
    here: Path,
    command: Command,
    output: tuple[str, ...],
    file: str,
    role: str,
    names: Callable[[str], Iterator[str]],
) -> None:
    if file == "pyproject.toml":
        Path("bncheck.toml").unlink()
    if file.startswith("photos/"):
        command = Command(tuple("photos" if part == "data.npz" else part for part in command.typed), (), {})
    before = contents(here)
    option = next(part for part in reversed(output) if part.startswith("--"))
    last = output[-1]
    for path in names(file):
        typed = (*output[:-1], f"{last}{path}") if last.endswith("=") else (*output, path)
        told = refused(call(*command.typed, *command.beside, *typed), 2)
        assert told.strip().splitlines()[-1].startswith(f"bncheck: {option} {path}: that is ")
        assert f"read as {role}" in told
        assert contents(here) == before | ({"link.json": before[file]} if path == "link.json" else {})


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs_with_outputs_of_its_own(here: Path, command: str) -> None:
    """Else being refused would mean nothing: whatever else is wrong is exit 2 too."""
    typed = COMMANDS[command]
    for output in typed.outputs:
        last = output[-1]
        place = (
            "new.json"
            if last in ("json=", "--write-baseline", "--write-moments", "--resume")
            else _named_like(typed.typed[1])
        )
        done = call(*typed.typed, *output[:-1], *((f"{last}{place}",) if last.endswith("=") else (last, place)))
        assert "one of the inputs" not in done.stderr
        assert "goes to that file" not in done.stderr


def _named_like(model: str) -> str:
    return f"other{''.join(Path(model).suffixes)}"


def test_new_files_in_a_folder_of_data_are_refused(here: Path) -> None:
    before = contents(here)
    inspect = ("inspect", "model.onnx", "--data", "photos", "--report")
    for place in ("photos/report.json", "photos/cat/report.json", "photos/../photos/report.json"):
        assert "which is read as --data: inputs are never written to" in refused(call(*inspect, place), 2)
    assert contents(here) == before


def test_the_file_behind_a_link_in_a_folder_of_data_is_data(here: Path) -> None:
    Path("elsewhere/inner").mkdir(parents=True)
    Path("elsewhere/inner/2.json").write_bytes(Path("photos/cat/1.png").read_bytes())
    Path("elsewhere/inner/round").symlink_to("..")
    Path("photos/bird").symlink_to(Path("elsewhere").absolute())
    before = contents(here)
    command = ("inspect", "model.onnx", "--data", "photos", "--report", "elsewhere/inner/2.json")
    assert "read as --data" in refused(call(*command), 2)
    assert contents(here) == before


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("inspect", "model.pt", "--report", "a.json", "--report", "csv=./a.json"), "--report a.json: two reports"),
        (("inspect", "model.pt", "--report", "a.json", "--write-baseline", "a.json"), "--report goes to that"),
        (("repair", "--report", "csv=new.pt", "--out", "new.pt"), "--out new.pt: --report goes to that file too"),
        (("repair", "--resume", "new.pt", "--out", "photos/../new.pt"), "--out goes to that file too"),
        (("repair", "--resume", "a.json", "--out", "new.pt", "--report", "a.json"), "--report goes to that file too"),
    ],
)
def test_two_outputs_in_one_place(here: Path, typed: tuple[str, ...], told: str) -> None:
    before = contents(here)
    repair = ("repair", "model.pt", "--data", "data.npz", "--arch", "net.py:Net", "--method", "renorm")
    assert told in refused(call(*(repair if typed[0] == "repair" else typed[:1]), *typed[1:]), 2)
    assert contents(here) == before


@pytest.mark.parametrize("out", ["new.safetensors.index.json", "made"])
def test_a_report_where_a_shard_would_go(here: Path, out: str) -> None:
    Path("made").mkdir()
    shard = "new-part-1.safetensors" if out != "made" else "made/part-1.safetensors"
    before = contents(here)
    command = ("repair", "weights.safetensors.index.json", "--data", "data.npz", "--arch", "net.py:Net", "--out", out)
    told = refused(call(*command, "--report", f"json={shard}", "--report", "csv=beside.csv"), 2)
    assert f"--out {shard}: --report goes to that file too" in told
    assert contents(here) == before


def test_a_shard_where_something_is(here: Path) -> None:
    """Told before the model is measured: the arch that fails says that it never came to that."""
    Path("new-part-1.safetensors").write_text("precious")
    before = contents(here)
    command = ("repair", "weights.safetensors.index.json", "--data", "batches.py:failing_batches")
    out = ("--arch", "net.py:Net", "--out", "new.safetensors.index.json")
    assert "new-part-1.safetensors: it exists already" in refused(call(*command, *out), 2)
    assert contents(here) == before


def test_the_baseline_may_be_written_again(here: Path) -> None:
    for command in (("inspect", "model.pt"), ("gate", "saved.json")):
        done = call(*command, "--baseline", "known.json", "--write-baseline", "./known.json", "-q")
        assert done.code == 0, done


def test_the_step_summary_of_github_is_an_output(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(here)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "model.pt")
    told = refused(call("inspect", "model.pt", "--report", "github=-"), 2)
    assert "GITHUB_STEP_SUMMARY model.pt: that is one of the inputs" in told
    assert contents(here) == before


def test_a_module_that_the_users_code_imports(here: Path) -> None:
    """It is known once it is imported: by its suffix before, through a hard link before anything is written."""
    Path("own_layers.py").write_text("SIZE = 4\n")
    Path("net.py").write_text(f"{Path('net.py').read_text()}\nimport own_layers\n")
    Path("link.json").hardlink_to("own_layers.py")
    before = contents(here)
    command = ("inspect", "model.pt", "--arch", "net.py:Net", "--report", "csv=beside.csv", "--report")
    assert "read as Python code" in refused(call(*command, "json=own_layers.py"), 2)
    assert "own_layers.py, read as the code of own_layers" in refused(call(*command, "json=link.json"), 2)
    assert contents(here) == before


@pytest.mark.parametrize("options", [(), ("--no-config",)])
def test_what_is_not_read_may_be_written_over(here: Path, options: tuple[str, ...]) -> None:
    done = call("gate", "saved.json", "--report", "json=bncheck.toml", *options)
    assert done.code == (0 if options else 2)


def test_devices_stay_what_they_are(here: Path) -> None:
    pipe = here / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = call("gate", "saved.json", "--report", f"csv={pipe}", "--report", f"markdown={pipe}", "-q")
        read = os.read(reader, 65536).decode()
    finally:
        os.close(reader)
    assert done.code == 0, done
    assert pipe.is_fifo()
    assert read.startswith("name,kind,")


def test_every_option_that_names_a_file_is_known_to_the_guard() -> None:
    group = typer.main.get_command(app)
    known = {*guard.MODELS, *guard.CODE, *guard.DATA, *guard.OTHERS, *guard.OUTPUTS, guard.REPORTS, guard.REPAIRED}
    named = set()
    for command in group.commands.values():
        for parameter in command.params:
            metavar = parameter.metavar or ""
            if any(part in metavar for part in ("FILE", "PATH", "MODEL", ".json")) or metavar in ("A", "B", "D"):
                named.add(parameter.name)
            elif metavar and not parameter.is_eager:
                assert metavar in NAMES_NO_FILE or set(metavar) & set("|,[]{}"), f"{parameter.name}: {metavar}"
    assert named == known


@pytest.mark.parametrize("file", ["weights.safetensors.index.json", *SHARDS, "net.py", "data.npz", "photos/cat/1.png"])
def test_the_library_guards_what_it_repairs(here: Path, file: str) -> None:
    before = contents(here)
    data = "photos" if file.startswith("photos") else "data.npz"
    index = "weights.safetensors.index.json"
    for path in chain((file,), linked(file), (".",)):  # the last is the folder that the shards are in already
        with pytest.raises(UsageError, match=r"^out .*: that is (one of the inputs|in photos)"):
            bncheck.repair_file(index, data, out=path, arch="net.py:Net", overwrite=True, force=True)
        assert contents(here) == before | ({"link.json": before[file]} if path == "link.json" else {})


@pytest.mark.parametrize("file", [file for file, role in COMMANDS["stamp"].inputs.items() if "conf" not in role])
def test_the_library_guards_what_it_stamps(here: Path, file: str) -> None:
    before = contents(here)
    for path in chain((file,), linked(file)):
        with pytest.raises(UsageError, match=r"^out .*: that is one of the inputs \(.*read as (a part of )?\w+\)"):
            stamp("model.onnx", "weights.safetensors.index.json", path, reference_arch="old_net.py:Net")
        assert contents(here) == before | ({"link.json": before[file]} if path == "link.json" else {})


def test_a_stamped_model_is_not_written_over_a_copy_of_its_own_tensors(here: Path) -> None:
    state = {"norm.running_mean": torch.ones(2), "norm.running_var": torch.ones(2)}
    torch.save(state, "reference.pt")
    Path("there").mkdir()
    before = contents(here)
    told = refused(call("stamp", "model.onnx", "--reference", "reference.pt", "--out", "there/model.onnx.bin"), 2)
    assert "--out goes to that file too" in told
    assert contents(here) == before


def test_a_pipe_or_a_device_is_not_replaced_by_a_repaired_model(files: Files, scratch: Path) -> None:
    """As root `--out /dev/null --overwrite` would leave the machine without one."""
    os.mkfifo("pipe.pt")
    arguments = ("--arch", users_code("Net"), "--data", files.data, "--out", "pipe.pt", "--overwrite")
    assert "is a device or a pipe, and a model needs a file" in refused(call("repair", files.healthy, *arguments), 2)
    assert Path("pipe.pt").is_fifo()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nor_by_a_stamped_one(files: Files, scratch: Path) -> None:
    os.mkfifo("pipe.onnx")
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)).eval()
    torch.save(net.state_dict(), "net.pt")
    torch.onnx.export(net, (torch.zeros(1, 1, 5, 5),), "net.onnx", dynamo=False)
    with pytest.raises(UsageError, match="is a device or a pipe"):
        stamp("net.onnx", "net.pt", "pipe.onnx")
    assert Path("pipe.onnx").is_fifo()
