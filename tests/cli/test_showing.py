"""How a report is printed: `-v`, `--all`, `--sort`, `--format`, `--statistics`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from command_line import call, refused, users_code
from made_files import Files
from training_code import SAMPLES

NET = ("--arch", users_code("Net"))


@pytest.fixture
def saved(files: Files, scratch: Path) -> str:
    """A report on drifted statistics."""
    assert call("inspect", files.drifted, *NET, "--data", files.labelled, "--report", "json=saved.json", "-q").code == 1
    return "saved.json"


def test_the_first_screen_is_short_and_the_rest_is_asked_for(saved: str) -> None:
    short, long = call("gate", saved).stdout, call("gate", saved, "-v", "--all").stdout
    assert "-v (all that was found and noted)" in short
    for said in ("The gap over all layers is", "batch size", "gap: root mean square"):
        assert said not in short
        assert said in long


def test_a_line_for_each_finding(files: Files, saved: str) -> None:
    done = call("gate", saved, "--format", "concise")
    assert done.code == 1
    first, last = done.stdout.splitlines()
    assert first.startswith(f"{files.drifted}:norm: BN603 ")
    assert first.endswith(" [warning]")
    assert last == "Found 1 warning."


def test_counts_by_code(files: Files, saved: str) -> None:
    counted = call("gate", saved, "--statistics").stdout.splitlines()
    assert counted == ["1  BN603  warning  the stored statistics do not describe this data", "Found 1 warning."]
    done = call("audit", files.healthy, files.never_updated, files.never_updated, "--statistics")
    assert (done.code, done.stdout) == (1, "2  BN102  error  statistics never updated\n")


def test_an_audit_is_a_line_a_healthy_file_and_concise_none(files: Files) -> None:
    done = call("audit", files.healthy, files.healthy)
    assert done.stdout == f"{files.healthy}  state dict, 1 norm layer. Nothing wrong in the stored values.\n" * 2
    assert call("audit", files.healthy, "--format", "concise").stdout == ""
    found = call("audit", files.healthy, files.never_updated, "--format", "concise").stdout.splitlines()
    assert [line.partition(" BN102 ")[0] for line in found] == [f"{files.never_updated}:norm:"]


def test_an_audit_names_the_networks_of_a_healthy_file_that_it_left_out(files: Files, scratch: Path) -> None:
    healthy = torch.load(files.healthy)
    torch.save({"model": healthy, "discriminator": healthy}, scratch / "two.pth")
    (_, note) = call("audit", scratch / "two.pth").stdout.splitlines()
    assert note == "Note: Took 'model' from the checkpoint; --key chooses another: discriminator."


def test_findings_of_an_audit_in_full(files: Files) -> None:
    short, long = (" ".join(call("audit", files.never_updated, *more).stdout.split()) for more in ([], ["-v"]))
    assert "What to do: Recalibrate" in short
    assert len(short) < len(long)


def test_a_repair_is_shown_as_a_report_is(files: Files, scratch: Path) -> None:
    command = ("repair", files.drifted, *NET, "--data", files.labelled, "--overwrite", "--out", "new.pt")
    short, long = call(*command).stdout, call(*command, "-v", "--all", "--sort", "gap").stdout
    check = next(line for line in short.splitlines() if line.startswith("Then check: bncheck inspect new.pt "))
    assert f"--arch {NET[1]}" in check
    assert f"--data {files.labelled}" in check
    assert f"new.pt\n{check}\n\nlayer" in short
    judged = call(*command, "--heldout", files.data).stdout
    assert f"--data {files.data}" in next(line for line in judged.splitlines() if line.startswith("Then check: "))
    assert "More: -v (all that was measured and noted)" in short
    assert "gap: root mean square over the channels" not in short
    assert "gap: root mean square over the channels" in long
    assert "--sort size: choose one of gap, order, name." in refused(call(*command, "--sort", "size"), 2)
    assert "--all: with --quiet nothing is printed" in refused(call(*command, "-q", "--all"), 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sort", "size"], "--sort size: choose one of gap, order, name."),
        (["--format", "json"], "--format json: choose one of full, concise."),
        (["--format", "concise", "--all"], "--all: --format concise prints a line for each finding alone"),
        (["--format", "concise", "-v", "--sort", "gap"], "--verbose, --sort: --format concise prints"),
        (["--statistics", "--format", "concise"], "--format: --statistics prints counts alone"),
        (["--statistics", "-v"], "--verbose: --statistics prints counts alone"),
        (["-q", "--all"], "--all: with --quiet nothing is printed"),
    ],
)
def test_options_that_say_the_opposite_are_refused(saved: str, options: list[str], message: str) -> None:
    assert message in refused(call("gate", saved, *options), 2)


def test_what_prints_no_report_takes_no_such_option(files: Files) -> None:
    renorm = ("inspect", files.drifted, *NET, "--renorm", "--train-data", files.labelled, "--format", "concise")
    assert "--format: --renorm prints before and after" in refused(call(*renorm), 2)
    shard = ("inspect", files.drifted, *NET, "--data", files.labelled, "--shard", "1/2", "--write-moments", "m", "-v")
    assert "--verbose: --shard writes what one shard saw" in refused(call(*shard), 2)


def test_the_choice_can_stand_in_a_file(files: Files, saved: str) -> None:
    Path("bncheck.toml").write_text('format = "concise"\n')
    assert call("gate", saved).stdout.splitlines()[-1] == "Found 1 warning."
    assert call("gate", saved, "--statistics").code == 1
    assert call("rules").code == 0


def test_a_model_whose_shards_are_all_named_is_audited_once() -> None:
    shards = sorted(SAMPLES.glob("tampered_layer*"))
    assert len(shards) == 3
    done = call("audit", *shards, "--no-config")
    assert (done.code, len(done.stdout.splitlines())) == (0, 1)
