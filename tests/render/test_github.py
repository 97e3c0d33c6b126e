"""Workflow commands, read back as the runner of GitHub Actions reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hand_made import ALL, HOSTILE, accepted_report, empty_report, full_report, healthy_report, many_layers

from bncheck.render import renderer
from bncheck.results.report import Report

render = renderer("github")
EVERY = [*ALL.values(), accepted_report, lambda: many_layers(500)]
COMMAND = re.compile(r"::(error|warning|notice) file=([^,:]*),title=([^,:]*)::(.*)")
ESCAPES = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ","}


def read(text: str) -> list[tuple[str, str, str, str]]:
    """Level, file, title and message of every command."""
    found = []
    for line in text.splitlines():
        match = COMMAND.fullmatch(line)
        assert match, line
        level, *values = match.groups()
        found.append((level, *map(unescaped, values)))
    return found


def unescaped(text: str) -> str:
    for escape, character in ESCAPES.items():
        text = text.replace(escape, character)
    return text.replace("%25", "%")


@pytest.mark.parametrize("make", EVERY)
def test_every_line_is_a_command_about_the_model(make: Callable[[], Report]) -> None:
    report = make()
    for _, file, _, message in read(render(report)):
        assert file == report.model.path
        assert message


def test_every_finding_that_counts_has_its_level_title_and_fix() -> None:
    told = read(render(full_report()))
    assert [(level, title[:5]) for level, _, title, _ in told] == [
        ("error", "BN600"),
        ("warning", "BN603"),
        ("notice", "BN706"),
    ]
    for (_, _, _, message), finding in zip(told, full_report().findings, strict=True):
        assert message == f"{finding.message}\nWhat to do: {finding.fix}"


def test_no_name_ends_a_command_early() -> None:
    (level, _, _, message), _ = read(render(accepted_report()))
    assert level == "error"
    assert message.startswith(HOSTILE.replace("\x1b", "�"))


def test_a_message_that_looks_escaped_comes_back_as_it_was() -> None:
    report = full_report()
    odd = replace(report.findings[0], message="50%0A of 100%25 :: a,b", fix="none")
    ((_, _, _, message),) = read(render(replace(report, findings=(odd,))))
    assert message == "50%0A of 100%25 :: a,b\nWhat to do: none"


def test_what_was_accepted_is_not_annotated() -> None:
    assert "BN603" not in render(accepted_report())


def test_many_of_a_kind_are_one_annotation() -> None:
    ((_, _, _, message),) = read(render(many_layers(500)))
    assert message.count("the gap is") == 5
    assert "And 495 layers more." in message


def test_a_healthy_model_has_none() -> None:
    assert render(healthy_report()) == ""


def test_too_little_checked_is_an_error() -> None:
    level, _, title, message = read(render(empty_report()))[0]
    assert (level, title) == ("error", "bncheck")
    assert message.startswith("Not checked")


def test_a_file_of_the_repository_is_named_from_its_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = full_report()
    there = replace(report, model=replace(report.model, path=str(tmp_path / "models" / "a.pt")))
    assert {file for _, file, _, _ in read(render(there))} == {"models/a.pt"}
