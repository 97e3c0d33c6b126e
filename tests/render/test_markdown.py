"""Markdown, read back by a parser: nothing of a name is markup, the numbers are the report's, a comment can hold it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from drawn_tables import read_number, read_span
from hand_made import ALL, HOSTILE, accepted_report, full_report, healthy_report, many_layers
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bncheck.render import renderer
from bncheck.results.report import Report

render = renderer("markdown")
COMMENT = 65_536
EVERY = [*ALL.values(), accepted_report, lambda: many_layers(500)]


def parsed(report: Report) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(render(report))


def plain(inline: Token) -> str:
    """What a reader sees of it."""
    return "".join(" " if child.type in ("softbreak", "hardbreak") else child.content for child in inline.children)


def texts(report: Report, opening: str) -> list[str]:
    """What stands in every element of one kind."""
    tokens = parsed(report)
    return [plain(tokens[at + 1]) for at, token in enumerate(tokens) if token.type == opening]


def tables(report: Report) -> list[list[dict[str, str]]]:
    """Every table as rows of cells by their titles."""
    found: list[list[list[str]]] = []
    for token in parsed(report):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and token.level >= 4:
            found[-1][-1].append(plain(token))
    return [[dict(zip(table[0], row, strict=True)) for row in table[1:]] for table in found]


@pytest.mark.parametrize("make", EVERY)
def test_a_comment_can_hold_it(make: Callable[[], Report]) -> None:
    text = render(make())
    assert len(text) < COMMENT
    assert text.startswith("<!-- bncheck -->\n")
    assert text.endswith("\n")
    assert text.count("<details>") == text.count("</details>")


def test_what_no_comment_can_hold_is_shortened_and_says_so() -> None:
    report = full_report()
    long = tuple(replace(finding, message=finding.message * 400) for finding in report.findings)
    text = render(replace(report, findings=long))
    assert len(text) < COMMENT
    assert text.endswith("*Shortened: the JSON report has the rest.*\n")


@pytest.mark.parametrize("make", EVERY)
def test_the_only_html_is_the_marker_and_the_folds(make: Callable[[], Report]) -> None:
    blocks = [token.content.strip() for token in parsed(make()) if token.type == "html_block"]
    assert blocks[0] == "<!-- bncheck -->"
    assert all(block.startswith(("<details><summary>", "</details>")) for block in blocks[1:])
    inline = [child for token in parsed(make()) for child in token.children or ()]
    assert not [child.content for child in inline if child.type == "html_inline"]


def test_names_are_shown_as_they_are() -> None:
    report = accepted_report()
    shown = HOSTILE.replace("\x1b", "�").replace("`", "'")
    layers, _ = tables(report)
    assert layers[0]["layer"] == shown.replace("\n", "�")
    assert "".join(texts(report, "paragraph_open")).count("run 17/*a|b*, <i>100%</i>.ckpt") == 1
    (message,) = (text for text in texts(report, "paragraph_open") if "the gap is 865" in text)
    assert message == f"{HOSTILE}: the gap is 865.".replace("\x1b", "�").replace("\n", " ")


def test_code_in_a_fix_stays_code() -> None:
    report = full_report()
    fixed = replace(report.findings[0], fix="Call `model.state_dict()`, not `*_x_*` or *b* <i>or</i> [c](d).")
    changed = replace(report, findings=(fixed,))
    assert "What to do: Call model.state_dict(), not *_x_* or *b* <i>or</i> [c](d)." in texts(changed, "paragraph_open")
    tokens = parsed(changed)
    code = [child.content for token in tokens for child in token.children or () if child.type == "code_inline"]
    assert "model.state_dict()" in code
    assert "*_x_*" in code


@pytest.mark.parametrize("make", [full_report, healthy_report, accepted_report])
def test_the_numbers_of_the_table_are_those_of_the_report(make: Callable[[], Report]) -> None:
    report = make()
    rows = tables(report)[0]
    assert len(rows) == len(report.layers)
    for row, layer in zip(rows, report.layers, strict=True):
        low, high = read_span(row["scale"])
        told = [read_number(row[title]) for title in ("shift", "gap", "own", "noise")]
        values = (layer.shift_max, layer.gap, layer.own_gap, layer.noise, layer.scale_min, layer.scale_max)
        for shown, value in zip((*told, low, high), values, strict=True):
            assert (shown is None) == (value is None)
            if value is not None:
                assert shown == pytest.approx(value, abs=0.00501, rel=0.051 if abs(value) > 999 else 0.005)


def test_batch_sizes_have_their_table() -> None:
    _, sizes = tables(full_report())
    assert [row["batch size"] for row in sizes] == ["1", "8", "256"]


def test_findings_that_count_are_told_in_full_and_accepted_ones_in_the_notes() -> None:
    def told(report: Report) -> list[str]:
        return texts(report, "heading_open")

    assert told(full_report()) == [
        "bncheck: Found 1 error and 1 warning.",
        "BN600 error",
        "BN603 warning",
        "BN706 info",
    ]
    assert told(accepted_report()) == [
        "bncheck: Found 1 error; 1 warning accepted.",
        "BN600 error",
        "BN706 info",
    ]
    assert "Note: Accepted BN603: in the baseline at 0.76, now 0.74." in render(accepted_report())


def test_a_finding_of_many_layers_is_summed_up_and_its_layers_are_in_the_table() -> None:
    report = many_layers(500)
    text = render(report)
    assert "And 495 more of this kind" in text
    (rows,) = [table for table in tables(report) if "layer" in table[0]]
    assert len(rows) == 200
    assert "And 300 more: the JSON report has all." in text
    gaps: dict[str, Any] = {layer.name: layer.gap for layer in report.layers}
    assert min(gaps[row["layer"]] for row in rows) > max(
        gap for name, gap in gaps.items() if name not in {row["layer"] for row in rows}
    )
