"""A report read back from its JSON says what it said; what is no report is refused by name."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hand_made import ALL, accepted_report, broken_report, full_report, many_layers, static_report

import bncheck
from bncheck.errors import UnreadableError, UsageError
from bncheck.gate import read_report, report_of
from bncheck.render import renderer
from bncheck.results.report import Report

EVERY = [*ALL.values(), accepted_report, lambda: many_layers(20)]


def changed(document: dict[str, Any], place: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(document)
    part: Any = made
    for step in place[:-1]:
        part = part[step]
    if value is KeyError:
        del part[place[-1]]
    else:
        part[place[-1]] = value
    return made


@pytest.mark.parametrize("make", EVERY)
def test_what_is_read_back_is_written_the_same(make: Callable[[], Report], tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(renderer("json")(make()), encoding="utf-8")
    again = read_report(path)
    assert again.to_dict() == make().to_dict()
    assert again.rows() == make().rows()
    assert renderer("json")(again) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["markdown", "junit", "sarif", "github", "csv"])
@pytest.mark.parametrize("make", EVERY)
def test_a_report_read_back_makes_the_same_other_reports(make: Callable[[], Report], name: str) -> None:
    again = report_of(make().to_dict())
    text = renderer(name)(again)
    if make is broken_report:  # its JSON keeps which values were not finite, not whether NaN or infinite
        assert "not finite" in text or name in ("junit", "sarif", "github", "csv")
    else:
        assert text == renderer(name)(make())


def test_what_was_not_finite_is_not_finite_again() -> None:
    again = report_of(broken_report().to_dict())
    layer = again.layers[1]
    assert layer.gap is not None
    assert layer.scale_min is not None
    assert math.isnan(layer.gap)
    assert math.isnan(layer.scale_min)
    assert again.summary.gap is not None
    assert math.isnan(again.summary.gap)
    assert again.summary.smallest_detectable_gap == math.inf
    assert report_of(static_report().to_dict()).layers[0].gap is None


def test_the_library_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(full_report().to_dict()))
    assert bncheck.read_report(path).summary.verdict == "findings"


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("schema_version",), KeyError, r"^r\.json is no report of bncheck: it has no schema_version\. Reports are"),
        (("schema_version",), 2, r"^r\.json has schema_version 2; this bncheck reads 1\. Inspect the model again"),
        (("summary",), KeyError, r"^r\.json is no whole report: summary is missing\."),
        (("summary", "gap"), KeyError, r": summary\.gap is missing\."),
        (("summary", "gap"), "large", r': summary\.gap should be a number and is "large"\.'),
        (("summary", "gap"), True, r": summary\.gap should be a number and is true\."),
        (("summary", "exit_code"), 1.5, r": summary\.exit_code should be a whole number and is 1\.5\."),
        (("summary", "verdict"), None, r": summary\.verdict should be one of ok, .* and is null\."),
        (("data", "labelled"), "yes", r': data\.labelled should be true or false and is "yes"\.'),
        (("layers",), {}, r": layers should be a list of objects and is \{\}\."),
        (("layers", 2, "name"), 7, r": layers\[2\]\.name should be text and is 7\."),
        (("layers", 3, "call_gaps"), ["a"], r': layers\[3\]\.call_gaps\[0\] should be a number and is "a"\.'),
        (("layers", 0, "stored"), [], r": layers\[0\]\.stored should be an object and is \[\]\."),
        (("layers", 0, "codes"), "BN1" * 30, r": layers\[0\]\.codes should be a list of texts and is .{40}\.\.\.\."),
        (("findings", 1, "evidence"), KeyError, r": findings\[1\]\.evidence is missing\."),
        (("run", "thresholds"), {}, r": run\.thresholds\.margin is missing\."),
        (
            ("complete",),
            KeyError,
            r"^r\.json is no whole report: its end mark, complete, is missing\. The run that it is",
        ),
        (("complete",), False, r"^r\.json is no whole report: complete should be true and is false\."),
        (("effect", "accuracy"), 0.5, r": effect\.accuracy should be an object and is 0\.5\."),
    ],
)
def test_what_is_wrong_is_named_with_its_place(place: tuple[str | int, ...], value: Any, message: str) -> None:
    with pytest.raises(UnreadableError, match=message):
        report_of(changed(full_report().to_dict(), place, value), "r.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"report\.json is no report of bncheck: Expecting value"),
        (b"[]", r"report\.json is no report of bncheck: it has no schema_version"),
        (b'{"schema_version": NaN}', r"report\.json is no report of bncheck: NaN is not JSON"),
        (b"\xff\xfe", r"report\.json is no report of bncheck: it is no text \(models and data are binary\)"),
        (b'{"schema_version": 1, "schema_version": 1}', r'the key "schema_version" stands twice in an object'),
        (b"PK\x03\x04", r"report\.json is no report of bncheck: "),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=message):
        read_report(path)


def test_reports_of_0_1_0_have_no_end_mark_and_are_read() -> None:
    document = full_report().to_dict()
    del document["complete"], document["run"]["asked"]
    assert report_of(document).summary == full_report().summary


def test_a_report_that_does_not_exist_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^there is no report .*none\.json\. Reports are written by"):
        read_report(tmp_path / "none.json")
    with pytest.raises(UnreadableError, match="cannot be read: Is a directory"):
        read_report(tmp_path)
