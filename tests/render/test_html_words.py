"""What the page says first, and that it says it as the terminal, the CSV and the exit code do."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest
from hand_compared import MOVED
from hand_made import AGAIN, accepted_report, full_report, run, static_report
from parsed_html import Page

from bncheck.core import THRESHOLDS
from bncheck.render import render_fragment, renderer
from bncheck.render.html import view
from bncheck.render.html.figures import score_figure
from bncheck.render.html.filling import of_report
from bncheck.render.html.threshold_words import thresholds_told
from bncheck.render.terminal.layer_table import MEANINGS
from bncheck.render.words.answer import compared
from bncheck.render.words.layers import IN_FILES
from bncheck.results.finding import Cost, Finding, Measure
from bncheck.results.report import LAYER_COLUMNS, Report
from bncheck.vocabulary import Remedy

STYLE = (files("bncheck.render.html") / "templates" / "style.css").read_text("utf-8")


def found(cost: Cost) -> Report:
    """A report whose gravest finding was measured to cost that."""
    finding = Finding("BN610", "error", (), "So.", "Do.", Measure("accuracy", 0.8), cost)
    return replace(full_report(), findings=(finding,))


def test_the_first_tile_is_what_the_remedy_is_worth() -> None:
    assert view.tiles(full_report())[0] == ("accuracy as shipped, and recalibrated", "71.2% → 74.0%")
    grouped = found(Cost("accuracy", 0.712, 0.9, remedy=Remedy.GROUPED, samples=320))
    assert view.tiles(grouped)[0] == ("accuracy as shipped, and in grouped batches (320 samples)", "71.2% → 90.0%")
    assert view.tiles(static_report())[0][0] == "layers measured"


def test_the_number_that_decides_is_in_the_chart() -> None:
    name, values = compared(found(Cost("accuracy", 0.712, 0.9, remedy=Remedy.GROUPED)))
    assert (name, values[-1]) == ("accuracy", (0.9, "in grouped batches"))
    assert [how for _, how in values] == ["as shipped", "normalized by the batch", "recalibrated", "in grouped batches"]
    svg = score_figure(found(Cost("accuracy", 0.712, 0.9, remedy=Remedy.GROUPED)))
    assert svg is not None
    assert "90.0% in grouped batches" in svg
    assert svg.count("var(--batch)") == 1


def test_what_was_measured_on_fewer_samples_is_compared_with_the_same_ones() -> None:
    cost = Cost("accuracy", 0.1, 0.99, remedy=Remedy.INPUT, samples=256)
    assert compared(found(cost)) == (
        "accuracy",
        [(0.1, "as shipped (256 samples)"), (0.99, "with the input changed (256 samples)")],
    )
    assert compared(found(Cost("output change", None, 0.2, remedy=Remedy.INPUT)))[0] == "accuracy"


def test_columns_are_called_as_in_the_terminal_and_the_caption_says_what_csv_calls_them() -> None:
    assert set(view.COLUMNS) - {"channels"} == set(MEANINGS)
    assert {each for name in IN_FILES.values() for each in name.split(", ")} <= set(LAYER_COLUMNS)
    assert set(MEANINGS) - set(IN_FILES) <= set(LAYER_COLUMNS)
    for text in (renderer("html")(full_report()), render_fragment(full_report())):
        captions = " ".join(element.plain for element in Page(text).all("caption"))
        assert "shift: the largest over the channels (shift_max in CSV and JSON)" in captions
        assert "own: the gap with upstream errors removed (own_gap in CSV and JSON)" in captions


@pytest.mark.parametrize(
    ("report", "style"),
    [
        (full_report(), "findings"),
        (replace(full_report(), summary=replace(full_report().summary, exit_code=0)), "tolerated"),
        (replace(accepted_report(), findings=(), summary=replace(full_report().summary, exit_code=0)), "ok"),
    ],
)
def test_the_badge_has_the_colour_of_the_exit_code(report: Report, style: str) -> None:
    (badge,) = Page(render_fragment(report)).all("p", class_="verdict")
    assert style in (badge.attributes["class"] or "").split()


def test_how_to_repeat_it_is_a_command_to_copy() -> None:
    text = renderer("html")(full_report())
    section = next(each for each in Page(text).all("section") if each.attributes.get("id") == "run")
    assert AGAIN in section.plain
    assert AGAIN in [element.plain for element in Page(text).all("pre", class_="command")]
    unknown = replace(static_report(), run=replace(static_report().run, again=None))
    assert "command bncheck inspect" in Page(renderer("html")(unknown)).all("section", id="run")[0].plain


def test_every_threshold_is_told_in_words() -> None:
    told = thresholds_told({name: getattr(THRESHOLDS, name) for name in THRESHOLDS.__dataclass_fields__})
    assert len(told) > 60
    assert [name for name, _, words in told if len(words) < 20] == []
    assert thresholds_told({"of_another_version": 1.0}) == [("of another version", "1", "")]
    assert "Gap. Below it lies what healthy networks show" in of_report(full_report())["thresholds"][0][2]


# Linear RGB as seen without red or green cones (Machado, Oliveira, Fernandes 2009, severity 1.0).
SEEN = {
    "all cones": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
}


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of `#rrggbb`, as it is seen."""
    srgb = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(seen @ linear, 0, 1) / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("ground", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("eyes", SEEN)
def test_lines_of_the_charts_are_told_apart_without_red_or_green(eyes: str, ground: int) -> None:
    pairs = dict(re.findall(r"--(stored|batch|noise|limit): light-dark\((#\w{6}, #\w{6})\)", STYLE))
    colours = {name: lab(both.split(", ")[ground], SEEN[eyes]) for name, both in pairs.items()}
    assert len(colours) == 4
    for one, other in combinations(("stored", "batch", "noise"), 2):
        assert np.linalg.norm(colours[one] - colours[other]) > 20, (one, other)


def test_severities_have_a_sign_and_a_word_besides_their_colour() -> None:
    text = renderer("html")(full_report())
    for severity, sign in (("error", "✖"), ("warning", "▲"), ("info", "●")):
        article = next(each for each in Page(text).all("article", class_=severity))
        assert article.plain.startswith(f"{sign} BN")
        assert severity in article.plain


def test_a_difference_is_repeated_by_a_command_to_copy() -> None:
    options = {"before": "pretrained.pt", "expect_frozen": ["backbone.*", "a b"], "trust_pickle": True, "report": ["x"]}
    typed = replace(MOVED, run=run(command="bncheck diff", options=options))
    command = (
        "bncheck diff pretrained.pt finetuned.onnx --expect-frozen 'backbone.*' --expect-frozen 'a b' --trust-pickle"
    )
    (shown,) = Page(renderer("html")(typed)).all("pre", class_="command")
    assert shown.plain == command
    called = replace(MOVED, run=run(command="bncheck.diff", options={}))
    assert Page(renderer("html")(called)).all("pre", class_="command") == []
