"""The first screen of a report: the answer, what deserves a look, and how to get at the rest.

`pytest --update-goldens` writes the golden pages anew: look at what changed before you keep it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from drawn_pages import FIRST, drawn, drawn_in_full, words
from drawn_tables import read_table
from hand_deep import audited_report, deep_report, fine_report
from hand_made import (
    ALL,
    REPAIR,
    accepted_report,
    broken_report,
    full_report,
    healthy_report,
    many_layers,
    measured,
    run,
    static_report,
    unmeasured,
)
from rich.console import Console

from bncheck.render.terminal.report import print_audit
from bncheck.render.words.answer import answer
from bncheck.render.words.judged import SHOWN
from bncheck.results.finding import Finding, Measure
from bncheck.results.notes.note import kind_named
from bncheck.results.notes.of_data import LabelsUnread, SamplesLeftOut, SamplesNotFinite
from bncheck.results.notes.of_measuring import LabelsUnfit, OnlyAsShipped, SomeCompared
from bncheck.results.report import AUDITED, Report
from bncheck.vocabulary import Severity, Sort

GOLDEN = Path(__file__).with_name("golden")
WIDTHS = (80, 120, 200)
PAGES: dict[str, Callable[[], Report]] = {
    **ALL,
    **{f"deep_{number}": (lambda number=number: deep_report(number)) for number in (5, 55, 300)},  # type: ignore[misc]
    "fine_300": lambda: fine_report(300),
    "audited_300": lambda: audited_report(300),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_golden_pages(name: str, width: int, agrees_with_golden: Callable[[Path, str], None]) -> None:
    agrees_with_golden(GOLDEN / f"{name}_{width}.txt", drawn(PAGES[name](), width))


def test_there_is_no_golden_page_too_many() -> None:
    assert {page.name for page in GOLDEN.glob("*.txt")} == {f"{name}_{width}.txt" for name in PAGES for width in WIDTHS}


@pytest.mark.parametrize("name", PAGES)
def test_no_line_is_longer_than_the_terminal_is_wide(name: str) -> None:
    """But for the command, which is copied in one piece."""
    report = PAGES[name]()
    for width in (20, 34, 40, 60, *range(78, 125, 6), 200, 300):
        lines = drawn(report, width).splitlines()
        assert max(len(line) for line in lines if not line.startswith(("To do", "Then check: "))) <= width
        assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("number", [2, 55, 300])
def test_a_clean_run_is_three_lines(number: int) -> None:
    first, verdict, layers = drawn(fine_report(number), 100).splitlines()
    assert first == "checkpoints/run_17/epoch_090.ckpt on data/validation.npz (597 samples with labels)"
    assert verdict == "The stored statistics describe these data."
    gap = f"{0.01 + (number - 1) / 5000:.2f}"
    assert layers == f"{number} layers ok (gap up to {gap}). Accuracy: 99.0% as shipped, 99.0% recalibrated."


@pytest.mark.parametrize("number", [1, 55, 300])
def test_a_healthy_file_without_data_is_one_line(number: int) -> None:
    report = audited_report(number)
    noun = "norm layer" if number == 1 else "norm layers"
    said = f"resnet.safetensors  state dict, {number} {noun}. Nothing wrong in the stored values."
    assert words(drawn(report, 80)).startswith(words(said))
    assert words(drawn(report, 80)).endswith("only data can tell: --arch FILE.py:CALLABLE --data D.")
    page = io.StringIO()
    print_audit(report, Console(file=page, width=40, color_system=None), FIRST)
    assert page.getvalue() == f"{said}\n"


def test_layers_that_could_not_be_read_are_told_of_a_healthy_file_too() -> None:
    report = audited_report(3)
    unread = unmeasured("odd", "skipped", "unsupported")
    assert "3 layers audited; 1 skipped (unsupported)." in drawn(replace(report, layers=(*report.layers, unread)), 80)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", [name for name in PAGES if name not in ("healthy", "fine_300", "audited_300")])
def test_the_answer_comes_first_and_once(name: str, width: int) -> None:
    report = PAGES[name]()
    text = drawn(report, width)
    told = answer(report)
    said = words(text.partition("\n\n")[0])
    for paragraph in filter(None, (told.cause, told.cost, told.action)):
        assert words(paragraph)[:30] in said
        assert words(text).count(words(paragraph)[:30]) == 1
    if (command := report.summary.next) is not None:
        assert said.endswith(words(command)) or f"{words(command)} " in said


@pytest.mark.parametrize("width", [20, 80, 300])
def test_the_command_stands_in_one_piece(width: int) -> None:
    assert f"To do: {REPAIR}" in drawn(full_report(), width).splitlines()
    assert "Then check: bncheck inspect model.pt --data data.npy" in drawn(broken_report(), width).splitlines()
    assert "bncheck" not in drawn(healthy_report(), width)


def test_what_does_not_fit_the_answer_is_cut_and_told_in_full() -> None:
    report = full_report()
    long = replace(report.findings[0], message="The gap " + "is very large and " * 30 + "so it is.")
    report = replace(report, findings=(long,))
    assert drawn(report, 80).splitlines()[4].endswith(" …")
    assert words(drawn_in_full(report, 80)).count(words(long.message)) == 1


def test_layers_that_deserve_a_look_are_shown_and_the_others_counted() -> None:
    rows = read_table(drawn(full_report(), 200), "layer")
    assert [row["verdict"] for row in rows] == ["BN600 BN603", "BN603", "gap", "BN706"]
    assert "1 layer ok (gap 0.09); 1 skipped (no statistics); 1 audited." in drawn(full_report(), 200)


@pytest.mark.parametrize("number", [5, 55, 300])
def test_every_layer_is_shown_or_counted(number: int) -> None:
    report = deep_report(number)
    text = drawn(report, 200)
    rows = read_table(text, "layer")
    (rest,) = re.findall(r"\d+ layers? ok .*?\)\. ", words(text))
    assert len(rows) + sum(map(int, re.findall(r"(?:^|; )(\d+) ", rest))) == number
    assert len(rows) <= SHOWN
    largest = max(layer.gap or 0.0 for layer in report.layers if "BN607" in layer.codes)
    assert f"{largest:.2f}" in [row["gap"] for row in rows]


def test_the_worst_are_shown_in_the_order_of_the_network_and_every_verdict_once_at_least() -> None:
    report = deep_report(300)
    rows = read_table(drawn(report, 200), "layer")
    names = [layer.name for layer in report.layers]
    assert [row["layer"] for row in rows] == sorted((row["layer"] for row in rows), key=names.index)
    assert len(rows) == SHOWN
    assert {row["verdict"] for row in rows} == {"BN607", "inherited"}


def test_more_kinds_of_verdicts_than_rows_are_all_shown() -> None:
    names = [f"layer{at}" for at in range(SHOWN + 3)]
    findings = tuple(
        Finding(f"BN2{at:02}", Severity.WARNING, (name,), f"{name} is odd.", "Mend it.", Measure("finding", None))
        for at, name in enumerate(names)
    )
    report = replace(static_report(), layers=tuple(unmeasured(name, AUDITED) for name in names), findings=findings)
    assert [row["layer"] for row in read_table(drawn(report, 80), "layer")] == names


def test_layers_beyond_the_margin_that_no_finding_names_are_told_as_such() -> None:
    layers = tuple(measured(f"layer{at}", [0.4 + at / 100], [1.0], [0.4 + at / 100]) for at in range(SHOWN + 15))
    assert "15 more layers with a gap up to 0.54." in words(
        drawn(replace(deep_report(5), layers=layers, findings=()), 80)
    )
    few = replace(deep_report(5), layers=layers[: SHOWN + 1], findings=())
    assert "1 more layer with a gap of 0.40." in words(drawn(few, 80))


def test_all_and_sort() -> None:
    report = deep_report(55)
    gaps = {layer.name: -1.0 if layer.gap is None else layer.gap for layer in report.layers}
    names = list(gaps)

    def shown(sort: Sort) -> list[str]:
        return [row["layer"] for row in read_table(drawn(report, 200, replace(FIRST, every=True, sort=sort)), "layer")]

    assert shown(Sort.ORDER) == names
    assert shown(Sort.NAME) == sorted(names)
    assert [gaps[name] for name in shown(Sort.GAP)] == sorted(gaps.values(), reverse=True)
    assert "layers ok" not in drawn(report, 200, replace(FIRST, every=True))


def test_a_gap_that_is_no_number_is_the_largest() -> None:
    rows = read_table(drawn(broken_report(), 200, replace(FIRST, every=True, sort=Sort.GAP)), "layer")
    assert [row["layer"] for row in rows] == ["broken", "fine"]


def test_all_layers_of_a_clean_run_are_shown_where_they_are_asked_for() -> None:
    text = drawn(fine_report(20), 100, replace(FIRST, every=True))
    assert len(read_table(text, "layer")) == 20
    assert "Accuracy: 99.0% as shipped" in text
    assert len(read_table(drawn(audited_report(20), 100, replace(FIRST, every=True)), "layer")) == 20


def test_a_remark_in_passing_hides_no_layer_with_a_gap_and_accepts_nothing() -> None:
    layers = (measured("a", [0.7], [1.0]), measured("b", [0.1], [1.0]))
    remark = Finding("BN301", Severity.INFO, ("a", "b"), "Momentum 0 in a, b.", "fix", measure=Measure("layer", 2))
    text = drawn(replace(healthy_report(), layers=layers, findings=(remark,)), 100)
    assert [row["layer"] for row in read_table(text, "layer")] == ["a"]
    assert "accepted" not in text


def test_accepted_findings_deserve_no_look() -> None:
    text = drawn(accepted_report(), 200)
    assert [row["verdict"] for row in read_table(text, "layer")] == ["BN600", "gap", "BN706"]
    assert "2 layers BN603 accepted (gap up to 865); 1 skipped" in text


def test_other_findings_are_told_briefly_the_first_of_each_rule() -> None:
    text = words(drawn(full_report(), 100))
    assert "BN600 error backbone.features.denseblock3.denselayer24.norm2: the gap is 865, above" in text
    assert "BN706 info auxiliary_classifier.branch3x3dbl.bn was never run." in text
    assert "raise --max-gap" not in text
    limits = [replace(full_report().findings[0], layers=(f"l{at}",), message=f"l{at} is far.") for at in range(3)]
    report = replace(full_report(), findings=(full_report().findings[1], *limits))
    assert "BN600 error l0 is far (and 2 more)." in words(drawn(report, 100))


def test_notes_that_change_what_the_verdict_means_stay() -> None:
    qualifying = (SamplesNotFinite(2, (3, 7)), SamplesLeftOut(5, 8), LabelsUnread("boxes"), LabelsUnfit())
    others = (SomeCompared(256, 597),)
    for report in (healthy_report(), full_report()):
        told = replace(report, run=replace(run(), noted=(*qualifying, *others)))
        text = words(drawn(told, 100))
        assert "Note: 2 samples left out (numbers 3, 7): NaN or infinity in the data." in text
        assert "Note: 5 samples left out: the program takes batches of exactly 8." in text
        assert "Note: The labels were not used: they are boxes" in text
        assert "Note: no accuracy: the labels are no class numbers" in text
        assert "256" not in text
        full = words(drawn_in_full(told, 100))
        assert "256 of the 597 samples" in full
        assert "label chooses another part of a batch" in full


def test_an_exit_code_that_surprises_stays() -> None:
    report = full_report()
    report = replace(report, summary=replace(report.summary, exit_code=0))
    assert "The exit code is 0 all the same: --fail-on warning." in drawn(report, 100)


def test_notes_of_unknown_kinds_qualify_and_known_ones_say_whether_they_do() -> None:
    assert OnlyAsShipped.qualifies
    assert not SomeCompared.qualifies
    assert kind_named("other-note").qualifies  # type: ignore[union-attr]


def test_the_page_names_the_options_that_show_more_to_those_who_can_type_them() -> None:
    last = drawn(full_report(), 100).splitlines()[-1]
    assert last == "More: -v (all that was found and noted), --all (every layer), bncheck rule BN600 (also BN603)"
    assert drawn(full_report(), 100, replace(FIRST, typed=False)).splitlines()[-1] == (
        "More: bncheck rule BN600 (also BN603)"
    )
    assert "--all" not in drawn(full_report(), 100, replace(FIRST, every=True))
    assert "More" not in drawn(fine_report(5), 100)


def test_no_batch_sizes_and_no_legend_on_the_first_screen() -> None:
    text = drawn(full_report(), 200)
    assert "batch size" not in text
    assert "root mean square" not in text
    assert "by the batch" not in text


@pytest.mark.parametrize("make", [many_layers, lambda: deep_report(300)])
def test_the_first_screen_of_a_deep_network_fits_a_screen(make: Callable[[], Report]) -> None:
    assert len(drawn(make(), 80).splitlines()) <= 30


def test_names_cannot_command_the_terminal() -> None:
    report = static_report()
    finding = replace(report.findings[0], message="stem\x1b[2J.bn is broken", fix="\x1b]0;title\x07")
    layer = replace(report.layers[1], name="stem\x1b[2J\n.bn")
    finding = replace(finding, layers=(layer.name,))
    other = replace(finding, code="BN205", message="::error::\x1b[31m is no command.")
    model = replace(report.model, path="\x1b[8mmodel.pt")
    text = drawn(replace(report, layers=(layer,), findings=(finding, other), model=model), 100)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    assert [row["layer"] for row in read_table(text, "layer")] == ["stem�[2J�.bn"]


def test_a_model_that_is_one_layer_has_a_name_in_the_table() -> None:
    report = replace(full_report(), layers=(measured("", [0.9], [1.0]),), findings=())
    assert read_table(drawn(report, 120), "layer")[0]["layer"] == "(the model)"
