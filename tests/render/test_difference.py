"""The difference of two checkpoints as a page: what moved most first, what was to stay, and how much else there is."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pandas
import pytest
from drawn_tables import read_table
from hand_compared import MOVED, difference, layer
from rich.console import Console

from bncheck.render import renderer
from bncheck.render.terminal.difference import print_difference
from bncheck.render.terminal.look import Look
from bncheck.results.difference import Difference, DifferenceSummary, TensorChange


def drawn(made: Difference, width: int = 120, look: Look | None = None) -> str:
    page = io.StringIO()
    print_difference(made, Console(file=page, width=width, color_system=None, force_terminal=False), look)
    return page.getvalue()


def test_what_moved_most_stands_first_and_what_was_to_stay_is_told() -> None:
    rows = read_table(drawn(MOVED, 200), "layer")
    assert [(row["layer"], row["verdict"]) for row in rows] == [
        ("broken", "moved"),
        ("neck.norm", "moved"),
        ("backbone.layer1.0.bn1", "BN402"),
        ("backbone.layer1.0.bn2", "frozen"),
    ]
    assert rows[1]["updates"] == "1000 to 1500"
    assert rows[1]["called before"] == "fpn.norm"
    tensors = read_table(drawn(MOVED, 200), "tensor")
    assert [(row["tensor"], row["shape"], row["change"]) for row in tensors] == [
        ("scale", "1", "-"),
        ("head.bias", "10", "0.75"),
        ("head.weight", "10x512", "0.25"),
    ]


def test_the_page_sums_up() -> None:
    text = " ".join(drawn(MOVED).split())
    assert "The statistics of 3 of 5 layers moved; the largest gap is not a number, in broken." in text
    assert "3 of 4 other tensors moved." in text
    assert "Only in the first: old.0, old.1, old.2, old.3, old.4 and 3 more." in text
    assert "BN402 warning It moved. What to do: Keep it in eval mode." in text
    assert "More: bncheck rule BN402" in text


def test_the_answer_stands_first_and_ten_rows_of_each_table() -> None:
    layers = tuple(layer(f"block{at}.norm", 0.1 + at / 100) for at in range(55))
    tensors = tuple(TensorChange(f"w{at}", f"w{at}", (2,), True, 0.1 + at / 100) for at in range(30))
    made = replace(difference(*layers, tensors=tensors), summary=DifferenceSummary("ok", 0, 55, 55, 30, 30))
    text = drawn(made)
    assert text.index("The statistics of 55 of 55 layers moved") < text.index("\nlayer ")
    rows = [line.split()[0] for line in text.splitlines() if line.endswith(" moved")]
    assert rows == [f"block{at}.norm" for at in range(54, 44, -1)]
    assert "And 45 more that moved less." in text
    assert "And 20 more that moved less." in text
    assert "More: " not in text
    typed, whole = drawn(made, look=Look(typed=True)), drawn(made, look=Look(every=True, verbose=True, typed=True))
    assert "More: -v (what the columns are), --all (all that moved)" in typed
    assert "root mean square" not in typed
    assert "root mean square" in whole
    assert sum(line.endswith(" moved") for line in whole.splitlines()) == 55
    assert "More: " not in whole


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (difference(layer("a", 0.0)), "Nothing moved. The statistics of 1 layer are the same."),
        (
            difference(layer("a", 0.0), tensors=(TensorChange("w", "w", (2,), True, 0.5),)),
            "No statistics moved. The statistics of 1 layer are the same. 1 of 1 other tensor moved.",
        ),
        (difference(tensors=(TensorChange("w", "w", (2,), True, 0.5),)), "No statistics to compare. 1 of 1 other"),
        (
            difference(summary=DifferenceSummary("not-checked", 4, 0, 0, 0, 0)),
            "Not compared: the two files have nothing in common",
        ),
        (
            difference(summary=DifferenceSummary("not-checked", 4, 0, 0, 2, 0)),
            "Not compared: no layer has statistics in both files. Where an export folded them into other layers, "
            "`bncheck inspect finetuned.onnx --reference pretrained.pt` compares them by the numbers.",
        ),
        (
            difference(layer("a", 0.0), summary=DifferenceSummary("inconclusive", 4, 1, 0, 0, 0)),
            "Not all compared: some of the layers that were to be frozen are in one of the files only.",
        ),
    ],
)
def test_headlines(made: Difference, said: str) -> None:
    assert said in " ".join(drawn(made).split())


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_longer_than_the_terminal_is_wide(width: int) -> None:
    assert max(map(len, drawn(MOVED, width).splitlines())) <= width


def test_long_tables_are_cut_and_say_so() -> None:
    many = difference(*(layer(f"layer{at}.bn", 0.1 + at / 1000) for at in range(50)))
    rows = [line.split()[0] for line in drawn(many).splitlines() if line.startswith("layer") and "moved" in line]
    assert rows == [f"layer{at}.bn" for at in range(49, 39, -1)]
    assert "And 40 more that moved less." in drawn(many)


def test_names_from_files_do_nothing_to_the_terminal() -> None:
    hostile = difference(layer("\x1b[31mred\nline", 0.5), tensors=(TensorChange("\x1bw", "w", (1,), True, 0.1),))
    assert "\x1b" not in drawn(hostile)
    assert "\x1b" not in drawn(replace(hostile, only_after=("\x1bx",)))


def test_json_and_csv_say_the_same() -> None:
    document = json.loads(renderer("json")(MOVED))
    assert document["schema_version"] == 1
    assert document["layers"][4]["gap"] is None
    frame = pandas.read_csv(io.StringIO(renderer("csv")(MOVED)))
    assert frame["name"].tolist() == [each["name"] for each in (*document["layers"], *document["tensors"])]
    assert frame["what"].tolist() == ["statistics"] * 5 + ["tensor"] * 4
    assert frame["shape"].tolist()[5] == "10x512"
    assert frame["updates_after"].tolist()[0] == 1500
