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
from bncheck.gate.baseline import Baseline, Entry, accepted_now, baseline_text, read_baseline
from bncheck.results.finding import Finding
from bncheck.results.report import FINDINGS, INCONCLUSIVE, SKIPPED, LayerReport, Report

REPEATABLE = settings(derandomize=True, deadline=None)
entries = st.builds(
    Entry,
    code=st.sampled_from(["BN102", "BN600", "BN603"]),
    layer=st.none() | st.text(max_size=6),
    severity=st.sampled_from(["error", "warning"]),
    value=st.floats(0, 1e6),
    tolerance=st.floats(0, 10),
)


def drifting(*gaps: float, severity: str = "warning", **more: object) -> Report:
    """A report whose one finding is about layers `0`, `1`, ... of these gaps."""
    layers = tuple(measured(str(at), [gap], [1.0]) for at, gap in enumerate(gaps))
    names = [layer.name for layer in layers]
    finding = Finding("BN603", severity, tuple(names), "m", "f", measure=UNTOLD, evidence={"layers": names})
    return replace(
        healthy_report(),
        findings=(finding,),
        layers=layers,
        summary=summary(layers, FINDINGS, 1, 0.01),
        **more,
    )


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
    ("gap", "noise", "tolerance"), [(0.8, 0.0123, 0.08), (0.2, 0.0123, 0.037), (0.05, 0.001, 0.01), (0.05, NAN, 0.01)]
)
def test_the_tolerance_is_a_tenth_or_three_times_the_noise(gap: float, noise: float, tolerance: float) -> None:
    report = drifting(gap)
    (entry,) = accepted_now(replace(report, layers=(replace(report.layers[0], noise=noise),)))
    assert entry == Entry("BN603", "0", "warning", gap, tolerance)


def test_a_graver_severity_is_worse_whatever_the_value() -> None:
    assert not accepts(of(drifting(0.8)), drifting(0.3, severity="error"))
    assert accepts(of(drifting(0.8, severity="error")), drifting(0.8))
    notes = accept(drifting(0.3, severity="error"), baseline=of(drifting(0.8))).run.notes
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
    assert not accepts(Baseline("b", (Entry("BN102", "0", "warning", 0.8, 0.1),)), drifting(0.8))
    assert not accepts(Baseline("b", (Entry("BN603", "1", "warning", 0.8, 0.1),)), drifting(0.8))
    assert not accepts(Baseline("b", ()), drifting(0.8))


def test_where_nothing_was_measured_to_be_there_is_enough() -> None:
    report = static_report()
    (entry,) = accepted_now(report)
    assert entry == Entry("BN202", "blocks.0.body.bn", "error")
    assert accepts(of(report), report)


def test_a_finding_of_the_whole_model_has_its_own_value() -> None:
    finding = Finding("BN403", "error", (), "m", "f", measure=UNTOLD, evidence={"output_change": 0.4})
    report = replace(drifting(0.8), findings=(finding,))
    assert accepted_now(report) == (Entry("BN403", None, "error", 0.4, 0.04),)
    apart = {"layers": ["0", "1"], "gaps": [0.2, "inf"]}
    several = replace(drifting(0.8, 0.9), findings=(replace(finding, evidence=apart),))
    assert [entry.value for entry in accepted_now(several)] == [0.2, None]


def test_info_is_no_matter_for_a_baseline() -> None:
    report = drifting(0.8, severity="info")
    assert accepted_now(report) == ()
    assert accept(report, baseline=Baseline("b", ())).findings[0].accepted is None


