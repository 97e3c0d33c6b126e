"""stdout belongs to the report, stderr to talk."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pandas
import pytest
from called import read_back
from command_line import SCHEMA, Done, call, call_process, refused, users_code
from jsonschema import Draft202012Validator
from made_files import Files

NET = ("--arch", users_code("Net"))
LAYER_HEADER = (
    "name,kind,channels,status,reason,calls,call_gaps,stored_eps,stored_momentum,stored_updates,gap,gap_max,"
    "worst_channel,own_gap,noise,shift_max,scale_min,scale_max,codes,verdict"
)
CHANNELS_HEADER = "name,channel,stored_mean,stored_var,measured_mean,measured_var,shift,scale,gap,own_gap,noise"


def read_csv(done: Done) -> pandas.DataFrame:
    return read_back(done.stdout)


def inspect_loudly(files: Files, *options: str) -> Done:
    """With an architecture, data and a metric whose code prints."""
    loud = ("--arch", users_code("Loud"), "--data", users_code("loud_batches"))
    return call("inspect", files.healthy, *loud, *options)


def test_json_alone_is_on_stdout_and_what_the_users_code_prints_is_talk(files: Files) -> None:
    done = inspect_loudly(files, "--report", "json=-")
    assert done.code == 0
    assert done.json["layers"][0]["name"] == "norm"
    Draft202012Validator(SCHEMA).validate(done.json)
    for talk in ("building the network", "reading a batch", "running the network"):
        assert talk in done.stderr


def test_csv_alone_is_on_stdout(files: Files) -> None:
    frame = read_csv(inspect_loudly(files, "--report", "csv=-"))
    assert ",".join(frame.columns) == LAYER_HEADER
    assert frame["name"].tolist() == ["norm"]


def test_channels_csv_alone_is_on_stdout(files: Files) -> None:
    frame = read_csv(inspect_loudly(files, "--report", "channels-csv=-"))
    assert ",".join(frame.columns) == CHANNELS_HEADER
    assert frame["channel"].tolist() == [0, 1]


def test_what_a_metric_prints_is_talk(files: Files) -> None:
    metric = ("--data", files.labelled, "--metric", users_code("negative_loss"))
    done = call("inspect", files.healthy, *NET, *metric, "--report", "json=-")
    assert "judging" in done.stderr
    assert done.json["effect"]["accuracy"]["stored"] < 0


def test_a_metric_is_not_called_accuracy(files: Files) -> None:
    metric = ("--data", files.labelled, "--metric", users_code("negative_loss"))
    done = call("inspect", files.healthy, *NET, *metric)
    assert "Metric: -" in done.stdout
    assert "Accuracy" not in done.stdout


def test_whose_code_runs_is_said(files: Files) -> None:
    done = inspect_loudly(files)
    assert "--arch imports and runs " in done.stderr
    assert "--data imports and runs " in done.stderr
    assert "imports and runs" not in done.stdout


@pytest.mark.parametrize(("model", "code"), [("healthy", 0), ("never_updated", 1), ("folded", 4)])
def test_quiet_says_nothing(files: Files, model: str, code: int) -> None:
    arch = NET if model == "healthy" else ()
    assert call("inspect", getattr(files, model), *arch, "--quiet") == Done(code, "", "")


def test_quiet_still_says_what_went_wrong(files: Files) -> None:
    assert "cut off or damaged" in refused(call("inspect", files.corrupt, "-q"), 3)


def test_quiet_still_writes_the_reports(files: Files, scratch: Path) -> None:
    done = call("inspect", files.healthy, "--quiet", "--report", "report.json", "--report", "csv=-")
    assert read_csv(done)["status"].tolist() == ["audited"]
    assert done.stderr == ""
    assert Path("report.json").read_text().startswith('{\n  "schema_version": 1,')


def test_reports_in_files_leave_stdout_to_the_terminal_report(files: Files, scratch: Path) -> None:
    reports = ("--report", "a.json", "--report", "b.CSV", "--report", "channels-csv=c.csv", "--report", "json=d")
    done = call("inspect", files.healthy, *NET, "--data", files.data, *reports)
    assert "The stored statistics describe these data." in done.stdout
    assert sorted(path.name for path in scratch.iterdir()) == ["a.json", "b.CSV", "c.csv", "d"]
    assert Path("a.json").read_bytes() == Path("d").read_bytes()
    assert Path("b.CSV").read_text().splitlines()[0] == LAYER_HEADER
    assert Path("c.csv").read_text().splitlines()[0] == CHANNELS_HEADER


def test_no_colours_where_nobody_sees_them(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("inspect", files.drifted, *NET, "--data", files.data)
    plain = call(*command)
    assert "\x1b" not in plain.stdout + plain.stderr
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in call(*command).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR")
    assert "\x1b" not in call(*command).stdout


def test_the_report_repeats_every_option_that_was_given(files: Files) -> None:
    given = ("--max-gap", "0", "--seed", "0", "--limit", "150", "--strict", "--select", "BN6", "--fail-on", "error")
    done = call("inspect", files.healthy, *NET, "--data", files.data, *given, "--report", "json=-")
    assert done.json["run"]["seed"] == 0
    options = done.json["run"]["options"]
    assert (
        options.items()
        >= {
            "model": files.healthy,
            "data": files.data,
            "arch": NET[1],
            "max_gap": 0.0,
            "seed": 0,
            "limit": 150,
            "strict": True,
            "select": ["BN6"],
            "fail_on": "error",
            "batch_size": 64,
        }.items()
    )
    assert not options.keys() & {"ignore", "key", "quiet", "trust_pickle"}


def test_training_data_are_read_and_named(files: Files) -> None:
    """End to end: the loader is asked for its own batches, and the report says what was compared."""
    sampling = users_code("batches")
    done = call(*("inspect", files.drifted, *NET, "--data", files.data, "--train-data", sampling, "--report", "json=-"))
    report = done.json
    assert report["run"]["options"]["train_data"] == sampling
    assert f"200 training samples of {sampling} compared, in its batches of 50" in report["run"]["notes"]
    (finding,) = report["findings"]
    assert (finding["code"], finding["evidence"]["cause"]) == ("BN603", None)
    assert f"--train-data imports and runs {sampling.rpartition(':')[0]}." in done.stderr


def test_the_same_command_gives_the_same_report(files: Files) -> None:
    command = ("inspect", files.healthy, *NET, "--data", files.data, "--limit", "120", "--report", "json=-")
    assert call(*command) == call(*command)
    assert call(*command, "--seed", "1").json["layers"][0]["gap"] != call(*command).json["layers"][0]["gap"]


@pytest.mark.parametrize(
    ("model", "data"),
    [
        *product(["healthy", "never_updated", "not_finite", "folded", "group_norm", "idle"], [None, "data", "one"]),
        *product(["healthy", "never_updated", "not_finite"], ["labelled"]),
    ],
)
def test_every_json_report_keeps_the_contract(files: Files, model: str, data: str | None) -> None:
    arch = NET if model == "healthy" else ()
    given = ("--data", getattr(files, data)) if data else ()
    done = call("inspect", getattr(files, model), *arch, *given, "--report", "json=-")
    Draft202012Validator(SCHEMA).validate(done.json)
    assert done.code == done.json["summary"]["exit_code"]
    assert (done.json["data"] is None) == (data is None)


def test_csv_and_json_hold_the_same_layers(files: Files) -> None:
    command = ("inspect", files.with_auxiliary, *NET, "--arch-kwargs", '{"auxiliary": true}', "--data", files.data)
    frame = read_csv(call(*command, "--report", "csv=-"))
    layers = call(*command, "--report", "json=-").json["layers"]
    assert frame["gap"].dropna().tolist() == [layer["gap"] for layer in layers if layer["gap"] is not None]
    assert frame["status"].tolist() == [layer["status"] for layer in layers] == ["measured", "skipped"]
    assert frame["reason"].dropna().tolist() == ["not-exercised"]


WRITES_BEHIND_PYTHON = """
import os, sys
print("printed on import")

