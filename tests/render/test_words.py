"""The sentences of a report."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_made import (
    INF,
    NAN,
    UNTOLD,
    accepted_report,
    full_report,
    healthy_report,
    measured,
    run,
    static_report,
    summary,
    unmeasured,
)

from bncheck.render.words.judged import concerning, layer_verdict
from bncheck.render.words.report import closing, effect_lines, headline
from bncheck.results.finding import Cost, Finding, Measure
from bncheck.results.report import AUDITED, SKIPPED, Accuracy, Effect, Report
from bncheck.results.scores import Score
from bncheck.vocabulary import Harm


def finding(severity: str, code: str = "BN603", layer: str | None = None, **evidence: object) -> Finding:
    return Finding(
        code, severity, () if layer is None else (layer,), "message", "fix", measure=UNTOLD, evidence=evidence
    )


def limited(severity: str, limit: float, code: str = "BN603", unit: str = "gap") -> Finding:
    """A finding that counts from that value on; what its evidence says of it is for the reader alone."""
    return replace(finding(severity, code, margin=0.01), measure=Measure(unit, 1.0, limit=limit))


def judged(verdict: str, *findings: Finding, base: Report | None = None, exit_code: int = 0) -> Report:
    report = base or healthy_report()
    return replace(report, summary=replace(report.summary, verdict=verdict, exit_code=exit_code), findings=findings)


@pytest.mark.parametrize(
    ("severities", "sentence"),
    [
        (["error"], "Found 1 error."),
        (["warning"], "Found 1 warning."),
        (["error", "error", "warning", "info"], "Found 2 errors and 1 warning."),
        (["warning", "warning", "info"], "Found 2 warnings."),
    ],
)
def test_the_headline_counts_errors_and_warnings(severities: list[str], sentence: str) -> None:
    assert headline(judged("findings", *map(finding, severities))) == sentence


def test_the_headline_of_a_report_without_findings() -> None:
    assert headline(healthy_report()) == "The stored statistics describe these data."
    assert headline(judged("inconclusive")) == "Inconclusive: too few samples to tell."
    static = judged("ok", base=static_report())
    assert headline(static) == (
        "Nothing wrong in the stored values. Whether they describe your data, only data can tell: "
        "--arch FILE.py:CALLABLE --data D."
    )
    runnable = replace(static, model=replace(static.model, runnable=True))
    assert headline(runnable).endswith("only data can tell: --data D.")


def test_the_headline_says_why_nothing_was_checked() -> None:
    nothing = "Not checked: there is no normalization layer with stored statistics in this file."
    unreached = "Not checked: no layer with stored statistics was reached by these data."
    without = unmeasured("norm", SKIPPED, "no-running-statistics", kind="group_norm")
    idle = unmeasured("norm", SKIPPED, "not-exercised")
    for layers, expected in (((), nothing), ((without,), nothing), ((without, idle), unreached)):
        report = replace(judged("not-checked"), layers=layers)
        assert headline(report) == expected
    assert headline(replace(judged("not-checked", base=static_report()), layers=(without,))) == nothing


def test_the_headline_does_not_praise_gaps_that_no_rule_reported() -> None:
    layers = (measured("a", [0.5], [1.0]), measured("b", [0.1], [1.0]))
    gapped = replace(healthy_report(), layers=layers)
    assert headline(gapped) == (
        "No fault found, with 1 layer beyond a gap of 0.25: that it is more than noise, or costs anything, is not sure."
    )
    chosen = replace(gapped, run=run(options={"ignore": ["BN603"]}))
    assert headline(chosen) == (
        "No fault found, with 1 layer beyond a gap of 0.25: no rule among those selected objects."
    )
    harmless = replace(gapped, findings=(finding("info"),))
    assert headline(harmless) == (
        "The data differ from the stored statistics; whether that costs predictions, these samples do not show."
    )
    little = replace(finding("info"), cost=Cost("accuracy", 0.96, 0.985, -0.0005, 0.0505))
    assert headline(replace(gapped, findings=(little,))).endswith(
        "; whether that costs predictions enough to count, these samples do not show."
    )
    cost = Cost("accuracy", 0.9, 0.9, harm=Harm.EXCLUDED)
    single = replace(finding("info"), code="BN607", layers=("a",), cost=cost)
    assert headline(replace(gapped, findings=(single,))) == (
        "1 layer lies beyond a gap of 0.25 (BN607), without harm to the predictions."
    )
    unknown = replace(single, cost=replace(cost, harm=Harm.UNKNOWN))
    assert headline(replace(gapped, findings=(unknown,))) == (
        "1 layer lies beyond a gap of 0.25 (BN607); whether that costs predictions, these samples do not show."
    )
    elsewhere = replace(single, layers=("b",))
    assert headline(replace(gapped, findings=(elsewhere,))).startswith("No fault found, with 1 layer beyond")
    excluded = replace(gapped, findings=(replace(finding("info"), cost=cost),))
    assert headline(excluded) == "The data differ from the stored statistics, without harm to the predictions."


@pytest.mark.parametrize(
    ("smallest", "said"),
    [
        (None, "Healthy layers stay below 0.25."),
        (0.00213, "Healthy layers stay below 0.25; the smallest gap these samples can show is 0.0021."),
        (INF, "Healthy layers stay below 0.25; so few samples cannot show a gap of any size."),
    ],
)
def test_the_gap_stands_beside_what_would_show(smallest: float | None, said: str) -> None:
    report = healthy_report()
    report = replace(report, summary=replace(report.summary, gap=0.031, own_gap=0.02, smallest_detectable_gap=smallest))
    assert effect_lines(report)[0] == (f"The gap over all layers is 0.03; with upstream errors removed, 0.02. {said}")
    assert effect_lines(report)[1] == "Worst channel: 0 of 1.bn, gap 0.05."


def test_without_a_measurement_nothing_is_said_of_gaps() -> None:
    assert effect_lines(static_report()) == []


def test_what_is_not_finite_is_not_shown_as_a_number() -> None:
    broken = (measured("a", [NAN], [NAN]),)
    report = replace(
        healthy_report(), layers=broken, summary=summary(broken, "findings", 1), effect=Effect(0.5, NAN, None)
    )
    assert effect_lines(report) == [
        "Where statistics or inputs are not finite there is no gap to give.",
        "The outputs are not finite, so how far recalibrating moves them cannot be told.",
    ]


def prediction_lines(effect: Effect | None, **options: object) -> list[str]:
    report = replace(healthy_report(), effect=effect, run=run(options=options))
    return effect_lines(report)[2:]


HOW = "(measured on one half of these data, judged on the other)."


def test_what_the_gap_costs() -> None:
    accuracy = Accuracy(0.712, 0.751, 0.74)
    told = "Accuracy: 71.2% as shipped, 75.1% normalized by the batch, 74.0% recalibrated."
    assert prediction_lines(None) == []
    assert prediction_lines(Effect(None, None, None)) == []
    assert prediction_lines(Effect(None, None, accuracy)) == [told]
    assert prediction_lines(Effect(0.093, 0.2, accuracy)) == [
        told,
        f"Recalibrating changes 9.3% of the predictions {HOW}",
    ]
    assert prediction_lines(Effect(None, 0.2, None)) == [f"Recalibrating moves the outputs by 20.0% {HOW}"]
    assert prediction_lines(Effect(None, None, Accuracy(0.5, None, None))) == ["Accuracy: 50.0% as shipped."]


def test_the_users_own_metric_is_a_number_not_a_share() -> None:
    lines = prediction_lines(Effect(None, None, Accuracy(-3.317, -3.2, 12.0)), metric="loss.py:negative")
    assert lines == ["Metric: -3.32 as shipped, -3.20 normalized by the batch, 12 recalibrated."]


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ((0.1, 0.95), ["norm runs 2 times in a forward, with gaps from 0.10 to 0.95."]),
        ((0.2, 1.5, 0.1), ["norm runs 3 times in a forward, with gaps from 0.10 to 1.50."]),
        ((0.8, 0.9), []),
        ((0.1, NAN), []),
        (None, []),
    ],
)
def test_calls_that_disagree_are_told(gaps: tuple[float, ...] | None, said: list[str]) -> None:
    layer = measured("norm", [0.1], [1.0], call_gaps=gaps)
    report = replace(healthy_report(), layers=(layer,), effect=None)
    assert [line for line in effect_lines(report) if "runs" in line] == said


@pytest.mark.parametrize(
    ("gap", "own", "codes", "expected"),
    [
        (0.2, 0.1, [], "ok"),
        (0.25, None, [], "ok"),
        (0.3, None, [], "gap"),
        (0.3, 0.3, [], "gap"),
        (0.3, 0.25, [], "inherited"),
        (NAN, NAN, [], "not finite"),
        (INF, 0.1, [], "not finite"),
        (0.2, 0.1, ["BN102"], "BN102"),
        (0.9, 0.9, ["BN603", "BN603", "BN600"], "BN603 BN600"),
        (0.9, 0.1, ["BN603"], "BN603"),
        (0.9, 0.1, ["BN607"], "BN607"),
        (0.9, 0.1, ["BN600"], "BN600, inherited"),
        (0.9, 0.3, ["BN600"], "BN600"),
        (0.9, 0.1, ["BN600", "BN603"], "BN600 BN603"),
        (0.9, 0.1, ["BN102", "BN600"], "BN102 BN600"),
        (NAN, NAN, ["BN201"], "BN201"),
    ],
)
def test_the_verdict_of_a_measured_layer(gap: float, own: float | None, codes: list[str], expected: str) -> None:
    layer = replace(measured("norm", [0.1], [1.0]), gap=gap, own_gap=own)
    assert layer_verdict(layer, [finding("error", code) for code in codes], 0.25) == expected


def test_a_margin_that_the_score_made_smaller_is_told() -> None:
    others = (limited("error", 0.02, "BN600"), limited("error", 0.05, "BN607"))
    report = replace(full_report(), findings=(limited("warning", 0.1), *others))
    for name, larger, suffers in (
        ("accuracy", True, "accuracy is sure to suffer"),
        ("Dice", True, "Dice is sure to suffer"),
        ("metric", True, "the metric is sure to suffer"),
        ("relative squared error", False, "the relative squared error is sure to be larger than it need be"),
    ):
        score = Score(name, larger, 0.8, None, 0.9, 0.1, 0.05, 0.15, 100)
        assert report.effect is not None
        judged_so = replace(report, effect=replace(report.effect, score=score))
        told = f"Healthy layers stay below 0.25; here gaps from 0.1 on count, since {suffers}."
        assert any(told in line for line in effect_lines(judged_so))
    unscored = replace(report, effect=replace(report.effect, score=None))
    assert any("since predictions are sure to suffer." in line for line in effect_lines(unscored))


def test_the_verdict_of_a_layer_that_was_not_measured() -> None:
    assert layer_verdict(unmeasured("norm", AUDITED), [], 0.25) == "audited"
    assert layer_verdict(unmeasured("norm", SKIPPED, "not-exercised"), [], 0.25) == "not exercised"
    assert layer_verdict(unmeasured("norm", SKIPPED, "not-exercised"), [finding("info", "BN706")], 0.25) == "BN706"


def test_a_finding_concerns_the_layer_it_names_or_those_it_lists() -> None:
    alone = finding("error", "BN600", "a", layers=["b"])
    several = replace(finding("warning", "BN603"), layers=("a", "c"))
    whole = finding("info", "BN705")
    report = replace(healthy_report(), findings=(alone, several, whole))
    assert concerning(report) == {"a": [alone, several], "c": [several]}


@pytest.mark.parametrize(
    ("verdict", "exit_code", "skipped", "said"),
    [
        ("ok", 0, 0, []),
        ("findings", 1, 2, []),
        ("inconclusive", 4, 0, []),
        ("not-checked", 4, 1, []),
        ("ok", 4, 2, ["The exit code is 4: 2 layers skipped."]),
        ("ok", 4, 0, ["The exit code is 4: not everything was checked."]),
        ("findings", 0, 1, ["The exit code is 0 all the same: --fail-on error."]),
        ("findings", 4, 1, ["The exit code is 4: 1 layer skipped."]),
    ],
)
def test_an_exit_code_that_surprises_is_explained(verdict: str, exit_code: int, skipped: int, said: list[str]) -> None:
    report = replace(judged(verdict, exit_code=exit_code), run=run(options={"fail_on": "error"}))
    report = replace(report, summary=replace(report.summary, layers_skipped=skipped))
    assert [line for line in closing(report) if "exit code" in line] == said


def test_where_to_read_on() -> None:
    assert closing(full_report()) == ["More: bncheck rule BN600 (also BN603)"]
    assert closing(healthy_report()) == []
    assert closing(judged("ok", finding("info", "BN706"))) == []


@pytest.mark.parametrize("runnable", [False, True, None])
def test_tensors_alone_are_told_how_to_be_run(runnable: bool | None) -> None:
    report = static_report()
    report = replace(report, model=replace(report.model, runnable=runnable))
    told = any("--arch FILE.py:CALLABLE --data D" in line for line in closing(report))
    assert told == (runnable is False)
    assert not any("--arch" in line for line in closing(full_report()))


def test_what_was_accepted_is_counted_apart_and_explains_the_exit_code() -> None:
    report = accepted_report()
    assert headline(report) == "Found 1 error; 1 warning accepted."
    alone = replace(report, findings=report.findings[1:], summary=replace(report.summary, exit_code=0))
    assert headline(alone) == "Found nothing that counts: 1 warning accepted."
    assert not [line for line in closing(alone) if "exit code" in line]


def test_arguments_are_named_as_they_are_where_the_report_is_read() -> None:
    unlabelled = replace(static_report(), findings=(), summary=replace(static_report().summary, verdict="ok"))
    assert headline(unlabelled).endswith("only data can tell: --arch FILE.py:CALLABLE --data D.")
    called = replace(unlabelled, run=replace(unlabelled.run, command="inspect"))
    assert headline(called).endswith('only data can tell: arch="FILE.py:CALLABLE", data=D.')
    assert any("--arch FILE.py:CALLABLE --data D" in line for line in closing(unlabelled))
    assert any('too, arch="FILE.py:CALLABLE", data=D' in line for line in closing(called))


def test_a_saved_margin_below_0_is_no_reason_to_tell_of_calls_that_are_not_known() -> None:
    report = healthy_report()
    edited = replace(report, run=replace(report.run, thresholds=report.run.thresholds | {"margin": -1.0}))
    assert not any("times in a forward" in line for line in str(edited).splitlines())
