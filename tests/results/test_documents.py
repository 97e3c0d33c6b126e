"""Reports, repairs and differences are read back from their JSON; one that was tampered with is refused."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hand_made import ALL, accepted_report, full_report, healthy_report, many_layers

import bncheck
from bncheck.errors import BncheckError, UnreadableError
from bncheck.gate import Limits, judge_again, read_report, report_of
from bncheck.gate.baseline_file import read_baseline
from bncheck.results.difference import Difference
from bncheck.results.notes import notes_of
from bncheck.results.repair import BETTER, CROSS_FITTED, WORSE, Comparison, LayerRepair, RepairResult
from bncheck.results.report import Report
from bncheck.results.run import Asked, asked_in
from bncheck.vocabulary import FailOn, Reason

NAN = float("nan")


def repairs() -> Iterator[RepairResult]:
    compared = Comparison(0.4, 0.9, 0.5, 0.03, 597, 0.59, NAN)
    layers = (
        LayerRepair("a", True, None, NAN, 0.01, 0.7, None, 0.008),
        LayerRepair("b", False, Reason.BY_INPUT, *[None] * 5),
    )
    made = RepairResult(
        "blend", "b.pt", "b.pt", BETTER, CROSS_FITTED, "x.npz", 1200, compared, full_report(), healthy_report(), layers
    )
    yield made
    yield replace(
        made, outcome=WORSE, path=None, after=None, comparison=None, noted=notes_of(["a note"]), samples_needed=900
    )


@pytest.mark.parametrize("repair", list(repairs()))
def test_a_repair_is_read_back(repair: RepairResult) -> None:
    document = json.loads(json.dumps(repair.to_dict(), allow_nan=False))
    again = RepairResult.from_dict(document)
    assert again.to_dict() == repair.to_dict()
    assert (again.outcome, again.exit_code, again.refused) == (repair.outcome, repair.exit_code, repair.refused)


def test_a_repair_of_another_schema_is_refused() -> None:
    document = next(repairs()).to_dict()
    document["after"]["schema_version"] = 7
    with pytest.raises(UnreadableError, match=r"^after in the document has schema_version 7; this bncheck reads 1"):
        RepairResult.from_dict(document)


@pytest.fixture
def difference(tmp_path: Path) -> Difference:
    """What moved between two small nets, one layer of which is broken."""
    torch.manual_seed(0)
    for name in ("a.pt", "b.pt"):
        net = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
        net[2].running_mean[:] = NAN if name == "b.pt" else 0.0
        torch.save(net.state_dict(), tmp_path / name)
    return bncheck.diff(tmp_path / "a.pt", tmp_path / "b.pt", expect_frozen=["0"])


def test_a_difference_is_read_back(difference: Difference) -> None:
    document = json.loads(json.dumps(difference.to_dict(), allow_nan=False))
    again = Difference.from_dict(document)
    assert again.to_dict() == difference.to_dict()
    assert again.rows() == difference.rows()
    assert (again.layers[0], again.tensors, again.summary) == (
        difference.layers[0],
        difference.tensors,
        difference.summary,
    )
    with pytest.raises(UnreadableError, match=r"it has no schema_version\. Differences are written by"):
        Difference.from_dict({})


def test_every_report_is_read_back() -> None:
    for make in (*ALL.values(), accepted_report, lambda: many_layers(20)):
        document = json.loads(json.dumps(make().to_dict(), allow_nan=False))
        assert Report.from_dict(document).to_dict() == document


# Reports of the first version


def of_the_first_version(report: Report) -> dict[str, Any]:
    """The document as it was written before findings had layers and a measure, and a run what it was asked for."""
    document = report.to_dict()
    del document["run"]["asked"], document["run"]["noted"], document["summary"]["samples_left_out"]
    for finding in document["findings"]:
        layers, accepted = finding.pop("layers"), finding.pop("accepted")
        del finding["measure"], finding["cost"]
        finding["evidence"] |= {"layers": layers} if len(layers) > 1 else {}
        finding["evidence"] |= {"accepted": accepted} if accepted else {}
    return document


@pytest.mark.parametrize("make", [*ALL.values(), accepted_report])
def test_a_report_of_the_first_version_is_read(make: Callable[[], Report]) -> None:
    report = make()
    again = report_of(of_the_first_version(report))
    assert [found.layers for found in again.findings] == [found.layers for found in report.findings]
    assert [found.accepted for found in again.findings] == [found.accepted for found in report.findings]
    assert [found.measure.value for found in again.findings] == [None] * len(report.findings)
    assert not any("accepted" in found.evidence for found in again.findings)
    judged = judge_again(again, Limits())
    assert judged.summary.exit_code == report.summary.exit_code or make is accepted_report
    assert judged.run.asked == report.run.asked


@pytest.mark.parametrize(
    ("notes", "left_out"),
    [([], 0), (["3 samples left out"], 3), (["1 samples left out: why", "another"], 1), (["none were left out"], 0)],
)
def test_it_told_in_a_note_what_it_left_out(notes: list[str], left_out: int) -> None:
    document = of_the_first_version(healthy_report())
    document["run"]["notes"] = notes
    again = report_of(document)
    assert again.summary.samples_left_out == left_out
    assert judge_again(again, Limits(strict=True)).summary.exit_code == (4 if left_out else 0)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, Asked()),
        ({"fail_on": "never", "strict": True, "max_gap": 0.5}, Asked(FailOn.NEVER, strict=True, max_gap=0.5)),
        ({"select": "bn1,BN2", "ignore": ["BN603, bn6"]}, Asked(select=("BN1", "BN2"), ignore=("BN603", "BN6"))),
        ({"data": "x.npz", "reference": "m.pt"}, Asked(data="x.npz", reference=True)),
        ({"arch": "net.py:Net", "metric": "m.py:f"}, Asked(arch=True, metric=True)),
        ({"data": None, "arch": None, "metric": None, "reference": None, "batch_size": 64}, Asked()),
    ],
)
def test_what_was_asked_for_stood_among_the_options(options: dict[str, Any], asked: Asked) -> None:
    assert asked_in(options) == asked
    document = of_the_first_version(healthy_report())
    document["run"]["options"] = options
    assert report_of(document).run.asked == asked


def test_what_was_asked_for_is_read_and_not_guessed_again() -> None:
    document = healthy_report().to_dict()
    document["run"]["options"] = {"fail_on": "never", "strict": True}
    assert report_of(document).run.asked == Asked()


# Documents that were tampered with

ODD = [
    *(None, True, -1, 0, 10**17, 10**400, 0.5, float("inf"), "", "x", "\ud800", "error", "measured"),
    *([], [None], [7], ["x"], {}, {"a": None}, {"layers": 5}, [[[[]]]], {"x": [{"y": 1}]}),
]


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a document; of lists the first and the last."""
    yield at
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*at, key))
    elif isinstance(value, list):
        for index in sorted({0, len(value) - 1} if value else ()):
            yield from places(value[index], (*at, index))


