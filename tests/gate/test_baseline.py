"""Baselines: what is known passes until it gets worse, and the file only ever shrinks in passing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hand_made import INF, NAN, UNTOLD, full_report, healthy_report, measured, run, static_report, summary, unmeasured
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.errors import UnreadableError, UsageError
from bncheck.gate.acceptance import accept, gone_from, shrunk, unaccepted
from bncheck.gate.baseline import Baseline, Entry, accepted_now
from bncheck.gate.baseline_file import baseline_text, read_baseline
from bncheck.results.finding import Finding, Measure
from bncheck.results.report import ERROR, FINDINGS, INCONCLUSIVE, INFO, SKIPPED, WARNING, LayerReport, Report
from bncheck.vocabulary import Severity, Worse

REPEATABLE = settings(derandomize=True, deadline=None)
entries = st.builds(
    Entry,
    code=st.sampled_from(["BN102", "BN600", "BN603"]),
    layer=st.none() | st.text(max_size=6),
    severity=st.sampled_from([ERROR, WARNING]),
    value=st.floats(0, 1e6),
    tolerance=st.floats(0, 10),
    unit=st.sampled_from(["gap", "channel", "accuracy"]),
    worse=st.sampled_from(Worse),
)


def drifting(*gaps: float, severity: Severity = WARNING, noise: float = 0.0123, **more: object) -> Report:
    """A report whose one finding is about layers `0`, `1`, ... of these gaps."""
    layers = tuple(measured(str(at), [gap], [1.0]) for at, gap in enumerate(gaps))
    measure = Measure("gap", max(gaps), {layer.name: gap for layer, gap in zip(layers, gaps, strict=True)}, noise=noise)
    return found("BN603", measure, severity, tuple(layer.name for layer in layers), layers=layers, **more)


def found(
    code: str, measure: Measure, severity: Severity = ERROR, names: tuple[str, ...] = ("0",), **more: object
) -> Report:
    """A report of one finding."""
    report = replace(healthy_report(), findings=(Finding(code, severity, names, "m", "f", measure=measure),), **more)
    return replace(report, summary=summary(report.layers, FINDINGS, 1, 0.01))


def gap_entry(code: str, layer: str | None, value: float, tolerance: float, severity: Severity = WARNING) -> Entry:
    return Entry(code, layer, severity, value, tolerance, "gap")


def of(report: Report) -> Baseline:
    return Baseline("b.json", accepted_now(report))


def accepts(baseline: Baseline, report: Report) -> bool:
    judged = accept(report, baseline=baseline)
    assert judged.summary.verdict == FINDINGS
    assert len(judged.findings) == len(report.findings)
    assert [finding.severity for finding in judged.findings] == [finding.severity for finding in report.findings]
    assert (judged.summary.exit_code == 0) == all(
        finding.accepted or finding.severity == "info" for finding in judged.findings
    )
    return judged.summary.exit_code == 0


@pytest.mark.parametrize(
    ("now", "accepted"), [(0.8, True), (0.2, True), (0.88, True), (0.8801, False), (5.0, False), (NAN, False)]
)
def test_no_worse_is_within_the_tolerance(now: float, accepted: bool) -> None:
    assert accepts(of(drifting(0.8)), drifting(now)) is accepted


@pytest.mark.parametrize(
    ("gap", "noise", "tolerance"),
    [(0.8, 0.0123, 0.08), (0.2, 0.0123, 0.037), (0.05, 0.001, 0.01), (0.05, NAN, 0.01), (0.05, 0.0, 0.005)],
)
def test_the_tolerance_is_a_tenth_or_three_times_the_noise(gap: float, noise: float, tolerance: float) -> None:
    (entry,) = accepted_now(drifting(gap, noise=noise))
    assert entry == gap_entry("BN603", "0", gap, tolerance)


def test_a_graver_severity_is_worse_whatever_the_value() -> None:
    assert not accepts(of(drifting(0.8)), drifting(0.3, severity=ERROR))
    assert accepts(of(drifting(0.8, severity=ERROR)), drifting(0.8))
    notes = accept(drifting(0.3, severity=ERROR), baseline=of(drifting(0.8))).run.notes
    assert notes == ("Worse than in the baseline: BN603 in 0 was warning there, error now",)


def test_what_got_worse_says_by_how_much() -> None:
    notes = accept(drifting(0.93), baseline=of(drifting(0.76))).run.notes
    assert notes == ("Worse than in the baseline: BN603 in 0 was 0.76 (+ 0.076) there, 0.93 now",)
    lost = accept(drifting(NAN), baseline=of(drifting(0.76))).run.notes
    assert lost == ("Worse than in the baseline: BN603 in 0 was 0.76 there, and cannot be told now",)


def test_a_finding_of_several_layers_passes_only_whole() -> None:
    known = of(drifting(0.5, 0.6))
    assert [entry.key for entry in known.entries] == [("BN603", "0"), ("BN603", "1")]
    assert accepts(known, drifting(0.5, 0.6))
    assert not accepts(known, drifting(0.5, 0.6, 0.4))
    assert not accepts(known, drifting(0.5, 0.9))
    notes = accept(drifting(0.5, 0.6, 0.4), baseline=known).run.notes
    assert notes == ("Not in the baseline: BN603 in 2",)


def test_another_rule_or_layer_is_new() -> None:
    assert not accepts(Baseline("b", (gap_entry("BN102", "0", 0.8, 0.1),)), drifting(0.8))
    assert not accepts(Baseline("b", (gap_entry("BN603", "1", 0.8, 0.1),)), drifting(0.8))
    assert not accepts(Baseline("b", ()), drifting(0.8))


def test_a_finding_of_the_whole_model_has_its_own_value() -> None:
    report = found("BN403", Measure("output change", 0.4), names=())
    assert accepted_now(report) == (Entry("BN403", None, ERROR, 0.4, 0.04, "output change"),)
    assert accepts(of(report), found("BN403", Measure("output change", 0.43), names=()))
    assert not accepts(of(report), found("BN403", Measure("output change", 0.45), names=()))


def test_layers_without_a_value_of_their_own_have_the_findings() -> None:
    report = found("BN603", Measure("gap", 0.4, {"0": 0.2, "1": INF}), WARNING, ("0", "1", "2"))
    assert [entry.value for entry in accepted_now(report)] == [0.2, None, 0.4]


@pytest.mark.parametrize(
    ("before", "now", "accepted"),
    [
        (Measure("channel", 1), Measure("channel", 1), True),
        (Measure("channel", 1), Measure("channel", 64), False),
        (Measure("channel", 63), Measure("channel", 64), False),  # a tenth is 6
        (Measure("channel", 64), Measure("channel", 1), True),
        (Measure("channel", 123_456), Measure("channel", 123_456), True),  # not rounded to four digits
        (Measure("channel", 123_456), Measure("channel", 123_457), False),
        (Measure("channel", 20, noise=2), Measure("channel", 26, noise=2), True),
        (Measure("channel", 20, noise=2), Measure("channel", 27, noise=2), False),
        (Measure("accuracy", 0.7, worse=Worse.LOWER), Measure("accuracy", 0.1, worse=Worse.LOWER), False),
        (Measure("accuracy", 0.7, worse=Worse.LOWER), Measure("accuracy", 0.64, worse=Worse.LOWER), True),
        (Measure("accuracy", 0.7, worse=Worse.LOWER), Measure("accuracy", 1.0, worse=Worse.LOWER), True),
        (Measure("lowest variance", -0.5, worse=Worse.LOWER), Measure("lowest variance", -5, worse=Worse.LOWER), False),
        (Measure("lowest variance", -0.5, worse=Worse.LOWER), Measure("lowest variance", 0, worse=Worse.LOWER), True),
        # What cannot be compared admits nothing:
        (Measure("channel", 1), Measure("gap", 1), False),
        (Measure("accuracy", 0.7), Measure("accuracy", 0.7, worse=Worse.LOWER), False),
        (Measure("channel", 1), Measure("channel", None), False),
        (Measure("channel", 1), Measure("channel", NAN), False),
    ],
)
def test_a_value_is_compared_in_its_own_unit_and_direction(before: Measure, now: Measure, accepted: bool) -> None:
    assert accepts(of(found("BN202", before)), found("BN202", now)) is accepted
    assert accepts(of(found("BN202", before, WARNING)), found("BN202", now, WARNING)) is accepted


@pytest.mark.parametrize("value", [None, NAN, INF])
def test_what_cannot_be_told_admits_no_error(value: float | None) -> None:
    untold = found("BN202", Measure("channel", value))
    assert accepted_now(untold) == ()
    assert not accepts(Baseline("b", (Entry("BN202", "0", ERROR, None, 0.0, "channel"),)), untold)
    assert not accepts(
        Baseline("b", (Entry("BN202", "0", ERROR, None, 0.0, "channel"),)), found("BN202", Measure("channel", 1))
    )
    warned = found("BN202", Measure("channel", value), WARNING)
    assert accepts(of(warned), warned)
    notes = accept(untold, baseline=Baseline("b", (), is_new=True)).run.notes
    assert notes[0].startswith("No baseline can hold BN202 in 0: how bad it is cannot be told")


def test_of_several_findings_of_a_rule_in_a_layer_the_worst_is_known() -> None:
    one, two = found("BN202", Measure("channel", 7)), found("BN202", Measure("channel", 3))
    both = replace(one, findings=(*one.findings, *two.findings))
    assert accepted_now(both) == (Entry("BN202", "0", ERROR, 7, 0.0, "channel"),)
    assert accepts(of(both), both)
    less = (
        found("BN102", Measure("accuracy", 0.4, worse=Worse.LOWER)),
        found("BN102", Measure("accuracy", 0.9, worse=Worse.LOWER)),
    )
    (entry,) = accepted_now(replace(less[0], findings=(*less[1].findings, *less[0].findings)))
    assert entry.value == 0.4


def test_what_got_worse_is_told_in_its_unit() -> None:
    def told(before: Measure, now: Measure) -> str:
        return accept(found("BN202", now), baseline=of(found("BN202", before))).run.notes[0].partition("BN202 in 0 ")[2]

    assert told(Measure("channel", 1), Measure("channel", 64)) == "was 1 channel there, 64 channels now"
    lower = [Measure("accuracy", value, worse=Worse.LOWER) for value in (0.7, 0.1)]
    assert told(*lower) == "was 0.7 (accuracy) (- 0.07) there, 0.1 (accuracy) now"
    assert told(Measure("channel", 1), Measure("gap", 2)) == (
        "was 1 channel there, and is 2 now, which is another quantity"
    )
    assert told(Measure("channel", 2), Measure("channel", None)) == "was 2 channels there, and cannot be told now"


def test_info_is_no_matter_for_a_baseline() -> None:
    report = drifting(0.8, severity=INFO)
    assert accepted_now(report) == ()
    assert accept(report, baseline=Baseline("b", ())).findings[0].accepted is None


def test_the_report_says_what_was_accepted_and_why() -> None:
    judged = accept(drifting(0.74), baseline=Baseline("b", (gap_entry("BN603", "0", 0.76, 0.08),)))
    assert judged.findings[0].accepted == "in the baseline at 0.76, now 0.74"
    assert judged.run.notes == ("Accepted BN603 in 0: in the baseline at 0.76, now 0.74",)
    assert judged.to_dict()["findings"][0]["accepted"] == "in the baseline at 0.76, now 0.74"
    many = accept(drifting(0.5, 0.6), baseline=of(drifting(0.5, 0.6)))
    assert many.run.notes == ("Accepted BN603 in 2 layers: in the baseline, and none of them worse",)


def test_a_report_read_back_says_once_what_it_accepted() -> None:
    judged = accept(drifting(0.5, 0.6), baseline=of(drifting(0.5, 0.6, 0.7)))
    assert len(judged.run.notes) == 2  # one is no longer found
    assert accept(judged).run.notes == tuple(sorted(judged.run.notes, reverse=True))
    assert accept(replace(judged, findings=())).run.notes == judged.run.notes[1:]


def test_what_was_accepted_can_be_judged_by_another_baseline() -> None:
    report = drifting(0.8)
    again = unaccepted(accept(report, baseline=of(report)))
    assert (again.findings, again.run.notes) == (report.findings, report.run.notes)


def test_too_little_checked_stays_so() -> None:
    report = drifting(0.8)
    doubtful = replace(report, summary=replace(report.summary, smallest_detectable_gap=INF))
    assert accept(doubtful, baseline=of(report)).summary.exit_code == 4


def layer(name: str) -> LayerReport:
    return measured(name, [0.1], [1.0])


@pytest.mark.parametrize(
    ("entry", "report", "gone"),
    [
        (gap_entry("BN603", "0.bn", 0.8, 0.1), healthy_report(), True),
        (gap_entry("BN603", "removed.bn", 0.8, 0.1), healthy_report(), True),
        (Entry("BN102", "0.bn", ERROR), healthy_report(), True),
        (gap_entry("BN603", None, 0.8, 0.1), healthy_report(), True),
        # What this run could not have found:
        (gap_entry("BN603", "stem.bn", 0.8, 0.1), static_report(), False),
        (Entry("BN202", "stem.bn", ERROR), static_report(), True),
        (Entry("BN403", "0.bn", ERROR), healthy_report(), False),
        (Entry("BN999", "0.bn", ERROR), healthy_report(), False),
        (
            gap_entry("BN603", "0.bn", 0.8, 0.1),
            replace(healthy_report(), run=run(options={"select": ["BN1"]})),
            False,
        ),
        (
            gap_entry("BN603", "0.bn", 0.8, 0.1),
            replace(healthy_report(), layers=(unmeasured("0.bn", SKIPPED, "not-exercised"),)),
            False,
        ),
        (
            gap_entry("BN603", "0.bn", 0.8, 0.1),
            replace(healthy_report(), findings=(Finding("BN102", ERROR, ("1.bn",), "m", "f", measure=UNTOLD),)),
            False,
        ),
        (
            gap_entry("BN603", "0.bn", 0.8, 0.1),
            replace(healthy_report(), summary=summary((), INCONCLUSIVE, 4)),
            False,
        ),
    ],
)
def test_gone_is_what_was_looked_for_and_not_found(entry: Entry, report: Report, gone: bool) -> None:
    baseline = Baseline("b.json", (entry,))
    assert (gone_from(report, baseline) == (entry,)) is gone
    assert shrunk(report, baseline) == (() if gone else (entry,))
    notes = " ".join(accept(report, baseline=baseline).run.notes)
    assert ("No longer found, though in the baseline: " in notes) is gone
    assert ("Add --write-baseline b.json to take it out" in notes) is gone


def test_a_baseline_only_shrinks_in_passing() -> None:
    known = of(drifting(0.5, 0.6))
    assert shrunk(drifting(0.5, 0.6, 0.7), known) == known.entries
    assert shrunk(drifting(0.5, 0.9), known) == known.entries
    assert shrunk(drifting(0.46, 0.64), known) == known.entries
    first, second = shrunk(drifting(0.3, 0.6), known)
    assert (first.value, second) == (0.3, known.entries[1])


@REPEATABLE
@given(st.lists(entries, max_size=5))
def test_a_file_is_read_back_as_it_was_written(of_entries: list[Entry]) -> None:
    document = json.loads(baseline_text(of_entries))
    assert document["bncheck_baseline"] == 2
    assert len(document["findings"]) == len(of_entries)
    assert baseline_text(of_entries[::-1]) == baseline_text(of_entries) or len({e.key for e in of_entries}) < len(
        of_entries
    )


def test_a_file_has_one_line_for_each_entry(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    report = full_report()
    path.write_text(baseline_text(reversed(accepted_now(report))))
    assert path.read_text() == (
        "{\n"
        '  "bncheck_baseline": 2,\n'
        '  "findings": [\n'
        '    {"code": "BN600", "layer": "backbone.features.denseblock3.denselayer24.norm2", "severity": "error", '
        '"value": 865.4, "unit": "gap", "tolerance": 87.0},\n'
        '    {"code": "BN603", "layer": "backbone.features.denseblock3.denselayer24.norm2", "severity": "warning", '
        '"value": 865.5, "unit": "gap", "tolerance": 87.0},\n'
        '    {"code": "BN603", "layer": "backbone.transition.norm", "severity": "warning", "value": 0.7371, '
        '"unit": "gap", "tolerance": 0.074}\n'
        "  ]\n"
        "}\n"
    )
    assert set(read_baseline(path).entries) == set(accepted_now(report))
    path.write_text(baseline_text(()))
    assert read_baseline(path).entries == ()


WITH = '{"bncheck_baseline": 2, "findings": [%s]}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"b\.json is no baseline of bncheck: Expecting value"),
        ("[]", r"b\.json is no baseline of bncheck: it lacks \{\"bncheck_baseline\": 2\}\."),
        ('{"schema_version": 1}', r"b\.json is no baseline of bncheck: it lacks"),
        (
            '{"bncheck_baseline": 3, "findings": []}',
            r'it has \{"bncheck_baseline": 3\}, and this bncheck reads 1 and 2',
        ),
        ('{"bncheck_baseline": true, "findings": []}', r'it has \{"bncheck_baseline": true\}, and'),
        ('{"bncheck_baseline": 1}', r"b\.json is no whole baseline: findings is missing\."),
        (WITH % "7", r"b\.json is no baseline of bncheck: findings\[0\] should be an object and is 7\."),
        (WITH % '{"code": "BN1", "layer": 3, "severity": "error"}', r"findings\[0\]\.layer should be text and is 3\."),
        (
            WITH % '{"code": "BN1", "severity": "bad"}',
            r"findings\[0\]\.severity should be one of error, warning, info and",
        ),
        (
            WITH % '{"code": "BN1", "severity": "error", "value": "x"}',
            r'findings\[0\]\.value should be a number and is "x"',
        ),
        (
            WITH % '{"code": "BN1", "severity": "error", "tolerance": null}',
            r"findings\[0\]\.tolerance should be a number",
        ),
        (
            WITH % '{"code": "BN1", "severity": "error", "worse": "both"}',
            r"\.worse should be one of higher, lower and is",
        ),
        (
            WITH % '{"code": "BN1", "severity": "error", "tolerence": 1}',
            r"findings\[0\]\.tolerence is no key that it can have",
        ),
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(content)
    with pytest.raises(UnreadableError, match=message):
        read_baseline(path)


def test_a_missing_baseline_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^baseline .*b\.json: there is no such file\. The first time, add write"):
        read_baseline(tmp_path / "b.json")


def test_what_is_accepted_again_is_told_once() -> None:
    report = drifting(0.8)
    once = accept(report, baseline=of(report))
    assert sum("Accepted BN603" in note for note in once.run.notes) == 1
    assert accept(once).run.notes == once.run.notes
