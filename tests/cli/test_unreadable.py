"""Files that exist but cannot be read or run: exit code 3, and a message that names the file and the cause."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from command_line import call, refused, users_code
from made_files import Files

NET = ("--arch", users_code("Net"))


def test_a_corrupt_model(files: Files) -> None:
    assert f"{files.corrupt} is cut off or damaged" in refused(call("inspect", files.corrupt), 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty (0 bytes)"),
        (b"<!DOCTYPE html><title>Sign in</title>", "is a web page, not a model"),
        (b"epoch,loss\n1,0.5\n", "is a text file, not a model."),
        (bytes(range(200, 256)) * 9, "is in no format that bncheck knows"),
    ],
)
def test_what_is_no_model(scratch: Path, content: bytes, message: str) -> None:
    Path("model.pt").write_bytes(content)
    stderr = refused(call("inspect", "model.pt"), 3)
    assert f"model.pt {message}" in stderr


def test_data_given_for_the_model(files: Files) -> None:
    assert "which is data, not a model; pass it as --data." in refused(call("inspect", files.data), 3)


def test_a_report_given_for_the_model(files: Files, scratch: Path) -> None:
    call("inspect", files.healthy, "--report", "report.json")
    for command in (("inspect", "report.json"), ("diff", "report.json", "report.json"), ("audit", "report.json")):
        stderr = refused(call(*command), 3)
        assert "is a report that bncheck wrote, not a model. Reports are judged again by `bncheck gate`." in stderr


def test_a_blocked_pickle_names_what_it_asks_for_and_runs_none_of_it(files: Files) -> None:
    stderr = refused(call("inspect", files.without_tensors), 3)
    assert "holds more than tensors and was not read: it asks for posix.mkdir, and there is no tensor in it" in stderr
    assert "--trust-pickle" in stderr
    assert not (files.folder / "executed").exists()


def test_a_state_dict_beside_what_a_pickle_asks_for_is_read_and_none_of_that_runs(files: Files) -> None:
    done = call("inspect", files.hostile)
    assert done.code == 0
    assert "nothing that the file asks for was imported or run (posix.mkdir)." in done.stdout
    assert not (files.folder / "executed").exists()


def test_trust_pickle_is_what_it_takes_to_run_it(files: Files) -> None:
    """The counter-test: the file above does what it says when it is trusted."""
    marker = files.folder / "executed"
    try:
        assert call("inspect", files.hostile, "--trust-pickle").code == 0
        assert marker.is_dir()
    finally:
        marker.rmdir()


def test_keys_that_do_not_fit_the_architecture(files: Files) -> None:
    stderr = refused(call("inspect", files.five_outputs, *NET, "--data", files.data), 3)
    assert f"{files.five_outputs} does not fit the architecture." in stderr
    assert "of another shape (2):" in stderr
    assert "head.weight  file (5, 32)  architecture (3, 32)" in stderr
    assert "--arch-kwargs" in stderr


def test_names_from_a_file_cannot_command_the_terminal(scratch: Path) -> None:
    torch.save({"conv\x1b[2J.weight": torch.ones(3)}, "model.pt")
    stderr = refused(call("inspect", "model.pt", *NET), 3)
    assert "conv�[2J.weight" in stderr
    assert "\x1b" not in stderr


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("wrong_shape", "given (10, 5, 4, 4) float32, it says: operands could not be broadcast together"),
        ("empty", "it has no samples"),
        ("garbage", "cannot be read as an .npz archive; is it damaged?"),
        ("many_classes", "the labels run up to 42 but the model gives 3 scores"),
        ("healthy", "healthy.pt"),
    ],
)
def test_data_that_cannot_be_run(files: Files, data: str, message: str) -> None:
    assert message in refused(call("inspect", files.healthy, *NET, "--data", getattr(files, data)), 3)


def test_an_empty_file_and_an_empty_folder_as_data(files: Files, scratch: Path) -> None:
    Path("x.npy").touch()
    Path("photos").mkdir()
    assert "x.npy is empty." in refused(call("inspect", files.runnable, "--data", "x.npy"), 3)
    assert "photos" in refused(call("inspect", files.runnable, "--data", "photos"), 3)


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        ("failing_batches", "failing_batches: the loader raised ValueError: disk on fire"),
        ("no_batches", "no_batches gave no samples."),
        ("nothing", "nothing"),
        ("leaving_batches", "leaving_batches: the loader raised SystemExit: 0"),
    ],
)
def test_a_loader_that_fails(files: Files, loader: str, message: str) -> None:
    assert message in refused(call("inspect", files.healthy, *NET, "--data", users_code(loader)), 3)


def test_a_network_that_leaves_never_leaves_with_0(files: Files) -> None:
    command = ("inspect", files.healthy, "--arch", users_code("Leaving"), "--data", files.data)
    assert "it says: sys.exit(0) was called." in refused(call(*command), 3)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("failing_metric", "--metric: ZeroDivisionError: no boxes"),
        ("leaving_metric", "--metric: SystemExit: 0"),
    ],
)
def test_a_metric_that_fails(files: Files, metric: str, message: str) -> None:
    command = ("inspect", files.healthy, *NET, "--data", files.labelled, "--metric", users_code(metric))
    assert message in refused(call(*command), 3)
