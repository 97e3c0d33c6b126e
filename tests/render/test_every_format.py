"""Every format takes a report, a repair and a difference, and is found by its file alone."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import hand_compared
import hand_repaired
import pytest
from hand_made import HOSTILE, SLICES, full_report
from jsonschema import Draft7Validator
from parsed_html import Page

from bncheck.errors import UsageError
from bncheck.gate import report_of
from bncheck.render import Result, all_formats, format_of, renderer
from bncheck.render import formats as home
from bncheck.render.words.ranking import ranks
from bncheck.results.difference import Difference
from bncheck.results.finding import Finding, Measure
from bncheck.results.repair import RepairResult
from bncheck.results.report import Report
from bncheck.vocabulary import Worse

NAMES = [each.name for each in all_formats()]
SARIF = json.loads(Path(__file__).with_name("sarif").joinpath("sarif-2.1.0-rtm.5.schema.json").read_text())
COMPARED = {"moved": hand_compared.MOVED, "same": hand_compared.SAME, "untold": hand_compared.UNTOLD}


OF_REPORTS = ("channels-csv", "slices-csv")
"""Formats that a difference is not written in."""
COMMANDS = "bn ##[error]a ##vso[task.complete]b ##teamcity[c]"
"""CI systems obey them in the middle of a line."""


def evil_report(name: str) -> Report:
    report = full_report()
    layers = tuple(replace(layer, name=name) for layer in report.layers)
    findings = tuple(replace(each, message=f"{name}: {each.message}", layers=(name,)) for each in report.findings)
    slices = tuple(replace(part, name=name, worst_layer=name) for part in SLICES)
    model = replace(report.model, path=name)
    return replace(report, layers=layers, findings=findings, model=model, slices=slices)


def evil_repair(name: str = HOSTILE) -> RepairResult:
    layers = tuple(replace(layer, name=name) for layer in hand_repaired.LAYERS)
    return replace(hand_repaired.better(), layers=layers, source=name)


def evil_difference(name: str = HOSTILE) -> Difference:
    return hand_compared.difference(hand_compared.layer(name, 0.5), only_after=(name,))


RESULTS: dict[str, Result] = {
    "report": full_report(),
    **{f"repair {name}": make() for name, make in hand_repaired.ALL.items()},
    "repair evil": evil_repair(),
    **{f"difference {name}": made for name, made in COMPARED.items()},
    "difference evil": evil_difference(),
}


def plain(page: Page) -> str:
    assert page.faults == []
    (body,) = page.all("body")
    return body.plain


def exit_code(result: Result) -> int:
    return result.exit_code if isinstance(result, RepairResult) else result.summary.exit_code


def test_the_formats_are_those_of_the_contract() -> None:
    assert set(NAMES) == {"csv", "channels-csv", "slices-csv", "json", "html", "markdown", "junit", "sarif", "github"}
    suffixes = {".csv": "csv", ".json": "json", ".html": "html", ".htm": "html", ".md": "markdown", ".xml": "junit"}
    for suffix, name in {**suffixes, ".sarif": "sarif", ".JSON": "json"}.items():
        found = format_of(suffix)
        assert found is not None
        assert found.name == name
    assert format_of(".txt") is None


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("format_name", NAMES)
def test_every_format_takes_every_result(format_name: str, name: str) -> None:
    result = RESULTS[name]
    if format_name in OF_REPORTS and isinstance(result, Difference):
        with pytest.raises(UsageError, match=f"{format_name}: a difference is written as one of csv, github, html,"):
            renderer(format_name)(result)
        return
    text = renderer(format_name)(result)
    assert text.endswith("\n") or (format_name == "github" and not text)
    assert "\x1b" not in text or format_name in ("csv", *OF_REPORTS)


@pytest.mark.parametrize("make", [evil_report, evil_repair, evil_difference])
@pytest.mark.parametrize("format_name", NAMES)
def test_no_format_holds_what_a_ci_system_obeys(
    format_name: str, make: Callable[[str], Report | RepairResult | Difference]
) -> None:
    if format_name in OF_REPORTS and make is evil_difference:
        return
    text = renderer(format_name)(make(COMMANDS))
    assert re.findall(r"##\w*\[", text) == []
    if make is evil_report and format_name not in OF_REPORTS:  # it is told nevertheless
        assert "#[error]a" in text
    if make is evil_report and format_name == "json":
        assert {layer["name"] for layer in json.loads(text)["layers"]} == {COMMANDS}


ODD = "a".join(
    map(chr, (*range(32), 0x7F, 0x85, 0x9B, 0xAD, 0x61C, 0x200B, 0x200E, 0x2028, 0x2029, 0x202E, 0x2066, 0xFEFF))
)
"""Whatever ends a line somewhere, moves the cursor, turns text around or cannot be seen."""


@pytest.mark.parametrize("make", [evil_report, evil_repair, evil_difference])
@pytest.mark.parametrize("format_name", NAMES)
def test_no_name_ends_a_line_or_turns_one_around(
    format_name: str, make: Callable[[str], Report | RepairResult | Difference]
) -> None:
    if format_name in OF_REPORTS and make is evil_difference:
        return
    text, usual = (renderer(format_name)(make(name)) for name in (ODD, "name"))
    seen = {each for each in text if not each.isprintable()}
    assert seen <= {each for each in usual if not each.isprintable()}  # the page's own script holds a few
    if format_name != "html":
        assert seen <= {"\n"}
        assert text.count("\n") == usual.count("\n") or format_name == "markdown"
    for told in (str(make(ODD)), repr(make(ODD))):
        assert all(each.isprintable() or each == "\n" for each in told)


def test_names_in_scripts_that_the_drawings_font_has_not(recwarn: pytest.WarningsRecorder) -> None:
    assert "漢字" in renderer("html")(evil_report("漢字"))
    assert not recwarn.list


def test_a_format_there_is_not() -> None:
    with pytest.raises(UsageError, match=r"there is no format 'yaml'; choose one of channels-csv, csv, github,"):
        renderer("yaml")


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "shouted.py").write_text(
        "from bncheck.render.format import Format\n"
        "def loud(report):\n    return report.model.path.upper()\n"
        'FORMAT = Format("shouted", (".loud",), loud, None, None)\n'
    )
    home.__path__.append(str(tmp_path))
    yield
    home.__path__.remove(str(tmp_path))


@pytest.mark.usefixtures("toy")
def test_a_new_format_is_a_file_in_the_folder() -> None:
    assert "shouted" in [each.name for each in all_formats()]
    assert renderer("shouted")(full_report()) == full_report().model.path.upper()
    with pytest.raises(UsageError, match="shouted: a repair is written as one of channels-csv, csv,"):
        renderer("shouted")(hand_repaired.better())


@pytest.mark.parametrize("name", hand_repaired.ALL)
def test_the_json_of_a_repair_is_the_report_on_the_repaired_model_and_says_what_was_done(name: str) -> None:
    result = hand_repaired.ALL[name]()
    document = json.loads(renderer("json")(result))
    assert list(document)[-2:] == ["repair", "complete"]
    repair = document.pop("repair")
    report = result.after or result.before
    assert document == json.loads(renderer("json")(report))
    assert report_of({**document, "repair": repair}).summary == report_of(document).summary
    assert (repair["outcome"], repair["exit_code"]) == (result.outcome, result.exit_code)
    assert [layer["name"] for layer in repair["layers"]] == [layer.name for layer in result.layers]
    assert "before" not in repair
    reasons = {layer["reason"] for layer in repair["layers"]}
    assert reasons == {layer.reason for layer in result.layers}


def test_the_csv_of_a_repair_begins_with_the_columns_of_a_report() -> None:
    result = replace(
        hand_repaired.better(), layers=(replace(hand_repaired.LAYERS[0], name="0.bn"), *hand_repaired.LAYERS[1:])
    )
    plain = next(csv.reader(io.StringIO(renderer("csv")(result.after))))
    told = list(csv.DictReader(io.StringIO(renderer("csv")(result))))
    assert list(told[0])[: len(plain)] == plain
    assert (told[0]["repair_changed"], told[0]["repair_gap_before"]) == ("True", "0.7612")
    assert told[1]["repair_changed"] == ""


@pytest.mark.parametrize("name", RESULTS)
def test_no_page_of_a_server_is_green_where_the_exit_code_is_not(name: str) -> None:
    result = RESULTS[name]
    suite = ElementTree.fromstring(renderer("junit")(result)).find("testsuite")
    assert suite is not None
    red = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
    invocation = json.loads(renderer("sarif")(result))["runs"][0]["invocations"][0]
    assert invocation["exitCode"] == exit_code(result)
    if exit_code(result) == 4:
        assert "::error " in renderer("github")(result)
        assert not invocation["executionSuccessful"]
    if exit_code(result):
        assert red


def test_a_refused_repair_is_an_error_everywhere() -> None:
    result = hand_repaired.worse()
    assert renderer("github")(result).startswith("::error ")
    assert "The repaired model is worse. Nothing was written." in renderer("github")(result)
    (case,) = [
        case
        for case in ElementTree.fromstring(renderer("junit")(result)).iter("testcase")
        if case.get("name") == "repair outcome"
    ]
    assert case.find("failure") is not None
    assert "## bncheck repair: The repaired model is worse." in renderer("markdown")(result)
    assert renderer("github")(hand_repaired.better()).startswith("::notice ")


@pytest.mark.parametrize("name", RESULTS)
def test_the_sarif_fits_its_schema(name: str) -> None:
    Draft7Validator(SARIF).validate(json.loads(renderer("sarif")(RESULTS[name])))


def test_the_tests_of_a_difference_name_what_moved_and_fail_for_what_was_to_stay() -> None:
    cases = list(ElementTree.fromstring(renderer("junit")(hand_compared.MOVED)).iter("testcase"))
    told = {case.attrib["name"]: case for case in cases}
    compared, frozen = told["statistics compared"], told["BN402 frozen statistics"]
    text = compared[0].text or ""
    assert all(layer.name in text for layer in hand_compared.MOVED.layers if layer.moved)
    assert [child.tag for child in frozen] == ["failure"]
    assert "backbone.layer1.0.bn1" in (frozen[0].text or "")
    unfrozen = replace(
        hand_compared.MOVED,
        layers=tuple(replace(layer, expected_frozen=False) for layer in hand_compared.MOVED.layers),
        findings=(),
    )
    assert "BN402" not in renderer("junit")(unfrozen)


def test_the_page_of_a_difference_has_every_layer_and_what_else_moved() -> None:
    page = Page(renderer("html")(hand_compared.MOVED))
    text = plain(page)
    assert "The statistics of 3 of 5 layers moved; the largest gap is not a number, in broken." in text
    for name in ("backbone.layer1.0.bn1", "head.norm", "head.weight", "Only in the first file: 8", "fpn.norm"):
        assert name in text
    assert len(page.all("h1")) == 1


@pytest.mark.parametrize("name", hand_repaired.ALL)
def test_the_page_of_a_repair_has_its_outcome_and_the_report_below(name: str) -> None:
    result = hand_repaired.ALL[name]()
    page = Page(renderer("html")(result))
    (title,) = page.all("h1")
    text = plain(page)
    assert (result.after or result.before).model.path in text
    for layer in result.layers:
        assert layer.name in text
    assert title.plain.strip()
    identities = [node.attributes["id"] for node in page.elements if "id" in node.attributes]
    assert len(identities) == len(set(identities))


def test_the_worst_of_a_kind_is_told_first_by_the_measure() -> None:
    def found(value: float | None, worse: Worse, layer: str) -> Finding:
        measure = Measure("x", value, worse=worse)
        return Finding("BN603", "error", (layer,), f"{layer} is wrong.", "Do.", measure, None, {"gap": -(value or 0)})

    for worse, order in ((Worse.HIGHER, "cbad"), (Worse.LOWER, "abcd")):
        findings = tuple(found(value, worse, name) for name, value in (("a", 0.1), ("b", 0.2), ("c", 0.3), ("d", None)))
        expected = sorted("abcd", key=["c", "b", "a", "d"].index if worse is Worse.HIGHER else "abcd".index)
        report: Report = replace(full_report(), findings=findings)
        text = renderer("markdown")(report)
        assert [text.index(f"- {name} is wrong") for name in expected] == sorted(
            text.index(f"- {name} is wrong") for name in "abcd"
        ), order
        given = dict(zip("abcd", ranks(findings), strict=True))
        assert sorted("abcd", key=given.__getitem__, reverse=True) == expected
        assert max(given.values()) == 100.0
