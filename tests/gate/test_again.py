"""Judging a report again: the same limits give the same verdict, others what `inspect` would have given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hand_made import (
    ALL,
    UNTOLD,
    broken_report,
    empty_report,
    full_report,
    healthy_report,
    many_layers,
    run,
    static_report,
    unmeasured,
)

import bncheck
from bncheck.errors import UsageError
from bncheck.gate import Limits, judge_again, report_of
from bncheck.results import next_command
from bncheck.results.finding import Finding
from bncheck.results.report import ERROR, INCONCLUSIVE, SKIPPED, Report
from bncheck.vocabulary import FailOn

SAMPLES = Path(__file__).parents[2] / "sample_models"


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


@pytest.mark.parametrize("make", [*ALL.values(), lambda: many_layers(20)])
def test_without_limits_nothing_changes(make: Callable[[], Report]) -> None:
    report = report_of(make().to_dict())
    again = judge_again(report, Limits())
    assert again.summary == report.summary or make is broken_report  # NaN is not NaN
    assert (again.summary.verdict, again.summary.exit_code) == (report.summary.verdict, report.summary.exit_code)
    assert codes(again) == codes(report)
    assert again.run == report.run


def test_limits_take_the_place_of_what_was_asked_for_one_by_one() -> None:
    given = {"fail_on": FailOn.NEVER, "strict": True, "max_gap": 0.0, "select": ("BN6",), "ignore": ("BN603",)}
    asked = full_report().run.asked
    for name, value in given.items():
        changed = Limits(**{name: value}).over(asked)  # type: ignore[arg-type]
        assert changed == replace(asked, **{name: value}) != asked
        assert Limits().over(changed) == changed
        assert Limits(strict=False).over(changed) == replace(changed, strict=False)
    again = judge_again(full_report(), Limits(max_gap=0.5, select=("BN6",)))
    assert again.run.asked == replace(asked, max_gap=0.5, select=("BN6",))


@pytest.mark.parametrize(("fail_on", "exit_code"), [("error", 1), ("warning", 1), ("never", 0)])
def test_fail_on(fail_on: str, exit_code: int) -> None:
    again = judge_again(full_report(), Limits(fail_on=FailOn(fail_on)))
    assert again.summary.exit_code == exit_code
    assert again.summary.verdict == "findings"
    assert again.run.options["fail_on"] == fail_on


def test_fail_on_of_the_reports_own_run_stays_unless_another_is_given() -> None:
    lenient = replace(full_report(), run=run(options={"fail_on": "never"}))
    assert judge_again(lenient, Limits()).summary.exit_code == 0
    assert judge_again(lenient, Limits(fail_on=FailOn.WARNING)).summary.exit_code == 1


def test_strict_minds_skipped_layers_and_samples_left_out() -> None:
    quiet = replace(full_report(), findings=())
    assert judge_again(quiet, Limits()).summary.exit_code == 0
    assert judge_again(quiet, Limits(strict=True)).summary.exit_code == 4
    whole = replace(healthy_report(), run=run())
    assert judge_again(whole, Limits(strict=True)).summary.exit_code == 0
    short = replace(whole, summary=replace(whole.summary, samples_left_out=1))
    assert judge_again(short, Limits(strict=True)).summary.exit_code == 4
    said = replace(whole, run=run(notes=("8 samples left out: that is what a note says, and no note decides",)))
    assert judge_again(said, Limits(strict=True)).summary.exit_code == 0


def test_the_limit_is_found_anew() -> None:
    report = full_report()
    low, high = judge_again(report, Limits(max_gap=0.5)), judge_again(report, Limits(max_gap=1000))
    assert [finding.layer for finding in low.findings if finding.code == "BN600"] == [
        layer.name for layer in report.layers if layer.gap is not None and layer.gap > 0.5
    ]
    assert "BN600" not in codes(high)
    assert [layer.codes for layer in high.layers if layer.name == "backbone.transition.norm"] == [("BN603",)]
    assert low.summary.exit_code == 1
    assert [layer.name for layer in low.layers if "BN600" in layer.codes] == [
        finding.layer for finding in low.findings if finding.code == "BN600"
    ]


def test_the_noise_of_a_layer_goes_with_its_finding() -> None:
    report = full_report()
    (first, *_), noise = [layer for layer in report.layers if layer.gap is not None], 0.125
    for given, expected in [(noise, noise), (None, 0.0)]:
        layers = tuple(replace(layer, noise=given) if layer is first else layer for layer in report.layers)
        found = judge_again(replace(report, layers=layers), Limits(max_gap=0.0)).findings
        assert [one.measure.noise for one in found if (one.code, one.layer) == ("BN600", first.name)] == [expected]


def test_a_limit_is_the_one_rule_that_is_judged_anew() -> None:
    # A report that judged nothing but BN2 can tell of the limit, if there is one.
    report = replace(full_report(), findings=(), run=run(options={"select": ["BN2"]}))
    assert "BN600" in codes(judge_again(report, Limits(max_gap=0.1, select=("BN600",))))
    with pytest.raises(UsageError, match=r"^select BN600: this report did not judge"):
        judge_again(report, Limits(select=("BN600",)))


def test_a_gap_that_is_not_a_number_passes_no_limit() -> None:
    again = judge_again(report_of(broken_report().to_dict()), Limits(max_gap=1e9))
    assert [finding.layer for finding in again.findings if finding.code == "BN600"] == ["broken"]


def test_a_limit_needs_measured_layers() -> None:
    with pytest.raises(UsageError, match=r"^max_gap: this report measured no layer"):
        judge_again(static_report(), Limits(max_gap=0.5))
    without_gap = tuple(replace(layer, gap=None) for layer in full_report().layers)
    with pytest.raises(UsageError, match=r"^max_gap: this report measured no layer"):
        judge_again(replace(full_report(), layers=without_gap), Limits(max_gap=0.5))


def test_rules_are_selected_and_ignored() -> None:
    assert codes(judge_again(full_report(), Limits(select=("BN603",)))) == ["BN603"]
    assert codes(judge_again(full_report(), Limits(ignore=("BN6",)))) == ["BN706"]
    assert judge_again(full_report(), Limits(ignore=("BN6",))).summary.exit_code == 0
    with pytest.raises(UsageError, match=r"^ignore BN9: no rule matches"):
        judge_again(full_report(), Limits(ignore=("BN9",)))


def test_verdict_and_next_command_follow_from_the_findings_that_are_left() -> None:
    report = full_report()
    assert report.summary.verdict == "findings"
    left = judge_again(report, Limits(select=("BN603",)))
    assert left.summary.next == next_command(left.findings, report.run.again) is not None
    none = judge_again(report, Limits(ignore=("BN6",)))
    assert (none.summary.verdict, none.summary.next) == ("ok", next_command(none.findings, report.run.again))
    # What was ok and stays so keeps what its own run said.
    quiet = replace(none, summary=replace(none.summary, next="as it was"))
    assert judge_again(quiet, Limits()).summary.next == "as it was"


def test_a_gap_that_is_no_number_and_that_nothing_explains_is_no_all_clear() -> None:
    report = replace(full_report(), findings=())
    layers = tuple(replace(layer, gap=float("nan")) if layer.gap is not None else layer for layer in report.layers)
    assert judge_again(report, Limits()).summary.exit_code == 0
    assert judge_again(replace(report, layers=layers), Limits()).summary.exit_code == 4


def test_rules_that_were_not_judged_are_no_all_clear() -> None:
    with pytest.raises(UsageError, match=r"^select BN603: this report did not judge any of these rules"):
        judge_again(static_report(), Limits(select=("BN603",)))


def test_without_a_finding_that_hid_others_the_report_cannot_tell() -> None:
    report = full_report()
    cause = replace(report, findings=(Finding("BN102", ERROR, (), "message", "fix", measure=UNTOLD),))
    with pytest.raises(UsageError, match=r"^BN102 was found, and BN601, .* left out because of it"):
        judge_again(cause, Limits(ignore=("BN102",)))
    assert judge_again(cause, Limits(select=("BN2",))).summary.exit_code == 0
    assert judge_again(cause, Limits(ignore=("BN102", "BN6"))).summary.exit_code == 0


def test_what_was_not_checked_stays_so() -> None:
    assert judge_again(empty_report(), Limits(fail_on=FailOn.NEVER)).summary.exit_code == 4
    report = healthy_report()
    doubtful = replace(report, summary=replace(report.summary, smallest_detectable_gap=0.6, verdict=INCONCLUSIVE))
    assert judge_again(doubtful, Limits(fail_on=FailOn.NEVER)).summary == replace(doubtful.summary, exit_code=4)
    just = replace(report, summary=replace(report.summary, smallest_detectable_gap=report.run.margin))
    assert judge_again(just, Limits()).summary.exit_code == 0
    skipped = replace(static_report(), findings=(), layers=(unmeasured("bn", SKIPPED, "no-statistics"),))
    assert judge_again(skipped, Limits()).summary.exit_code == 4
    nothing = replace(report, summary=replace(report.summary, smallest_detectable_gap=None))
    assert judge_again(nothing, Limits()).summary.exit_code == 4


def test_data_that_could_not_be_run_are_no_all_clear() -> None:
    clean = replace(static_report(), findings=())
    assert judge_again(clean, Limits()).summary.exit_code == 0
    not_run = replace(clean, run=run(options={"data": "val.npz"}))
    assert judge_again(not_run, Limits()).summary.exit_code == 4


@pytest.mark.parametrize("name", ["healthy.pt", "never_updated.torchscript.pt", "nan_statistics.pt2"])
@pytest.mark.parametrize("with_data", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_real_report_is_judged_as_it_was(name: str, with_data: bool) -> None:
    data = SAMPLES / "digits_eval.npz" if with_data and name != "healthy.pt" else None
    limited = bncheck.inspect(SAMPLES / name, data, max_gap=0.5, limit=100)
    for fail_on, strict in (("warning", False), ("never", True), ("error", False)):
        report = bncheck.inspect(SAMPLES / name, data, fail_on=fail_on, strict=strict, limit=100)
        again = judge_again(report_of(report.to_dict()), Limits())
        assert again.summary.exit_code == report.summary.exit_code
        assert again.summary.verdict == report.summary.verdict
        if data is not None:
            other = judge_again(report_of(report.to_dict()), Limits(fail_on=FailOn.WARNING, max_gap=0.5))
            assert codes(other) == codes(limited)
            assert other.to_dict()["findings"] == limited.to_dict()["findings"]


def test_a_report_of_the_library_names_its_kind_of_data() -> None:
    report = bncheck.inspect(torch.nn.BatchNorm1d(2), torch.randn(200, 2))
    assert report.run.options["data"] == "Tensor"


@pytest.mark.parametrize("limit", [float("nan"), -0.1])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(UsageError, match=r"^max_gap "):
        judge_again(full_report(), Limits(max_gap=limit))
    with pytest.raises(UsageError, match=r"^max_gap "):
        bncheck.inspect(torch.nn.BatchNorm1d(2), torch.randn(100, 2), max_gap=limit)
