"""`bncheck repair` from the command line: exit codes, what goes where, what is refused."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import torch
from command_line import call, call_process, refused, users_code
from made_files import Files
from safetensors.torch import save_file

REPAIR_ONLY = {
    *("--out", "--method", "--data-free", "--train-data", "--heldout", "--prior", "--until", "--force", "--overwrite"),
    *("--steps", "--epochs", "--lr", "--optimizer", "--loss", "--train", "--amp", "--resume", "--patience"),
    *("--verbose", "--all", "--sort"),
}
SHARED = {
    *("--arch", "--arch-kwargs", "--key", "--trust-pickle", "--allow-op", "--device", "--output"),
    *("--data", "--input", "--label", "--label-column", "--fill", "--skip-bad-samples"),
    *("--batch-size", "--limit", "--seed", "--max-memory", "--sample-memory", "--workers"),
    *("--layout", "--mean", "--std", "--resize", "--crop", "--channels", "--scale", "--preset"),
    *("--metric", "--task", "--fail-on", "--report", "--quiet", "--debug", "--help", "--no-config"),
}
ARCH = ("--arch", users_code("Net"))


def words(text: str) -> str:
    return " ".join(text.split())


def test_help_names_every_option_and_no_other() -> None:
    done = call("repair", "--help")
    assert done.code == 0
    assert set(re.findall(r"^ {2}(?:-\w, )?(--[a-z-]+)", done.stdout, re.MULTILINE)) == REPAIR_ONLY | SHARED
    assert "recalibrate|blend|instance|renorm" in done.stdout
    assert "4 nothing to repair or too little to judge by" in words(done.stdout)


def test_a_repair_is_written_and_told_on_stdout(files: Files, scratch: Path) -> None:
    done = call("repair", files.drifted, "--data", files.data, "--out", "new.pt", *ARCH)
    assert done.code == 0
    assert "Written: new.pt" in done.stdout
    assert done.stderr == f"--arch imports and runs {users_code('Net').rpartition(':')[0]}.\n"
    mean = torch.load("new.pt")["norm.running_mean"]
    torch.testing.assert_close(mean, torch.ones(2), atol=0.15, rtol=0)
    assert call("inspect", "new.pt", "--data", files.data, *ARCH).code == 0


@pytest.mark.parametrize("metric", ["negative_loss", "of_a_partial"])
def test_the_metric_of_a_repair_is_not_called_accuracy(files: Files, scratch: Path, metric: str) -> None:
    command = ("repair", files.drifted, "--data", files.labelled, "--out", "new.pt", *ARCH)
    done = call(*command, "--metric", users_code(metric), "--report", "markdown=after.md", "--force")
    assert done.code in (0, 1), done
    assert "Metric: -" in done.stdout
    assert "Metric: -" in Path("after.md").read_text()
    assert "Accuracy:" not in done.stdout + Path("after.md").read_text()


def test_quiet_says_nothing(files: Files, scratch: Path) -> None:
    done = call("repair", files.drifted, "--data", files.data, "--out", "new.pt", *ARCH, "--quiet")
    assert (done.code, done.stdout, done.stderr) == (0, "", "")
    assert Path("new.pt").exists()


def test_the_report_is_on_the_repaired_file(files: Files, scratch: Path) -> None:
    done = call("repair", files.drifted, "--data", files.data, "--out", "new.pt", *ARCH, "--report", "json=-")
    document = done.json
    assert document["model"]["path"] == "new.pt"
    assert document["run"]["command"] == "bncheck repair"
    assert document["run"]["options"]["out"] == "new.pt"
    assert document["summary"]["gap"] < 0.1
    import hashlib

    assert document["model"]["sha256"] == hashlib.sha256(Path("new.pt").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("by", "said", "why"),
    [
        ("backwards", "The repaired model is worse.", "the repaired model is measured to be worse"),
        ("mistakes", "not known to differ: it looks worse", "it is not known to be no worse"),
    ],
    ids=["surely", "within chance"],
)
def test_a_worse_result_is_exit_1_and_no_file(files: Files, scratch: Path, by: str, said: str, why: str) -> None:
    metric = ("--metric", f"{__file__}:{by}")
    command = ("repair", files.drifted, "--data", files.labelled, "--out", "new.pt", *ARCH, *metric)
    done = call(*command)
    assert done.code == 1
    assert said in " ".join(done.stdout.split())
    assert os.listdir() == []
    quiet = call(*command, "--quiet")
    assert (quiet.code, quiet.stdout) == (1, "")
    assert f"{why}; --force writes it" in quiet.stderr
    assert call(*command, "--force").code == 0
    assert os.listdir() == ["new.pt"]


def mistakes(outputs: torch.Tensor, labels: torch.Tensor) -> float:
    """The more predictions are wrong the better: of labels that have nothing to do with the samples."""
    return float((outputs.argmax(1) != labels).float().mean())


def backwards(outputs: torch.Tensor, labels: torch.Tensor) -> float:
    """The further the outputs are from 0 the better."""
    return float(outputs.abs().mean())


def test_nothing_to_repair_is_exit_4(files: Files, scratch: Path) -> None:
    for model in (files.folded, files.group_norm, files.idle):
        done = call("repair", model, "--data", files.data, "--out", "new.pt")
        assert done.code == 4, done
        assert "There is nothing to repair." in done.stdout
        assert os.listdir() == []
    assert "repair the checkpoint it was exported from" in words(
        call("repair", files.folded, "--data", files.data, "--out", "new.pt").stdout
    )


def test_what_is_missing_or_wrong_in_the_command_is_exit_2(files: Files, scratch: Path) -> None:
    good = ("--data", files.data, "--out", "new.pt")
    assert "Missing option '--data'" in call("repair", files.drifted, "--out", "new.pt").stderr
    assert "Missing option '--out'" in call("repair", files.drifted, "--data", files.data).stderr
    for arguments, said in (
        ((files.drifted, *good), "holds tensors only"),
        ((files.drifted, *good, "--method", "magic"), "choose one of recalibrate, blend, instance, renorm"),
        ((files.drifted, *good, *ARCH, "--prior", "3"), "for --method blend alone"),
        ((files.drifted, *good, *ARCH, "--method", "blend"), "--prior N"),
        ((files.drifted, *good, *ARCH, "--until", "-1"), "--until -1"),
        ((files.drifted, *good, *ARCH, "--heldout", "gone.npz"), "no file or folder gone.npz"),
        ((files.drifted, "--data", "gone.npz", "--out", "new.pt", *ARCH), "no file or folder gone.npz"),
        (("gone.pt", *good), "no file gone.pt"),
        ((files.drifted, "--data", files.data, "--out", files.drifted, *ARCH), "that is one of the inputs"),
        ((files.drifted, "--data", files.data, "--out", "gone/new.pt", *ARCH), "there is no folder gone"),
        ((files.drifted, *good, *ARCH, "--report", "json=new.pt"), "--report goes to that file too"),
    ):
        assert said in refused(call("repair", *arguments, "--quiet"), 2)
    assert os.listdir() == []


def test_a_name_that_says_another_container_is_refused(files: Files, scratch: Path) -> None:
    save_file(torch.load(files.drifted, weights_only=True), "net.safetensors")
    Path("net.pth").write_bytes(Path("net.safetensors").read_bytes())
    for model, out, named in (
        ("net.safetensors", "new.pth", "it is a safetensors file: name it new.safetensors"),
        ("net.safetensors", "new.onnx", "name it new.safetensors"),
        (files.drifted, "new.safetensors", "name it new.pt"),
    ):
        done = call("repair", model, "--data", files.data, "--out", out, *ARCH, "--quiet")
        assert named.removeprefix("it is ") in refused(done, 2)
        assert not Path(out).exists()
    for model, out in (("net.safetensors", "new.repaired"), ("net.pth", "new.pth"), (files.drifted, "new.th")):
        assert call("repair", model, "--data", files.data, "--out", out, *ARCH, "--quiet").code == 0


def test_what_cannot_be_read_is_exit_3(files: Files, scratch: Path) -> None:
    for model, data in (
        (files.corrupt, files.data),
        (files.without_tensors, files.data),
        (files.drifted, files.wrong_shape),
        (files.drifted, files.garbage),
        (files.five_outputs, files.data),
    ):
        refused(call("repair", model, "--data", data, "--out", "new.pt", *ARCH, "--quiet"), 3)
    assert os.listdir() == []
    assert not (files.folder / "executed").exists()


@pytest.mark.slow
def test_as_a_process_of_its_own(files: Files, scratch: Path) -> None:
    done = call_process("repair", files.never_updated, "--data", files.data, "--out", "new.pt", "--limit", "150")
    assert done.code == 0, done
    assert "recalibrated by 150 samples" in words(done.stdout)
    assert "Traceback" not in done.stderr
    again = call("repair", files.never_updated, "--data", files.data, "--out", "new.pt")
    assert "it exists already; name another file, or pass --overwrite" in refused(again, 2)


@pytest.mark.parametrize("interrupted", ["Interrupted"])
def test_ctrl_c_is_130_and_leaves_nothing(files: Files, scratch: Path, interrupted: str) -> None:
    done = call(
        "repair", files.drifted, "--data", files.data, "--out", "new.pt", "--arch", users_code(interrupted), "-q"
    )
    assert refused(done, 130)
    assert os.listdir() == []


def test_every_format_tells_what_the_repair_did(files: Files, scratch: Path) -> None:
    names = ("json", "csv", "channels-csv", "html", "markdown", "junit", "sarif", "github")
    reports = [part for name in names for part in ("--report", f"{name}={name}.txt")]
    done = call("repair", files.drifted, "--data", files.data, "--out", "new.pt", *ARCH, *reports)
    assert done.code == 0
    told = {name: Path(f"{name}.txt").read_text(encoding="utf-8") for name in names}
    for name in ("html", "markdown", "junit", "github"):
        assert "Whether the repaired model is better cannot be told without labels" in told[name], name
    assert '"outcome": "undecided"' in told["sarif"]
    assert "repair_gap_before" in told["csv"]
    document = json.loads(told["json"])
    assert document["repair"]["outcome"] == "undecided"
    assert document["model"]["path"] == "new.pt"