def test_the_report_says_what_was_accepted_and_why() -> None:
    judged = accept(drifting(0.74), baseline=Baseline("b", (Entry("BN603", "0", "warning", 0.76, 0.08),)))
    assert judged.findings[0].accepted == "in the baseline at 0.76, now 0.74"
    assert judged.run.notes == ("Accepted BN603 in 0: in the baseline at 0.76, now 0.74",)
    assert judged.to_dict()["findings"][0]["evidence"]["accepted"] == "in the baseline at 0.76, now 0.74"
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
        (Entry("BN603", "0.bn", "warning", 0.8, 0.1), healthy_report(), True),
        (Entry("BN603", "removed.bn", "warning", 0.8, 0.1), healthy_report(), True),
        (Entry("BN102", "0.bn", "error"), healthy_report(), True),
        (Entry("BN603", None, "warning", 0.8, 0.1), healthy_report(), True),
        # What this run could not have found:
        (Entry("BN603", "stem.bn", "warning", 0.8, 0.1), static_report(), False),
        (Entry("BN202", "stem.bn", "error"), static_report(), True),
        (Entry("BN403", "0.bn", "error"), healthy_report(), False),
        (Entry("BN999", "0.bn", "error"), healthy_report(), False),
        (
            Entry("BN603", "0.bn", "warning", 0.8, 0.1),
            replace(healthy_report(), run=run(options={"select": ["BN1"]})),
            False,
        ),
        (
            Entry("BN603", "0.bn", "warning", 0.8, 0.1),
            replace(healthy_report(), layers=(unmeasured("0.bn", SKIPPED, "not-exercised"),)),
            False,
        ),
        (
            Entry("BN603", "0.bn", "warning", 0.8, 0.1),
            replace(healthy_report(), findings=(Finding("BN102", "error", ("1.bn",), "m", "f", measure=UNTOLD),)),
            False,
        ),
        (
            Entry("BN603", "0.bn", "warning", 0.8, 0.1),
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
    assert document["bncheck_baseline"] == 1
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
        '  "bncheck_baseline": 1,\n'
        '  "findings": [\n'
        '    {"code": "BN600", "layer": "backbone.features.denseblock3.denselayer24.norm2", "severity": "error", '
        '"value": 865.5, "tolerance": 87.0},\n'
        '    {"code": "BN603", "layer": "backbone.features.denseblock3.denselayer24.norm2", "severity": "warning", '
        '"value": 865.5, "tolerance": 87.0},\n'
        '    {"code": "BN603", "layer": "backbone.transition.norm", "severity": "warning", "value": 0.7371, '
        '"tolerance": 0.074}\n'
        "  ]\n"
        "}\n"
    )
    assert set(read_baseline(path).entries) == set(accepted_now(report))
    path.write_text(baseline_text(()))
    assert read_baseline(path).entries == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"b\.json is no baseline: it is not JSON"),
        ("[]", r"b\.json is no baseline of this bncheck: it lacks \{\"bncheck_baseline\": 1\}\."),
        ('{"schema_version": 1}', r"b\.json is no baseline of this bncheck"),
        ('{"bncheck_baseline": 1}', r"b\.json: findings should be a list\."),
        ('{"bncheck_baseline": 1, "findings": [7]}', r"b\.json: findings\[0\] should be an object"),
        ('{"bncheck_baseline": 1, "findings": [{"code": "BN1", "layer": 3, "severity": "error"}]}', "should have a"),
        ('{"bncheck_baseline": 1, "findings": [{"code": "BN1", "severity": "bad"}]}', "should have a code"),
        (
            '{"bncheck_baseline": 1, "findings": [{"code": "BN1", "severity": "error", "value": "x"}]}',
            "value and tolerance should be numbers",
        ),
        (
            '{"bncheck_baseline": 1, "findings": [{"code": "BN1", "severity": "error", "tolerence": 1}]}',
            r"findings\[0\] has 'tolerence', which no baseline has",
        ),
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(content)
    with pytest.raises(UnreadableError, match=message):
        read_baseline(path)


def test_a_missing_baseline_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--baseline .*b\.json: there is no such file\. The first time, add --write"):
        read_baseline(tmp_path / "b.json")


def test_what_is_accepted_again_is_told_once() -> None:
    report = drifting(0.8)
    once = accept(report, baseline=of(report))
    assert sum("Accepted BN603" in note for note in once.run.notes) == 1
    assert accept(once).run.notes == once.run.notes
