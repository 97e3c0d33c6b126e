"""The page of the diagnosis: commands write a part each, and its shares are those of the cases."""

from pathlib import Path

import pytest

from benchmarks.diagnosis.sections import CALIBRATION, MORE, TASKS, put
from benchmarks.diagnosis.tasks import calibration
from benchmarks.diagnosis.tasks.cases import LEAVE, OTHER, RECALIBRATE, Advice, Case, Result
from benchmarks.diagnosis.tasks.page import must, section


def case(**changes):
    """A wrong layer that costs a tenth of the score, found and named."""
    values = {"net": "n", "problem": "p", "given": "labels", "fault": "f", "size": 50, "lost": 0.1, "of_errors": 0.5}
    values |= {"severity": "error", "found": ("BN607",), "right": True, "layers": frozenset({"a"})}
    values |= {"named": frozenset({"a"}), "advice": Advice(OTHER, 0.0, 0.01, False)}
    return Case(**values | changes)


def test_each_command_writes_its_part_and_leaves_the_other(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    put(page, None, "# First\n")
    put(page, CALIBRATION, "## Last\n")
    put(page, TASKS, "## Second\n")
    assert page.read_text() == f"# First\n\n{TASKS}\n\n## Second\n\n{CALIBRATION}\n\n## Last\n"
    put(page, None, "# First again\n")
    put(page, MORE, "## Third\n")
    put(page, TASKS, "## Second again\n")
    parts = ("# First again\n", f"{TASKS}\n\n## Second again\n", f"{MORE}\n\n## Third\n", f"{CALIBRATION}\n\n## Last\n")
    assert page.read_text() == "\n".join(parts)


def test_a_fault_counts_by_its_share_of_the_score_or_of_the_errors() -> None:
    assert must(case(lost=0.02, of_errors=0.0))
    assert must(case(lost=0.01, of_errors=0.2))
    assert not must(case(lost=0.019, of_errors=0.1))
    assert not must(case(lost=0.009, of_errors=1.0))  # less than can matter, however few the errors are


@pytest.mark.parametrize(
    ("advice", "is_wrong"),
    [
        (Advice(RECALIBRATE, 0.1, 0.01, True), False),
        (Advice(RECALIBRATE, 0.0, 0.0, True), False),  # no decision changes, and the loss falls
        (Advice(RECALIBRATE, 0.0, 0.0, False), True),
        (Advice(RECALIBRATE, -0.001, 0.01, True), False),  # within noise, and the loss falls
        (Advice(RECALIBRATE, -0.001, 0.01, False), True),
        (Advice(RECALIBRATE, -0.024, 0.01, True), True),  # the score falls beyond noise, whatever the loss does
        (Advice(LEAVE, 0.005, 0.001, True), False),
        (Advice(LEAVE, 0.02, 0.01, True), False),  # within noise
        (Advice(LEAVE, 0.03, 0.01, True), True),
        (Advice(OTHER, 0.9, 0.01, True), False),
    ],
)
def test_advice_is_wrong_where_recalibrating_shows_it(advice: Advice, is_wrong: bool) -> None:
    assert advice.is_wrong is is_wrong


def test_the_table_and_the_misses_are_those_of_the_trials() -> None:
    cases = (
        case(),
        case(found=(), severity="info", named=frozenset()),
        case(named=frozenset({"a", "b"})),
        case(lost=0.0, of_errors=0.0, found=()),
    )
    healthy = (
        *(Advice(LEAVE, 0.03, 0.01, True), Advice(RECALIBRATE, 0.1, 0.01, True)),
        *(Advice(RECALIBRATE, -0.001, 0.01, True), Advice(RECALIBRATE, -0.1, 0.01, True)),
    )
    told = section([Result("lesion unet", 0.9, 0.0, 4, ("an alarm",), healthy, cases)], "command")
    for row in (
        "| false warnings, healthy | 1 of 4 |",
        "| found, of the faults that count | 2 of 3 (67%) |",
        "| the exact layers, of one or two wrong ones | 1 of 3 (33%) |",
        "| `recalibrate` improves | 2 of 3 (67%) |",
        "| `leave it` would have improved | 1 of 1 (100%) |",
    ):
        assert row in told
    assert "- an alarm" in told
    assert "- f in a: n, n = 50, 10.0% of the score, 50% of the errors: info, named none" in told
    wrong, by_loss = told.partition("### Advice that was wrong")[2].split("### Recalibrated for the loss alone")
    assert "- lesion unet, healthy, inspection 0: advised: leave; recalibrating wins +0.0300" in wrong
    assert "inspection 3: advised: recalibrate; recalibrating wins -0.1000" in wrong
    assert by_loss.count("inspection") == by_loss.count("inspection 2: advised: recalibrate; recalibrating wins") == 1


def test_a_false_alarm_is_a_fall_of_the_loss_that_many_samples_do_not_show() -> None:
    asked = (
        calibration.Asked("a", 50, 2.34, 0.001),
        calibration.Asked("b", 50, 2.34, -0.001),
        calibration.Asked("a", 300, 2.33, -0.001),
    )
    told = calibration.section([calibration.Result("net 0", asked, 4, ("a",), ("BN603 (warning) told",))], "command")
    assert "| 50 | 2 | 2 | 1 | 1 (50.0%) |" in told
    assert "| 300 | 1 | 0 | 0 | 0 (0.0%) |" in told
    assert "| all | 3 | 2 | 1 | 1 (33.3%) |" in told
    assert "in 4 inspections of these samples 1 layers were said" in told
    assert "- net 0: BN603 (warning) told" in told
