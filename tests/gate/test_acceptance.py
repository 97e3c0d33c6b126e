"""What is accepted, by what, and what of a baseline is kept: each decision at its limit."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hand_made import healthy_report, summary

from bncheck.gate.acceptance import accept, shrunk
from bncheck.gate.baseline import Baseline, Entry, accepted_now, current_entries
from bncheck.gate.baseline_file import baseline_text
from bncheck.results import NAMED, Accepted, AcceptedMore, UnusedIgnore
from bncheck.results.finding import Finding, Measure
from bncheck.results.report import ERROR, FINDINGS, INFO, WARNING, Report
from bncheck.settings import LayerIgnore
from bncheck.vocabulary import Severity, Worse


def found(measure: Measure, severity: Severity = ERROR, names: tuple[str, ...] = ("0",)) -> Report:
    report = replace(healthy_report(), findings=(Finding("BN202", severity, names, "m", "f", measure=measure),))
    return replace(report, summary=summary(report.layers, FINDINGS, 1, 0.01))


def reason(report: Report, *ignores: LayerIgnore, baseline: Baseline | None = None) -> str | None:
    return accept(report, ignores, baseline).findings[0].accepted


def count(value: float, tolerance: float = 6.0) -> Entry:
    return Entry("BN202", "0", ERROR, value, tolerance, "channel")


@pytest.mark.parametrize(("value", "kept"), [(26, 20), (14, 20), (13, 13)])
def test_what_got_better_by_no_more_than_the_tolerance_is_kept_as_it_was(value: float, kept: float) -> None:
    (entry,) = shrunk(found(Measure("channel", value, noise=2)), Baseline("b", (count(20),)))
    assert entry.value == kept


def test_an_entry_of_version_1_gets_what_is_measured_now_if_that_can_be_held() -> None:
    old = Entry("BN202", "0", ERROR, 0.4, 0.04)
    assert shrunk(found(Measure("channel", 5)), Baseline("b", (old,))) == (count(5, 0.0),)
    assert shrunk(found(Measure("channel", None)), Baseline("b", (old,))) == (old,)


def test_an_ignored_layer_says_why_and_where_if_a_file_said_it() -> None:
    report = found(Measure("channel", 5))
    assert reason(report, LayerIgnore("0", ("BN2",), "Dead on purpose")) == "ignored, Dead on purpose"
    by_file = LayerIgnore("0", ("BN2",), "Dead on purpose", "bncheck.toml")
    assert reason(report, by_file) == "ignored, Dead on purpose (bncheck.toml)"
    # All layers of a finding, each reason once.
    both = found(Measure("channel", 5), names=("0", "1"))
    assert reason(both, by_file) is None
    assert reason(both, by_file, replace(by_file, layer="1")) == "ignored, Dead on purpose (bncheck.toml)"
    assert reason(found(Measure("channel", 5), names=()), by_file) is None


def test_what_is_ignored_is_not_looked_up_in_the_baseline() -> None:
    report = found(Measure("channel", 5))
    ignore = LayerIgnore("0", ("BN202",), "Dead on purpose")
    known = Baseline("b", accepted_now(report))
    assert reason(report, ignore, baseline=known) == "ignored, Dead on purpose"
    worse = accept(found(Measure("channel", 9)), (ignore,), known)
    assert worse.run.notes == ("Accepted BN202 in 0: ignored, Dead on purpose",)


def test_the_baseline_is_named_as_what_it_is() -> None:
    report = found(Measure("channel", 5))
    entries = accepted_now(report)
    assert reason(report, baseline=Baseline("b", entries)) == "in the baseline at 5 channels, now 5 channels"
    assert reason(report, baseline=Baseline("b", entries, is_new=True)) == "new in the baseline"


def test_what_was_0_and_is_not_got_worse() -> None:
    none = Baseline("b", (count(0, 0.0),))
    assert reason(found(Measure("channel", 0)), baseline=none) == "in the baseline at 0 channels, now 0 channels"
    assert reason(found(Measure("channel", 1)), baseline=none) is None


def test_only_what_is_new_beside_something_known_is_told() -> None:
    report = found(Measure("channel", 5), names=("0", "1"))
    assert accept(report, baseline=Baseline("b", ())).run.notes == ()
    notes = accept(report, baseline=Baseline("b", (count(5),))).run.notes
    assert notes == ("Not in the baseline: BN202 in 1",)


@pytest.mark.parametrize(("severity", "notes"), [(WARNING, 1), (INFO, 0)])
def test_entries_of_version_1_are_told_of_what_counts(severity: Severity, notes: int) -> None:
    old = Baseline("b", (Entry("BN202", "0", severity, 0.4, 0.04),))
    judged = accept(found(Measure("channel", 5), severity), baseline=old)
    assert sum("earlier version" in note for note in judged.run.notes) == notes


@pytest.mark.parametrize("more", [0, 1, 2])
def test_reasons_are_told_up_to_a_number_and_counted_beyond(more: int) -> None:
    names = tuple(str(number) for number in range(NAMED + more))
    report = found(Measure("channel", 5))
    findings = tuple(replace(report.findings[0], layers=(name,)) for name in names)
    ignores = [LayerIgnore(name, ("BN202",), f"reason {name}") for name in names]
    noted = accept(replace(report, findings=findings), ignores).run.noted
    assert noted[:NAMED] == tuple(Accepted("BN202", (name,), f"ignored, reason {name}") for name in names[:NAMED])
    assert noted[NAMED:] == ((AcceptedMore("BN202", more),) if more else ())


@pytest.mark.parametrize(
    ("pattern", "named", "nearest"), [("0.b?", True, None), ("0.bm", False, "0.bn"), ("elsewhere", False, None)]
)
def test_an_ignore_that_ignores_nothing_is_told_with_the_nearest_layer(
    pattern: str, named: bool, nearest: str | None
) -> None:
    report = healthy_report()
    assert {"0.bn", "1.bn"} <= {layer.name for layer in report.layers}
    ignore = LayerIgnore(pattern, ("BN202",), "why")
    assert accept(report, (ignore,)).run.noted == (UnusedIgnore(("BN202",), pattern, "why", "", named, nearest),)


def test_of_findings_in_a_layer_the_graver_then_the_untold_then_the_worse_is_known() -> None:
    def known(*pairs: tuple[float | None, Severity]) -> Entry:
        findings = [found(Measure("channel", value), severity).findings[0] for value, severity in pairs]
        (one,) = current_entries(findings).values()
        (other,) = current_entries(findings[::-1]).values()
        assert one == other
        return one

    assert (known((9, WARNING), (1, ERROR)).severity, known((9, WARNING), (1, ERROR)).value) == (ERROR, 1)
    assert known((9, WARNING), (None, WARNING)) == Entry("BN202", "0", WARNING, None, 0.0, "channel")
    assert known((9, WARNING), (1, WARNING)).value == 9


def test_of_equal_findings_the_first_is_known() -> None:
    findings = [found(Measure("channel", 5, noise=noise)).findings[0] for noise in (2, 1)]
    assert [entry.tolerance for entry in current_entries(findings).values()] == [6.0]


def test_entries_hold_as_many_digits_as_matter() -> None:
    (measured,) = accepted_now(found(Measure("output change", 0.123456)))
    assert (measured.value, measured.tolerance) == (0.1235, 0.012)
    (counted,) = accepted_now(found(Measure("channel", 20, noise=2.345)))
    assert (counted.value, counted.tolerance) == (20, 7.0)


def test_a_file_is_sorted_by_rule_and_then_by_layer_the_whole_model_first() -> None:
    keys = [("BN603", "b"), ("BN202", "z"), ("BN603", None), ("BN603", ""), ("BN603", "a")]
    document = json.loads(baseline_text(Entry(code, layer, ERROR) for code, layer in keys))
    found_keys = [(entry["code"], entry["layer"]) for entry in document["findings"]]
    assert found_keys == [("BN202", "z"), ("BN603", None), ("BN603", ""), ("BN603", "a"), ("BN603", "b")]


def test_a_line_says_what_is_not_usual_and_no_more() -> None:
    assert '"findings": []' in baseline_text(())
    lower = Entry("BN102", None, ERROR, 0.7, 0.07, "accuracy", Worse.LOWER)
    for entry, keys in [
        (lower, ["code", "layer", "severity", "value", "unit", "tolerance", "worse"]),
        (Entry("BN202", "0", ERROR), ["code", "layer", "severity"]),
    ]:
        (line,) = json.loads(baseline_text([entry]))["findings"]
        assert list(line) == keys
        assert line.get("worse", "higher") == entry.worse
