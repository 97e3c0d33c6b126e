"""One run writes any number of reports; GitHub's step summary goes where GitHub says."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command_line import call, refused, users_code
from made_files import Files

NET = ("--arch", users_code("Net"))


def test_one_run_writes_all_formats(files: Files, scratch: Path) -> None:
    named = ("report.json", "report.csv", "report.md", "report.xml", "report.sarif", "report.html")
    typed = [f"--report={name}" for name in (*named, "github=annotations.txt", "channels-csv=channels.csv")]
    done = call("inspect", files.drifted, *NET, "--data", files.data, "--max-gap", "1", *typed)
    assert done.code == 1, done.stderr
    assert "BN600" in done.stdout
    findings = json.loads(Path("report.json").read_text())["findings"]
    (run,) = json.loads(Path("report.sarif").read_text())["runs"]
    assert [result["ruleId"] for result in run["results"]] == [finding["code"] for finding in findings]
    failing = {finding["code"] for finding in findings if finding["severity"] != "info"}
    assert {failure.get("type") for failure in ElementTree.parse("report.xml").iter("failure")} == failing
    assert "### BN600 error" in Path("report.md").read_text()
    assert "</span> BN600 error" in Path("report.html").read_text(encoding="utf-8")
    assert "title=BN600" in Path("annotations.txt").read_text()
    assert Path("report.csv").read_text().startswith("name,kind")


@pytest.mark.parametrize("name", ["html", "markdown", "junit", "sarif", "github"])
def test_each_can_have_stdout_to_itself(files: Files, name: str) -> None:
    done = call("inspect", files.not_finite, "--report", f"{name}=-")
    assert done.code == 1
    start = {
        "html": "<!DOCTYPE html>",
        "markdown": "<!-- bncheck -->",
        "junit": "<?xml",
        "sarif": "{",
        "github": "::error file=",
    }
    assert done.stdout.startswith(start[name])


def test_the_step_summary_is_added_to_what_stands_there(
    files: Files, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = scratch / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert call("inspect", files.not_finite, "--report", "json=report.json").code == 1
    assert summary.read_text() == "before\n"
    assert call("inspect", files.not_finite, "--report", "github=-").code == 1
    assert summary.read_text().startswith("before\n<!-- bncheck -->\n\n## bncheck: Found 1 error.")


def test_without_github_there_is_no_summary(files: Files, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert call("inspect", files.not_finite, "--report", "github=annotations.txt").code == 1
    assert [path.name for path in scratch.iterdir()] == ["annotations.txt"]


def test_a_summary_that_cannot_be_written_is_an_error(
    files: Files, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(scratch / "nowhere" / "summary.md"))
    done = call("inspect", files.not_finite, "--report", "github=annotations.txt")
    assert "GITHUB_STEP_SUMMARY names " in refused(done, 2)
