"""A word that is mistyped, or that others use, is answered with the one that was meant, wherever it is typed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from command_line import call, refused, users_code
from hand_made import full_report
from made_files import Files

import bncheck
from bncheck.cli.app import app
from bncheck.data import DataOptions
from bncheck.errors import UsageError
from bncheck.vocabulary import ALSO_CALLED

NET = ("--arch", users_code("Net"))
OF_CASE = re.compile(r"^[a-z0-9-]+(\|[a-z0-9-]+)+$")


def choices() -> Iterator[tuple[str, str, str]]:
    """Every command, each of its options that takes one of some words, and these."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        for parameter in command.params:
            if parameter.metavar is not None and OF_CASE.match(parameter.metavar):
                yield name, max(parameter.opts, key=len), parameter.metavar


@pytest.fixture
def typed(files: Files, scratch: Path) -> dict[str, tuple[str, ...]]:
    """What else each command needs to get as far as its words."""
    Path("saved.json").write_text(json.dumps(full_report().to_dict()))
    data = ("--data", files.labelled)
    return {
        "inspect": (files.healthy, *NET, *data),
        "repair": (files.drifted, *NET, *data, "--out", "new.pt"),
        "audit": (files.healthy,),
        "gate": ("saved.json",),
        "merge": ("saved.json",),
        "rules": (),
        "rule": ("BN603",),
    }


def test_every_option_that_takes_a_word_knows_which_was_meant(typed: dict[str, tuple[str, ...]]) -> None:
    options = list(choices())
    assert {"--task", "--method", "--preset", "--sort", "--format", "--fail-on", "--layout", "--channels"} <= {
        option for _, option, _ in options
    }
    of_renorm = {"--optimizer", "--train", "--loss"}
    for command, option, words in options:
        word = max(words.split("|"), key=len)
        mistyped = word[:2] + word[3:]  # a letter is missing
        method = ("--method", "renorm") if option in of_renorm else ()
        said = refused(call(command, *typed[command], *method, option, mistyped), 2)
        assert f"{option} {mistyped} (did you mean {word}?): choose one of" in said, (command, option)


@pytest.mark.parametrize(
    ("option", "value", "meant"),
    [
        ("--task", "segmentaton", "positions"),
        ("--task", "Classification", "classes"),
        ("--sort", "gpa", "gap"),
        ("--deploy-dtype", "fp16", "float16"),
        ("--channels", "grey", "gray"),
    ],
)
def test_on_the_command_line_and_in_a_file_it_is_the_same_answer(
    files: Files, scratch: Path, option: str, value: str, meant: str
) -> None:
    command = ("inspect", files.healthy, *NET, "--data", files.labelled)
    said = f"{value} (did you mean {meant}?): choose one of"
    assert f"bncheck: {option} {said}" in refused(call(*command, option, value), 2)
    Path("pyproject.toml").write_text(f'[tool.bncheck]\n{option[2:]} = "{value}"\n')
    assert f"pyproject.toml [tool.bncheck]: {option[2:]} {said}" in refused(call(*command), 2)


def test_in_python_too(files: Files) -> None:
    for given, said in (
        ({"task": "segmentaton"}, r"^task segmentaton \(did you mean positions\?\): choose one of classes"),
        ({"fail_on": "eror"}, r"^fail_on eror \(did you mean error\?\): choose one of error"),
    ):
        with pytest.raises(UsageError, match=said):
            bncheck.inspect(files.healthy, files.labelled, arch=users_code("Net"), **given)
    with pytest.raises(UsageError, match=r"^method recalibrat \(did you mean recalibrate\?\): choose one of"):
        bncheck.repair_file(files.drifted, files.data, out="new.pt", arch=users_code("Net"), method="recalibrat")
    with pytest.raises(UsageError, match=r"^preset imagnet \(did you mean imagenet\?\): choose one of"):
        DataOptions(preset="imagnet")
    with pytest.raises(UsageError, match=r"^fill meen \(did you mean mean\?\): expected a number"):
        DataOptions(fill="meen")
    with pytest.raises(UsageError, match=r"new.jsn \(did you mean .json\?\): no format is written"):
        full_report().save("new.jsn")


def test_a_format_of_reports_is_no_form_of_a_page(typed: dict[str, tuple[str, ...]]) -> None:
    said = refused(call("gate", *typed["gate"], "--format", "sarf"), 2)
    assert (
        "--format sarf: choose one of full, concise. A report in sarif is another option, --report sarif=FILE." in said
    )
    said = refused(call("audit", *typed["gate"], "--format", "json"), 2)
    assert "A report in json is of one model: bncheck inspect MODEL --report json=FILE." in said
    for report, meant in (("sarf=x", "sarif"), ("x.jsn", ".json")):
        said = refused(call("gate", *typed["gate"], "--report", report), 2)
        assert f"--report {report} (did you mean {meant}?): the format cannot be told" in said


def test_what_is_like_nothing_is_answered_with_the_words_alone(typed: dict[str, tuple[str, ...]]) -> None:
    said = refused(call("gate", *typed["gate"], "--sort", "x" * 10_000), 2)
    assert "did you mean" not in said


def test_what_people_call_words_are_no_words_themselves() -> None:
    words = {option.removeprefix("--").replace("-", "_"): set(named.split("|")) for _, option, named in choices()}
    for name, also in ALSO_CALLED.items():
        if name in words:
            assert set(also.values()) <= words[name], name
            assert not words[name] & set(also), name