def batches():
    sys.__stdout__.write("written to the stream itself")
    os.write(1, b"written by a library\\n")
    os.system("echo said by a child process")
    from users_code import batches
    return batches()
"""


@pytest.mark.slow
def test_a_real_process_keeps_its_pipe_clean(files: Files, scratch: Path) -> None:
    """Also of what libraries and child processes write, which Python's sys.stdout never sees."""
    Path("loader.py").write_text(WRITES_BEHIND_PYTHON)
    folder = str(Path(users_code("Net").rpartition(":")[0]).parent)
    environment = {**os.environ, "PYTHONPATH": folder, "PYTHONWARNINGS": "error::SyntaxWarning"}
    command = ("inspect", files.healthy, *NET, "--data", "loader.py:batches", "--report", "json=-")
    done = call_process(*command, cwd=scratch, env=environment)
    assert done.code == 0, done.stderr
    assert done.json["data"]["samples"] == 200
    talk = ("printed on import", "written to the stream itself", "written by a library", "said by a child process")
    for said in talk:
        assert said in done.stderr


@pytest.fixture
def healthy_saved(files: Files, scratch: Path) -> str:
    """A report without findings: what judges it again starts in a fraction of the time that `inspect` takes."""
    assert call("inspect", files.healthy, "-q", "--report", "json=healthy.json").code == 0
    return "healthy.json"


@pytest.mark.parametrize(
    "command",
    [
        ("rules",),
        ("--help",),
        pytest.param(("inspect", "never_updated"), marks=pytest.mark.slow),
        ("gate", "healthy.json"),
    ],
)
def test_a_reader_who_leaves_early_changes_no_exit_code(
    files: Files, healthy_saved: str, command: tuple[str, ...]
) -> None:
    """`bncheck ... | head -1` in a pipeline that fails if any part of it does."""
    arguments = [files.never_updated if one == "never_updated" else one for one in command]
    with subprocess.Popen(
        [sys.executable, "-m", "bncheck", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        told = process.stderr.read()
    assert (process.returncode, told) == (1 if "never_updated" in command else 0, "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="closes a descriptor the way a Unix shell does")
def test_without_any_stdout_the_exit_code_is_the_verdict_too(files: Files, healthy_saved: str) -> None:
    for typed, code in ((("gate", healthy_saved), 0), (("inspect", files.never_updated), 1)):
        command = [sys.executable, "-m", "bncheck", *typed]
        done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.slow
def test_a_real_process_ends_with_the_code_and_prints_the_report(files: Files) -> None:
    done = call_process("inspect", files.never_updated)
    assert done.code == 1
    assert "Found 1 error. BN102: " in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    lines = [line for line in done.stdout.splitlines() if ": bncheck " not in line]  # a command stands in one piece
    assert max(map(len, lines)) <= int(os.environ["COLUMNS"])
