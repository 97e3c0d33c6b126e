"""Wrong commands: exit code 2, one message with the next thing to try, before any work is done."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch
from command_line import USERS_CODE, call, refused, users_code
from made_files import Files
from safetensors.torch import save_file

NET = ("--arch", users_code("Net"))


def said(done_stderr: str) -> str:
    return " ".join(done_stderr.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("inspect", "model.pt", "--bogus"), "No such option:? '?--bogus'?"),
        (("inspect", "model.pt", "--batch-size", "many"), "Invalid value for '--batch-size'"),
        (("inspect", "model.pt", "--batch-size", "0"), "Invalid value for '--batch-size'"),
        (("inspect", "model.pt", "--limit", "-3"), "Invalid value for '--limit'"),
        (("inspect", "model.pt", "--max-gap", "-1"), "Invalid value for '--max-gap'"),
        (("inspect", "model.pt", "--seed", "-1"), "Invalid value for '--seed'"),
        (("repair", "model.pt", "--data", "d.npz", "--out", "n.pt", "--seed", "-1"), "Invalid value for '--seed'"),
        (("inspect", "model.pt", "--data"), "Option '--data' requires an argument"),
        (("inspect", "model.pt", "other.pt"), "Got unexpected extra argument"),
        (("inspect",), "Missing argument 'MODEL'"),
        (("inspekt", "model.pt"), "No such command 'inspekt'"),
        (("rule",), "Missing argument 'CODE'"),
        (("gate",), "Missing argument '"),
    ],
)
def test_arguments_that_do_not_parse(arguments: tuple[str, ...], message: str) -> None:
    done = call(*arguments)
    assert (done.code, done.stdout) == (2, "")
    assert re.search(message, said(done.stderr))
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--mean", "a,b"), "--mean a,b: expected numbers separated by commas, like 0.485,0.456,0.406."),
        (("--mean", ""), "--mean : expected numbers"),
        (("--mean", "nan"), "--mean nan: expected finite numbers."),
        (("--std", "0"), "--std 0.0: expected finite numbers above 0."),
        (("--resize", "huge"), "--resize huge: expected whole numbers separated by commas"),
        (("--resize", "1,2,3"), "--resize 1,2,3: expected one size, or height and width, like 224 or 224,320."),
        (("--resize", ""), "--resize : expected one size"),
        (("--crop", "-4"), "--crop -4: expected one size"),
        (("--scale", "0"), "--scale 0.0: expected finite numbers above 0."),
        (("--layout", "chwn"), "--layout chwn (did you mean nchw?): choose one of auto, nhwc, nchw."),
        (("--channels", "cmyk"), "--channels cmyk: choose one of rgb, bgr, gray."),
        (("--preset", "cifar"), "--preset cifar: choose one of imagenet, auto."),
        (("--batch-sizes", "1,two"), "--batch-sizes 1,two: expected whole numbers separated by commas, like 1,8,64."),
        (("--batch-sizes", "0,1"), "--batch-sizes: sizes are whole numbers from 1."),
        (("--deploy-dtype", "int8"), "--deploy-dtype int8: choose one of float16, bfloat16."),
        (("--fail-on", "sometimes"), "--fail-on sometimes: choose one of error, warning, never."),
        (("--arch-kwargs", "{depth: 18}"), "--arch-kwargs: not JSON"),
        (("--arch-kwargs", "[18]"), "--arch-kwargs: expected a JSON object, like '{\"depth\": 18}'."),
        (("--arch-kwargs", '{"depth": 18}'), "--arch-kwargs is given without --arch"),
        (("--arch-kwargs", "{}"), "--arch-kwargs is given without --arch"),
        (("--device", "abacus"), "--device abacus cannot be used here"),
        (("--device", "gpu"), "--device gpu (did you mean cuda?) cannot be used here"),
        (("--device", "gpu:1"), "--device gpu:1 (did you mean cuda?) cannot be used here"),
        (("--device", "cuad"), "--device cuad (did you mean cuda?) cannot be used here"),
        (("--device", "CPU"), "--device CPU (did you mean cpu?) cannot be used here"),
        (("--key", "ema"), "--key"),
        (("--select", "BN1O2"), "--select BN1O2: no rule matches (did you mean BN102?); `bncheck rules` lists them."),
        (("--select", "bn102,XX"), "--select XX: no rule matches; `bncheck rules` lists them."),
        (("--ignore", "BN6O3"), "--ignore BN6O3: no rule matches (did you mean BN603?)"),
    ],
)
def test_options_that_mean_nothing(files: Files, options: tuple[str, ...], message: str) -> None:
    assert message in said(refused(call("inspect", files.healthy, *options), 2))


def test_a_model_that_is_not_there(scratch: Path) -> None:
    assert "There is no file no/such/model.pt." in refused(call("inspect", "no/such/model.pt"), 2)


@pytest.mark.parametrize("name", ["nowhere.npz", "nowhere/images", "nowhere.py:batches"])
def test_data_that_are_not_there(files: Files, scratch: Path, name: str) -> None:
    stderr = refused(call("inspect", files.healthy, *NET, "--data", name), 2)
    assert f"--data: there is no file or folder {name.partition(':')[0]}." in stderr


@pytest.mark.parametrize("name", ["nowhere.npz", "nowhere.py:batches"])
def test_training_data_that_are_not_there(files: Files, scratch: Path, name: str) -> None:
    stderr = refused(call("inspect", files.healthy, *NET, "--data", files.data, "--train-data", name), 2)
    assert f"--train-data: there is no file or folder {name.partition(':')[0]}." in stderr


@pytest.mark.parametrize(("typed", "meant"), [("helathy.pt", "healthy.pt"), ("healthy", "healthy.pt")])
def test_a_path_that_was_mistyped_is_told_what_may_have_been_meant(scratch: Path, typed: str, meant: str) -> None:
    Path("healthy.pt").touch()
    assert f"There is no file {typed} (did you mean {meant}?)" in refused(call("inspect", typed), 2)
    assert f"There is no file {typed} (did you mean {meant}?)" in said(call("audit", typed).stderr)
    stderr = refused(call("inspect", "healthy.pt", "--data", typed), 2)
    assert f"--data: there is no file or folder {typed} (did you mean {meant}?)" in stderr


def test_a_folder_that_was_mistyped_is_told_too(scratch: Path) -> None:
    Path("models").mkdir()
    Path("models/healthy.pt").touch()
    for typed in ("modles/healthy.pt", "modles/helathy.pt"):
        stderr = refused(call("inspect", typed), 2)
        assert f"There is no file {typed} (did you mean models/healthy.pt?)" in stderr
    assert "did you mean" not in refused(call("inspect", "a/" * 200 + "healthy.pt"), 2)
    assert "did you mean" not in refused(call("inspect", "elsewhere/healthy.pt"), 2)


def test_a_report_that_was_mistyped_and_a_model_given_for_one(files: Files, scratch: Path) -> None:
    Path("report.json").touch()
    assert "there is no report reprot.json (did you mean report.json?)" in refused(call("gate", "reprot.json"), 2)
    stderr = said(refused(call("gate", files.healthy), 3))
    assert "is no report of bncheck: it is no text (models and data are binary). Reports are written by" in stderr


@pytest.mark.parametrize("option", ["--arch", "--metric"])
def test_code_that_is_not_there_is_not_said_to_run(files: Files, scratch: Path, option: str) -> None:
    Path("net.py").write_text("def build():\n    return None\n")
    given = NET if option != "--arch" else ()
    command = ("inspect", files.healthy, *given, "--data", files.labelled, option)
    done = call(*command, "nett.py:build")
    assert f"{option}: there is no file nett.py (did you mean net.py?)." in refused(done, 2)
    assert "imports and runs nett.py" not in done.stderr
    wrong = call(*command, "net.py:biuld")
    assert f"{option} imports and runs net.py." in wrong.stderr
    assert "net.py has no 'biuld' (did you mean build?); it defines build." in said(refused(wrong, 2))


def test_a_link_that_leads_nowhere_is_named_with_what_it_leads_to(scratch: Path) -> None:
    Path("model.pt").symlink_to("gone.pt")
    assert "model.pt: it is a link to gone.pt, which is not there" in refused(call("inspect", "model.pt"), 2)


@pytest.mark.parametrize(
    "option",
    [("--channels", "bgr"), ("--output", "1"), ("--task", "classes"), ("--exhaustive",), ("--batch-size", "8")],
)
def test_options_about_data_that_are_not_given(files: Files, option: tuple[str, ...]) -> None:
    stderr = refused(call("inspect", files.healthy, *option), 2)
    assert f"{option[0]} is about what layers see, and no --data is given" in said(stderr)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_are_no_data(files: Files, scratch: Path, suffix: str) -> None:
    state = {"bn.weight": torch.ones(3), "bn.running_mean": torch.zeros(3)}
    save_file(state, "w.safetensors") if suffix == "safetensors" else torch.save(state, "w.pth")
    stderr = refused(call("inspect", files.healthy, *NET, "--data", f"w.{suffix}"), 3)
    assert f"w.{suffix} holds the weights of a model (a state dict), not data." in said(stderr)


def test_training_data_without_data(files: Files) -> None:
    stderr = refused(call("inspect", files.healthy, *NET, "--train-data", files.data), 2)
    assert "no --data is given" in said(stderr)


def test_data_for_a_state_dict_without_its_architecture(files: Files) -> None:
    stderr = refused(call("inspect", files.healthy, "--data", files.data), 2)
    assert "holds tensors only and cannot be run on data: name the architecture with --arch FILE.py:CALLABLE" in stderr


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere.py:build", "--arch: there is no file nowhere.py."),
        ("no_such_package.nets:build", "--arch: importing no_such_package.nets failed: ModuleNotFoundError"),
        (f"{USERS_CODE}:build", "has no 'build'; it defines"),
        (f"{USERS_CODE}:SIZE", "SIZE is an int, not something to call"),
        (
            str(USERS_CODE),
            "expected FILE.py:CALLABLE or package.module:CALLABLE, for example --arch net.py:build_model.",
        ),
        (users_code("nothing"), "gave a NoneType; it must return a torch.nn.Module."),
    ],
)
def test_an_architecture_that_cannot_be_imported(files: Files, scratch: Path, target: str, message: str) -> None:
    assert message in refused(call("inspect", files.healthy, "--arch", target), 2)


def test_an_architecture_whose_file_fails(files: Files, scratch: Path) -> None:
    Path("typo.py").write_text("import torhc\n")
    Path("leaves.py").write_text("import sys\nsys.exit(0)\n")
    for name, cause in (("typo", "ModuleNotFoundError: No module named 'torhc'"), ("leaves", "SystemExit: 0")):
        stderr = refused(call("inspect", files.healthy, "--arch", f"{name}.py:build"), 2)
        assert f"--arch: importing {name}.py failed: {cause}" in stderr


def test_an_architecture_that_wants_other_arguments(files: Files) -> None:
    stderr = refused(call("inspect", files.healthy, *NET, "--arch-kwargs", '{"depth": 18}'), 2)
    assert "calling it with (depth=18) failed: TypeError" in stderr
    assert "Give it other arguments with --arch-kwargs, as JSON." in stderr


def test_an_output_the_model_does_not_have(files: Files) -> None:
    stderr = refused(call("inspect", files.healthy, *NET, "--data", files.data, "--output", "logits"), 2)
    assert "--output logits: the model returns one Tensor, nothing to choose from." in stderr


def test_a_label_column_for_what_is_no_table(files: Files) -> None:
    stderr = refused(call("inspect", files.runnable, "--data", files.data, "--label-column", "y"), 2)
    assert "--label-column is for tables (.csv, .parquet)" in stderr


@pytest.mark.parametrize("value", ["github", "json"])
def test_a_report_that_names_a_format_and_no_file(files: Files, scratch: Path, value: str) -> None:
    stderr = refused(call("inspect", files.healthy, "--report", value), 2)
    assert f"--report {value}: name a file as well, --report {value}=PATH, or - for stdout as PATH." in stderr
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("value", ["-", "report.txt", "report", "yaml=report.yaml", "=report"])
def test_a_report_whose_format_cannot_be_told(files: Files, scratch: Path, value: str) -> None:
    stderr = refused(call("inspect", files.healthy, "--report", value), 2)
    assert f"--report {value}: the format cannot be told from that; write FORMAT=PATH" in stderr
    assert "FORMAT one of channels-csv, csv, github, html, json, junit, markdown, sarif, slices-csv, for" in stderr
    assert f"for example --report json={'-' if value == '-' else 'report.json'}." in stderr
    assert list(scratch.iterdir()) == []


def test_two_reports_on_stdout(files: Files) -> None:
    stderr = refused(call("inspect", files.healthy, "--report", "json=-", "--report", "csv=-"), 2)
    assert "--report: only one report can go to stdout (-)." in stderr


def test_two_reports_in_one_file(files: Files, scratch: Path) -> None:
    stderr = refused(call("inspect", files.healthy, "--report", "json=a.txt", "--report", "csv=./a.txt"), 2)
    assert "--report a.txt: two reports cannot go to the same file." in stderr
    assert list(scratch.iterdir()) == []


def test_a_report_into_a_folder_that_is_not_there(files: Files, scratch: Path) -> None:
    stderr = refused(call("inspect", files.healthy, "--report", "reports/today.json"), 2)
    assert "--report reports/today.json: there is no folder reports." in stderr


def test_a_report_that_is_a_folder(files: Files, scratch: Path) -> None:
    Path("today.json").mkdir()
    stderr = refused(call("inspect", files.healthy, "--report", "today.json"), 2)
    assert "--report today.json: that is a folder; name a file in it." in stderr


@pytest.mark.parametrize("overwritten", ["model.pt", "data.npz", "train.npz", "net.py", "batches.py", "link.json"])
def test_a_report_over_one_of_the_inputs(files: Files, scratch: Path, overwritten: str) -> None:
    shutil.copy(files.healthy, "model.pt")
    shutil.copy(files.data, "data.npz")
    shutil.copy(files.data, "train.npz")
    for name in ("net.py", "batches.py"):
        shutil.copy(USERS_CODE, name)
    Path("link.json").symlink_to("model.pt")
    before = Path(overwritten).read_bytes()
    data = "batches.py:batches" if overwritten == "batches.py" else "data.npz"
    command = ("inspect", "model.pt", "--arch", "net.py:Net", "--data", data, "--train-data", "train.npz")
    stderr = refused(call(*command, "--report", f"json={scratch / overwritten}"), 2)
    assert "that is one of the inputs (" in stderr
    assert "and inputs are never overwritten." in stderr
    assert Path(overwritten).read_bytes() == before


def test_a_wrong_command_leaves_an_older_report_alone(files: Files, scratch: Path) -> None:
    Path("report.json").write_text("yesterday's")
    refused(call("inspect", files.healthy, "--report", "report.json", "--select", "BN9"), 2)
    assert Path("report.json").read_text() == "yesterday's"


@pytest.mark.parametrize(("option", "value"), [("--max-gap", "0.1"), ("--limit", "10"), ("--until", "0.1")])
def test_options_about_what_layers_see_need_data(files: Files, option: str, value: str) -> None:
    done = call("inspect", files.healthy, option, value)
    assert f"{option} is about what layers see, and no --data is given" in said(refused(done, 2))


def test_judging_by_no_rule_at_all_is_refused(files: Files) -> None:
    done = call("inspect", files.runnable, "--data", files.data, "--select", "BN6", "--ignore", "BN6")
    assert "leave no rule to judge by" in said(refused(done, 2))


def test_what_a_repair_is_made_from_does_not_judge_it(files: Files, scratch: Path) -> None:
    done = call("repair", files.drifted, *NET, "--data", files.data, "--heldout", files.data, "--out", "new.pt")
    assert "a repair is judged on samples that it has not seen" in said(refused(done, 2))


def test_a_repair_of_tensors_says_what_else_can_be_repaired(files: Files, scratch: Path) -> None:
    done = call("repair", files.drifted, "--data", files.data, "--out", "new.pt")
    assert "or repair a file that holds the program too" in said(refused(done, 2))


@pytest.mark.parametrize(
    ("command", "who"),
    [
        (
            ("inspect", "M", "--renorm", "--data", "D", "--train-data", "D", "--out", "new.pt"),
            "--renorm, which trains,",
        ),
        (("repair", "M", "--data", "D", "--out", "new.pt"), "bncheck repair"),
        (("stamp", "M", "--reference", "M", "--out", "new.pt"), "bncheck stamp"),
    ],
    ids=["renorm", "repair", "stamp"],
)
def test_of_a_job_no_process_trains_or_writes_for_all(
    files: Files, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], who: str
) -> None:
    job = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    named = {"M": files.healthy, "D": files.labelled}
    done = call(*(named.get(each, each) for each in command))
    assert f"{who} runs in one process" in said(refused(done, 2))
    assert not Path("new.pt").exists()
