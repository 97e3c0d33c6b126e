"""`--baseline` and `--write-baseline`, from the first run on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import call, refused, users_code
from made_files import Files

NET = ("--arch", users_code("Net"))
BOTH = ("--baseline", "known.json", "--write-baseline", "known.json")


def known() -> list[dict[str, object]]:
    return json.loads(Path("known.json").read_text())["findings"]


def test_it_works_the_first_time_in_one_call(files: Files, scratch: Path) -> None:
    drifted = ("inspect", files.drifted, *NET, "--data", files.labelled)
    assert call(*drifted).code == 1
    first = call(*drifted, *BOTH)
    assert first.code == 0
    assert "Found nothing that counts: 1 warning accepted." in first.stdout
    assert "Wrote known.json: 1 finding accepted." in first.stderr
    written = Path("known.json").read_bytes()
    assert [(entry["code"], entry["layer"]) for entry in known()] == [("BN603", "norm")]
    for options in (BOTH, BOTH[:2]):
        assert call(*drifted, *options).code == 0
        assert Path("known.json").read_bytes() == written


def test_what_is_new_still_fails_and_is_not_added(files: Files, scratch: Path) -> None:
    Path("known.json").write_text('{"bncheck_baseline": 1, "findings": []}')
    done = call("inspect", files.drifted, *NET, "--data", files.labelled, *BOTH)
    assert done.code == 1
    assert known() == []
    assert "Wrote known.json: 0 of 0 entries kept." in done.stderr


def test_what_is_worse_fails(files: Files, scratch: Path) -> None:
    drifted = ("inspect", files.drifted, *NET, "--data", files.labelled, "--baseline", "known.json")
    assert call(*drifted, *BOTH).code == 0
    text = Path("known.json").read_text()
    value = known()[0]["value"]
    Path("known.json").write_text(text.replace(f'"value": {value}', '"value": 1.0'))
    done = call(*drifted)
    assert done.code == 1
    assert "Note: Worse than in the baseline: BN603 in norm was 1 (+ " in done.stdout


def test_what_is_gone_is_told_and_taken_out(files: Files, scratch: Path) -> None:
    assert call("inspect", files.drifted, *NET, "--data", files.labelled, *BOTH).code == 0
    healthy = ("inspect", files.healthy, *NET, "--data", files.labelled)
    done = call(*healthy, "--baseline", "known.json")
    assert done.code == 0
    assert "No longer found, though in the baseline: BN603 in norm." in done.stdout
    assert len(known()) == 1
    assert "0 of 1 entries kept" in call(*healthy, *BOTH).stderr
    assert known() == []


def test_writing_alone_accepts_what_is_found(files: Files, scratch: Path) -> None:
    Path("known.json").write_text('{"bncheck_baseline": 1, "findings": []}')
    done = call("inspect", files.not_finite, "--write-baseline", "known.json", "-q")
    assert (done.code, done.stdout, done.stderr) == (0, "", "")
    assert [entry["code"] for entry in known()] == ["BN201"]


def test_a_baseline_makes_no_file_checked(files: Files, scratch: Path) -> None:
    assert call("inspect", files.folded, *BOTH).code == 4
    assert known() == []


def test_the_report_keeps_every_finding(files: Files, scratch: Path) -> None:
    document = call("inspect", files.not_finite, *BOTH, "--report", "json=-").json
    assert document["summary"]["exit_code"] == 0
    assert document["summary"]["verdict"] == "findings"
    (finding,) = document["findings"]
    assert (finding["code"], finding["severity"], finding["accepted"]) == (
        "BN201",
        "error",
        "new in the baseline",
    )
    (again,) = call("inspect", files.not_finite, *BOTH, "--report", "json=-").json["findings"]
    assert again["accepted"] == "in the baseline at 1 value, now 1 value"


def test_a_baseline_that_does_not_exist(files: Files, scratch: Path) -> None:
    message = refused(call("inspect", files.healthy, "--baseline", "known.json"), 2)
    assert "--baseline known.json: there is no such file. The first time, add --write-baseline known.json" in message
    assert not Path("known.json").exists()


def test_a_baseline_that_is_none(files: Files, scratch: Path) -> None:
    assert "is no baseline" in refused(call("inspect", files.healthy, "--baseline", files.data), 3)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("{healthy}", "that is one of the inputs"),
        ("{drifted}", "it exists and is no baseline, so it is not overwritten"),
        ("nowhere/known.json", "there is no folder nowhere"),
        ("report.json", "--report goes to that file too"),
    ],
)
def test_nothing_else_is_overwritten(files: Files, scratch: Path, target: str, message: str) -> None:
    name = target.format(healthy=files.healthy, drifted=files.drifted)
    before = {path: path.read_bytes() for path in files.folder.glob("*.pt")}
    typed = ("inspect", files.healthy, "--write-baseline", name, "--report", "json=report.json")
    assert message in refused(call(*typed), 2)
    assert {path: path.read_bytes() for path in files.folder.glob("*.pt")} == before


def test_gate_takes_a_baseline_too(files: Files, scratch: Path) -> None:
    assert call("inspect", files.not_finite, "--report", "json=saved.json", "-q").code == 1
    assert call("gate", "saved.json").code == 1
    assert call("gate", "saved.json", *BOTH).code == 0
    assert call("gate", "saved.json", "--baseline", "known.json").code == 0
    Path("known.json").write_text('{"bncheck_baseline": 1, "findings": []}')
    assert call("gate", "saved.json", "--baseline", "known.json").code == 1


def test_gate_judges_an_accepted_finding_by_the_baseline_it_is_given(files: Files, scratch: Path) -> None:
    assert call("inspect", files.not_finite, *BOTH, "--report", "json=saved.json", "-q").code == 0
    assert call("gate", "saved.json").code == 0
    Path("known.json").write_text('{"bncheck_baseline": 1, "findings": []}')
    done = call("gate", "saved.json", "--baseline", "known.json")
    assert done.code == 1
    assert "Accepted" not in done.stdout
