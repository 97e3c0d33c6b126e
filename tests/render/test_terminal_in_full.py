"""The whole report on a terminal, `-v --all`: golden pages at three widths, and what they say read back.

`pytest --update-goldens` writes the golden pages anew: look at what changed before you keep it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from drawn_pages import ALL_OF_IT, drawn_in_full, words
from drawn_tables import read_number, read_span, read_table
from hand_made import (
    ALL,
    REPAIR,
    broken_report,
    empty_report,
    full_report,
    healthy_report,
    many_layers,
    measured,
    static_report,
    summary,
    unmeasured,
)
from rich.console import Console

from bncheck.render.terminal.report import print_report
from bncheck.render.words.answer import answer_in_full
from bncheck.render.words.report import about_data, about_model, effect_lines, noted
from bncheck.results.report import AUDITED, SKIPPED, BatchSize, Report
from bncheck.vocabulary import Reason

GOLDEN = Path(__file__).with_name("golden") / "in_full"
WIDTHS = (80, 120, 200)
AGAIN_BROKEN = "bncheck inspect model.pt --data data.npy"
CORE = ["layer", "shift", "scale", "gap", "own", "noise", "verdict"]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ALL)
def test_golden_pages(name: str, width: int, agrees_with_golden: Callable[[Path, str], None]) -> None:
    text = drawn_in_full(ALL[name](), width)
    agrees_with_golden(GOLDEN / f"{name}_{width}.txt", text)


def test_there_is_no_golden_page_too_many() -> None:
    assert {page.name for page in GOLDEN.iterdir()} == {f"{name}_{width}.txt" for name in ALL for width in WIDTHS}


@pytest.mark.parametrize("make", [*ALL.values(), lambda: many_layers(60)])
def test_no_line_is_longer_than_the_terminal_is_wide(make: Callable[[], Report]) -> None:
    """But for the command, which is copied in one piece."""
    report = make()
    for width in (20, 34, 40, 50, 60, 72, *range(78, 125, 3), 160, 200, 300):
        lines = drawn_in_full(report, width).splitlines()
        assert max(len(line) for line in lines if not line.startswith(("To do: ", "Then check: "))) <= width
        assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("make", [full_report, healthy_report, broken_report])
def test_the_numbers_of_the_table_are_those_of_the_report(make: Callable[[], Report], width: int) -> None:
    report = make()
    rows = read_table(drawn_in_full(report, width), "layer")
    assert len(rows) == len(report.layers)
    for row, layer in zip(rows, report.layers, strict=True):
        low, high = read_span(row["scale"])
        told = [read_number(row[title]) for title in ("shift", "gap", "own", "noise")]
        for shown, value in zip(
            (*told, low, high),
            (layer.shift_max, layer.gap, layer.own_gap, layer.noise, layer.scale_min, layer.scale_max),
            strict=True,
        ):
            assert (shown is None) == (value is None)
            if value is not None:
                assert shown == pytest.approx(value, abs=0.00501, rel=0.051 if abs(value) > 999 else 0.005, nan_ok=True)


def test_the_widest_table_tells_everything_of_a_layer() -> None:
    report = full_report()
    for row, layer in zip(read_table(drawn_in_full(report, 200), "layer"), report.layers, strict=True):
        assert row["layer"] == layer.name
        assert f"{row['kind']}_norm" == layer.kind
        assert int(row["ch"]) == layer.channels
        for title, value in (
            ("calls", layer.calls),
            ("eps", layer.stored_eps),
            ("momentum", layer.stored_momentum),
            ("updates", layer.stored_updates),
        ):
            assert row[title] == ("" if value is None else f"{value:g}"), title
        worst = f"{layer.worst_channel}: " if layer.worst_channel is not None else ""
        assert row["worst channel"].startswith(worst)


def test_every_terminal_that_is_not_very_narrow_has_the_numbers_that_decide() -> None:
    for width in (76, 80, 100, 120, 200):
        titles = list(read_table(drawn_in_full(full_report(), width), "layer")[0])
        assert [title for title in titles if title in CORE] == CORE


def test_columns_come_as_the_terminal_gets_wider() -> None:
    before: set[str] = set()
    for width in range(40, 202, 3):
        titles = set(read_table(drawn_in_full(full_report(), width), "layer")[0])
        assert titles >= before
        before = titles
    assert len(before) == 14


def test_columns_without_anything_to_say_are_left_out() -> None:
    layers = (measured("bn", [0.1], [1.0], stored_eps=None, stored_momentum=None, stored_updates=None),)
    report = replace(full_report(), layers=layers, findings=())
    assert list(read_table(drawn_in_full(report, 200), "layer")[0]) == [
        *("layer", "kind", "ch", "shift", "scale", "gap", "noise", "worst channel", "verdict")
    ]
    assert list(read_table(drawn_in_full(static_report(), 200), "layer")[0]) == [
        "layer",
        "kind",
        "ch",
        "updates",
        "verdict",
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_names_lose_their_beginning_and_only_where_they_do_not_fit(width: int) -> None:
    report = full_report()
    rows = read_table(drawn_in_full(report, width), "layer")
    room = max(len(row["layer"]) for row in rows)
    for row, layer in zip(rows, report.layers, strict=True):
        if len(layer.name) <= room:
            assert row["layer"] == layer.name
        else:
            assert row["layer"] == "…" + layer.name[1 - room :]
    assert any("…" in row["layer"] for row in rows) == (width < 200)


def test_a_very_deep_network_begins_and_ends_with_what_matters() -> None:
    report = many_layers(500)
    text = drawn_in_full(report, 120)
    rows = read_table(text, "layer")
    assert [row["layer"] for row in rows] == [layer.name for layer in report.layers]
    assert text.splitlines()[3].startswith("Found 500 errors. BN600: encoder.stages.0.blocks.0.norm: the gap is 0.5")
    assert text.count("the gap is") == 500
    assert words(text).count("What to do:") == 1


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("make", [*ALL.values(), lambda: many_layers(60)])
def test_the_answer_comes_first_and_nothing_of_it_again(make: Callable[[], Report], width: int) -> None:
    report = make()
    text = words(drawn_in_full(report, width))
    told = answer_in_full(report)
    for paragraph in filter(None, (told.cause, told.cost, told.action)):
        assert text.count(words(paragraph)) == 1
        assert text.index(words(paragraph)) < 1500


def test_every_finding_is_told_once_with_its_code_severity_and_fix() -> None:
    for width in WIDTHS:
        text = words(drawn_in_full(full_report(), width))
        for finding in full_report().findings:
            assert f"{finding.code} {finding.severity}" in text or f"BN603 (warning): {words(finding.message)}" in text
            assert text.count(words(finding.message)) == 1
            assert text.count(f"What to do: {words(finding.fix)}") == 1


def test_findings_of_a_kind_are_cut_where_all_layers_are_not_asked_for() -> None:
    text = drawn_in_full(many_layers(60), 120, replace(ALL_OF_IT, every=False))
    assert text.count("the gap is") == 1 + 5
    assert "And 54 more of this kind: --all tells them." in words(text)
    assert "And 54 more of this kind." in drawn_in_full(
        many_layers(60), 120, replace(ALL_OF_IT, every=False, typed=False)
    )


def test_verdicts_of_layers() -> None:
    verdicts = [row["verdict"] for row in read_table(drawn_in_full(full_report(), 200), "layer")]
    assert verdicts == ["ok", "BN600 BN603", "BN603", "gap", "BN706", "no statistics", "audited"]


def test_the_batch_size_table_read_back() -> None:
    report = full_report()
    rows = read_table(drawn_in_full(report, 80), "batch size")
    for row, expected in zip(rows, report.batch_sizes, strict=True):
        assert int(row["batch size"]) == expected.batch_size
        told = (read_number(row["gap"]), read_number(row["shift (95 %)"]), *read_span(row["scale (5 to 95 %)"]))
        values = (expected.gap, expected.shift, expected.scale_low, expected.scale_high)
        assert told == pytest.approx(values, abs=0.00501)


@pytest.mark.parametrize(
    ("at_one", "at_most", "is_degenerate"),
    [(0.003, 0.9, True), (0.0, 0.9, True), (0.5, 0.9, False), (0.02, 0.03, False), (float("nan"), 0.9, False)],
)
def test_a_batch_of_one_is_warned_of_only_where_its_variance_vanishes(
    at_one: float, at_most: float, is_degenerate: bool
) -> None:
    sizes = (BatchSize(1, 1.0, 1.0, at_one, 1.5), BatchSize(64, 1.0, 1.0, at_most, 1.5))
    text = words(drawn_in_full(replace(full_report(), batch_sizes=sizes), 100))
    assert ("have a variance of 0" in text) == is_degenerate


def test_a_single_batch_size_has_nothing_to_be_compared_with() -> None:
    text = drawn_in_full(replace(full_report(), batch_sizes=(BatchSize(1, 1.0, 1.0, 0.001, 1.5),)), 100)
    assert "variance of 0" not in text


def test_the_legend_explains_the_columns_there_are() -> None:
    assert "own: the gap with upstream errors removed" in words(drawn_in_full(full_report(), 80))
    narrow = words(drawn_in_full(full_report(), 40))
    assert "gap: root mean square" in narrow
    assert "own: " not in narrow
    assert "gap: root" not in drawn_in_full(static_report(), 80)


@pytest.mark.parametrize("name", ["net[/bold].bn", "[red]x", "a:smile:b", "[link=http://x]y"])
def test_names_are_no_markup(name: str) -> None:
    layers = (unmeasured(name, AUDITED), measured(f"m{name}", [0.1], [1.0]))
    text = drawn_in_full(replace(full_report(), layers=layers, findings=()), 200)
    assert [row["layer"] for row in read_table(text, "layer")] == [name, f"m{name}"]


def test_names_cannot_command_the_terminal() -> None:
    report = static_report()
    layer = replace(report.layers[0], name="stem\x1b[2J\n.bn")
    finding = replace(report.findings[0], message="stem\x1b[2J.bn is broken", fix="\x1b]0;title\x07")
    model = replace(report.model, path="\x1b[8mmodel.pt")
    text = drawn_in_full(replace(report, layers=(layer,), findings=(finding,), model=model), 100)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "stem�[2J.bn is broken" in text
    assert [row["layer"] for row in read_table(text, "layer")] == ["stem�[2J�.bn"]


def test_a_model_that_is_one_layer_has_a_name_in_the_table() -> None:
    report = replace(full_report(), layers=(measured("", [0.1], [1.0]),), findings=())
    text = drawn_in_full(report, 120)
    assert read_table(text, "layer")[0]["layer"] == "(the model)"
    assert "Worst channel: 0 of the model, gap 0.10." in text


def test_no_table_where_there_is_no_layer() -> None:
    text = drawn_in_full(empty_report(), 80)
    assert "─" not in text
    assert "0 norm layers" in text


def test_colours_are_of_the_severities() -> None:
    page = io.StringIO()
    print_report(full_report(), Console(file=page, width=100, force_terminal=True, color_system="standard"), ALL_OF_IT)
    lines = page.getvalue().splitlines()
    (error,) = (line for line in lines if "BN600 error" in line)
    (info,) = (line for line in lines if "BN706 info" in line)
    assert "\x1b[1;31m" in error
    assert "\x1b[36m" in info
    assert any("\x1b[1;31m" in line and "denselayer24" in line for line in lines[10:18])
    assert any("\x1b[33m" in line and "transition" in line for line in lines[10:18])


def test_what_was_skipped_is_said_in_the_table() -> None:
    reasons = {
        Reason.NO_STATISTICS: "no statistics",
        Reason.NOT_EXERCISED: "not exercised",
        Reason.FOLDED: "folded",
        Reason.UNSUPPORTED: "unsupported",
    }
    layers = tuple(unmeasured(reason, SKIPPED, reason) for reason in reasons)
    report = replace(full_report(), layers=layers, findings=(), summary=summary(layers, "not-checked", 4))
    assert {row["layer"]: row["verdict"] for row in read_table(drawn_in_full(report, 80), "layer")} == reasons


@pytest.mark.parametrize("width", [20, 80, 300])
def test_the_command_ends_the_answer_and_stands_in_one_piece(width: int) -> None:
    for report, command in ((full_report(), f"To do: {REPAIR}"), (broken_report(), f"Then check: {AGAIN_BROKEN}")):
        lines = drawn_in_full(report, width).splitlines()
        assert lines[lines.index(command) + 1] == ""
        assert any(line.startswith("What to do") for line in lines[: lines.index(command)])
    assert "bncheck" not in drawn_in_full(healthy_report(), width)


@pytest.mark.parametrize("make", [*ALL.values(), lambda: many_layers(60)])
def test_nothing_that_the_first_screen_leaves_out_is_lost(make: Callable[[], Report]) -> None:
    report = make()
    text = words(drawn_in_full(report, 300))
    for layer in report.layers:
        assert layer.name in text
    for line in (*effect_lines(report), *noted(report.run), about_data(report), about_model(report.model)):
        assert words(line) in text
    for finding in report.findings:
        assert words(finding.message) in text
        assert words(finding.fix) in text
    assert len(report.batch_sizes) == (
        len(read_table(drawn_in_full(report, 300), "batch size")) if report.batch_sizes else 0
    )
