"""The page of a repair: golden pages at three widths, and what they say read back.

`pytest --update-goldens` writes the golden pages anew: look at what changed before you keep it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import hand_repaired
import pytest
from drawn_tables import read_number, read_table
from hand_repaired import ALL
from rich.console import Console

from bncheck.render import renderer
from bncheck.render.terminal.look import Look
from bncheck.render.terminal.repair_table import print_repair
from bncheck.results.repair import BETTER, WORSE, Outcome, RepairResult
from bncheck.results.scores import Score
from bncheck.vocabulary import Sort

GOLDEN = Path(__file__).with_name("golden_repair")
WIDTHS = (80, 120, 200)


def drawn(result: RepairResult, width: int, look: Look | None = None) -> str:
    page = io.StringIO()
    console = Console(file=page, width=width, color_system=None, force_terminal=False, legacy_windows=False)
    print_repair(result, console, look)
    return page.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ALL)
def test_golden_pages(name: str, width: int, agrees_with_golden: Callable[[Path, str], None]) -> None:
    text = drawn(ALL[name](), width)
    agrees_with_golden(GOLDEN / f"{name}_{width}.txt", text)
    lines = [line for line in text.splitlines() if ": bncheck " not in line]  # a command to copy stands in one line
    assert max(map(len, lines)) <= width


def test_there_is_no_golden_page_too_many() -> None:
    assert {page.name for page in GOLDEN.iterdir()} == {f"{name}_{width}.txt" for name in ALL for width in WIDTHS}


@pytest.mark.parametrize("width", WIDTHS)
def test_the_numbers_of_the_table_are_those_of_the_result(width: int) -> None:
    result = hand_repaired.better()
    rows = read_table(drawn(result, width, Look(every=True)), "layer")
    assert len(rows) == len(result.layers)
    for row, layer in zip(rows, result.layers, strict=True):
        values = {"gap before": layer.gap_before, "gap after": layer.gap_after, "error": layer.error}
        if width > 120:
            values |= {"own before": layer.own_before, "own after": layer.own_after}
        for title, value in values.items():
            shown = read_number(row[title])
            assert (shown is None) == (value is None)
            if value is not None:
                assert shown == pytest.approx(value, abs=0.00501, rel=0.005, nan_ok=True)
        assert row["statistics"] == ("new" if layer.changed else f"kept: {layer.reason.words}")


@pytest.mark.parametrize("number", [5, 55, 300])
def test_every_layer_is_shown_or_counted(number: int) -> None:
    result = hand_repaired.deep(number)
    page = drawn(result, 120)
    shown = [row["layer"] for row in read_table(page, "layer")]
    assert 0 < len(shown) <= 10
    counted = re.search(
        r"^(\d+) more layers? given new statistics \(gap up to .* before, .* after\)", page, re.MULTILINE
    )
    assert counted is not None
    assert len(shown) + int(counted[1]) + 1 == number
    assert "; 1 kept: not exercised." in words(page)
    rest = [layer for layer in result.layers if layer.changed and layer.name not in shown]
    kept = [layer for layer in result.layers if layer.name in shown]
    still_off = [layer.gap_after for layer in kept if layer.gap_after > 0.2]
    assert all(layer.gap_after <= min(still_off, default=0.2) for layer in rest), "the worst that are left are shown"
    most = max(result.layers, key=lambda layer: (layer.gap_before or 0) - (layer.gap_after or 0))
    assert most in kept, "and so are those changed most"
    assert len(read_table(drawn(result, 120, Look(every=True)), "layer")) == number


def test_the_order_of_the_rows_is_chosen() -> None:
    result = hand_repaired.deep(55)

    def order(sort: Sort) -> list[str]:
        return [row["layer"] for row in read_table(drawn(result, 200, Look(sort=sort)), "layer")]

    assert order(Sort.NAME) == sorted(order(Sort.ORDER))
    numbers = [int(name.split(".")[4]) for name in order(Sort.ORDER)]
    assert numbers == sorted(numbers)
    assert order(Sort.GAP)[0] == "encoder.stages.1.blocks.50.norm"


def test_what_changed_nothing_is_three_sentences_and_no_table() -> None:
    starts = ("weights.safetensors", "There is nothing to repair.", "Not written: repaired.ckpt. No layer could be")
    lines = drawn(hand_repaired.nothing(), 120).splitlines()
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=False))
    assert len(lines) == 4  # the last is wider than can be read
    calm = drawn(hand_repaired.fine_55(), 80)
    assert "54 layers given new statistics (gap up to 0.03 before, 0.01 after). Written" in words(calm)
    assert "gap before" not in calm
    assert "" not in calm.splitlines()


def test_the_answer_stands_first_and_names_file_and_command() -> None:
    lines = drawn(hand_repaired.deep(300), 200).splitlines()
    at = {start: next(i for i, line in enumerate(lines) if line.startswith(start)) for start in (
        "The repaired model is better.", "Accuracy: 40.5%", "Written: repaired.ckpt",
        "Then check: bncheck inspect repaired.ckpt --data data/validation.npz", "layer ",
    )}  # fmt: skip
    assert list(at.values()) == sorted(at.values())
    assert len(lines) < 30


def test_pages_and_comments_tell_the_command_to_check_too() -> None:
    check = "bncheck inspect repaired.ckpt --data data/validation.npz"
    result = hand_repaired.deep(5)
    assert f'<pre class="command"><code>{check}</code></pre>' in renderer("html")(result)
    assert f"**Then check:**\n```\n{check}\n```" in renderer("markdown")(result)
    assert "Then check" not in renderer("markdown")(hand_repaired.nothing())


def test_the_options_that_show_more_are_named_to_whoever_can_type_them() -> None:
    result = hand_repaired.deep(300)
    assert "More: " not in drawn(result, 120)
    assert "More: -v (all that was measured and noted), --all (every layer)" in drawn(result, 120, Look(typed=True))
    full = drawn(result, 120, Look(verbose=True, every=True, typed=True))
    assert "More: " not in full
    assert "59.5% of the predictions change." in full
    assert "gap: root mean square over the channels" in full


@pytest.mark.parametrize(
    ("name", "said", "unsaid"),
    [
        (
            "better",
            ["The repaired model is better.", "40.5% as shipped, 99.3% repaired", "Written: repaired.ckpt"],
            "Not written",
        ),
        ("cross_fitted", ["blended by 1200", "each half by what the other half gave", "10% fewer wrong"], "heldout"),
        ("worse", ["The repaired model is worse.", "Not written: repaired.ckpt", "--force", "-1.9 points"], "Written"),
        ("worse_without_labels", ["likely worse", "has grown", "Not written"], "Accuracy"),
        (
            "worse_by_labels_that_fit_nothing",
            ["likely worse, by labels that fit none of its outputs (--output names the prediction"],
            "without labels",
        ),
        ("undecided", ["cannot be told without labels", "move by 37.0%", "still has findings"], "Accuracy"),
        ("useless", ["makes no difference that these data can show", "+0.0 points"], "fewer wrong"),
        ("with_metric", ["Metric: -12.5 as shipped, -0.41 repaired"], "%, "),
        ("once_not_finite", ["outputs of the model as shipped are not finite"], "move by"),
        (
            "on_scaled_data",
            ["better.", "None of the predictions is wrong any more.", "But BN601 speaks of the data"],
            "%.",
        ),
        (
            "of_few",
            ["is better.", "But 12 samples are few: with 40 the new statistics would be off by less"],
            "Not written",
        ),
        ("nothing", ["There is nothing to repair.", "the data do not reach them"], "judged on"),
    ],
)
def test_every_outcome_is_said(name: str, said: list[str], unsaid: str) -> None:
    text = words(drawn(ALL[name](), 200))
    for part in said:
        assert part in text
    assert unsaid not in text


@pytest.mark.parametrize(
    ("code", "said"),
    [("BN302", "speaks of eps"), ("BN613", "speaks of how it normalizes"), ("BN602", "speaks of the data")],
)
@pytest.mark.parametrize("severity", ["warning", "info"])
def test_a_cause_that_new_statistics_only_hide_is_told_with_its_remedy(code: str, said: str, severity: str) -> None:
    scaled = hand_repaired.on_scaled_data()
    found = replace(scaled.before.findings[0], code=code, severity=severity, fix="Build these layers with eps=1e-05.")
    text = words(drawn(replace(scaled, before=replace(scaled.before, findings=(found,))), 200))
    assert (f"But {code} {said}" in text) == (severity == "warning")
    assert ("Build these layers with eps=1e-05." in text) == (severity == "warning")


def scored(outcome: Outcome, gain: float, low: float, high: float) -> RepairResult:
    score = Score("Dice", True, 0.8, None, 0.8 + gain, gain, low, high, 120)
    lost = replace(hand_repaired.LABELLED, accuracy_before=None, accuracy_after=None, gain=gain, score=score)
    path = "repaired.ckpt" if outcome == BETTER else None
    return replace(hand_repaired.better(), outcome=outcome, path=path, comparison=lost)


@pytest.mark.parametrize(
    ("outcome", "interval", "said", "unsaid"),
    [
        (
            WORSE,
            (-0.02, -0.05, 0.01),
            "not known to differ: it looks worse, by no more than chance may do",
            "is worse.",
        ),
        (WORSE, (-0.04, -0.07, -0.01), "The repaired model is worse.", "not known"),
        (WORSE, (-0.04, -0.07, 0.025), "The repaired model is worse.", "not known"),  # 3 of 120 may be unseen
        (BETTER, (0.02, -0.001, 0.041), "is likely better (95 %, one-sided).", "is better."),
        (BETTER, (0.02, 0.001, 0.039), "The repaired model is better.", "likely"),
    ],
)
def test_words_of_certainty_go_by_the_interval(
    outcome: Outcome, interval: tuple[float, float, float], said: str, unsaid: str
) -> None:
    text = words(drawn(scored(outcome, *interval), 200))
    assert said in text
    assert unsaid not in text


def test_a_loss_is_told_as_one_and_what_would_tell_more() -> None:
    text = words(drawn(scored(WORSE, -0.02, -0.05, 0.01), 200))
    assert "Dice: 0.8 as shipped, 0.78 repaired (worse by 0.02, 95 % between -0.01 and 0.05)." in text
    assert "More samples would tell whether it is worse" in text
    assert "Data like those" not in text