def with_value(document: Any, place: tuple[str | int, ...], value: Any) -> Any:
    if not place:
        return value
    made = copy.copy(document)
    made[place[0]] = with_value(made[place[0]], place[1:], value)
    return made


def without(document: Any, place: tuple[str | int, ...]) -> Any:
    made = copy.deepcopy(document)
    part = made
    for step in place[:-1]:
        part = part[step]
    del part[place[-1]]
    return made


def tried(document: object) -> Report | BncheckError:
    """The report of a document, judged again; or the error that refuses it. Any other exception fails the test."""
    try:
        return judge_again(report_of(document), Limits(max_gap=0.3))
    except BncheckError as error:
        return error


@pytest.mark.parametrize(
    "document", [full_report().to_dict(), of_the_first_version(accepted_report())], ids=["now", "first"]
)
def test_no_change_is_anything_but_an_error_or_another_report(document: dict[str, Any]) -> None:
    judged = [tried(with_value(document, place, odd)) for place in places(document) for odd in ODD]
    reports = [each for each in judged if isinstance(each, Report)]
    errors = [str(each) for each in judged if isinstance(each, BncheckError)]
    assert len(errors) > len(reports) > 0
    assert max(map(len, errors)) < 400
    for report in reports:
        json.dumps(report.to_dict(), allow_nan=False, ensure_ascii=False).encode("utf-8")


def test_no_part_left_out_is_anything_but_an_error_or_another_report() -> None:
    document = full_report().to_dict()
    judged = [tried(without(document, place)) for place in places(document) if place]
    errors = [str(each) for each in judged if isinstance(each, BncheckError)]
    assert len(errors) > 100
    assert all(" is missing. " in error or "it has no schema_version" in error for error in errors)


def test_bytes_changed_at_random(tmp_path: Path) -> None:
    text = bytearray(json.dumps(full_report().to_dict()).encode())
    drawn = random.Random(0)
    path = tmp_path / "r.json"
    for _ in range(300):
        changed = bytearray(text)
        for _ in range(drawn.randrange(1, 4)):
            changed[drawn.randrange(len(changed))] = drawn.randrange(256)
        path.write_bytes(changed)
        with contextlib.suppress(UnreadableError):
            read_report(path).to_dict()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"schema_version": 1, "a": ' + b"[" * 100 + b"]" * 100 + b"}", "is nested more than 48 deep"),
        (b'{"schema_version": ' + b"1" * 400 + b"}", "has schema_version"),
        (b'{"schema_version": ' + b"1" * 100_000 + b"}", "is no report of bncheck: Exceeds the limit"),
        (b'{"schema_version": 1, "a": 1e999}', "a is a number beyond all floats"),
        (b'{"schema_version": 1, "a": -Infinity}', "-Infinity is not JSON"),
        (b'{"schema_version": 1, "a": "\\ud800"}', "a holds half a character"),
        (b'{"schema_version": true}', "has schema_version true"),
        (b'{"schema_version": 1.0}', "has schema_version 1.0"),
    ],
)
def test_hostile_files_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(UnreadableError) as caught:
        read_report(path)
    assert message in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 250
    with pytest.raises(UnreadableError):
        read_baseline(path)


@pytest.mark.parametrize("read", [read_report, read_baseline])
def test_what_is_no_ordinary_file_is_not_opened(read: Callable[[str], object], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    for name in ("/dev/zero", "/dev/null", str(pipe)):
        with pytest.raises(UnreadableError, match=f"^{name} is not read: it is no ordinary file"):
            read(name)


@pytest.mark.parametrize("read", [read_report, read_baseline])
def test_a_huge_file_is_not_read(read: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole, which takes no room
    with pytest.raises(UnreadableError, match=r"huge\.json is not read: it is larger than 64 MiB\.$"):
        read(path)
