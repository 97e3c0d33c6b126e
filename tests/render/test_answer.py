"""The answer that a report begins with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_made import ALL, UNTOLD, empty_report, full_report, healthy_report, static_report

from bncheck.render.words.answer import answer
from bncheck.results.finding import Cost, Finding, Measure
from bncheck.results.report import Accuracy, Asked, Effect, Report
from bncheck.vocabulary import Remedy


def found(finding: Finding, base: Report | None = None) -> Report:
    report = base or full_report()
    return replace(report, summary=replace(report.summary, verdict="findings"), findings=(finding,))


def test_cause_cost_and_what_to_do() -> None:
    told = answer(full_report())
    assert told.cause == (
        "Found 1 error and 1 warning. BN603 (warning): The stored statistics of 2 layers do not describe these data "
        "(gap 0.76 in backbone.transition.norm)."
    )
    assert told.cost == "Accuracy: 71.2% as shipped, 74.0% recalibrated."
    assert told.action.startswith("What to do: Check the preprocessing first")


def test_a_limit_is_told_where_there_is_no_cause() -> None:
    limit, drift, _ = full_report().findings
    assert "BN600" in answer(found(limit)).cause
    assert "BN603" in answer(replace(full_report(), findings=(limit, drift))).cause


@pytest.mark.parametrize("name", ALL)
def test_there_is_always_an_answer(name: str) -> None:
    assert answer(ALL[name]()).cause.endswith(".")


def test_one_sentence_is_taken_of_each_and_a_layer_name_is_no_end() -> None:
    finding = Finding("BN102", "error", (), "The stem.bn is new. It is. Really.", "Train it: `a.b`. Or not.", UNTOLD)
    told = answer(found(finding))
    assert told.cause == "Found 1 error. BN102: The stem.bn is new."
    assert told.action == "What to do: Train it: `a.b`."


def test_without_a_fault_the_verdict_and_the_predictions_are_enough() -> None:
    told = answer(healthy_report())
    assert told.cause == "The stored statistics describe these data."
    assert told.cost == "Recalibrating moves the outputs by 1.2%."
    assert told.action == ""


def test_harmless_drift_says_whether_anything_has_to_be_done() -> None:
    drift = Finding("BN603", "info", (), "They differ. A little.", "Leave them as they are. Really.", UNTOLD)
    report = replace(healthy_report(), findings=(drift,))
    assert answer(report).action == "What to do: Leave them as they are."
    assert "BN603" not in answer(report).cause


@pytest.mark.parametrize(("verdict", "code"), [("inconclusive", "BN707"), ("not-checked", "BN705")])
def test_what_was_not_checked_says_what_is_missing(verdict: str, code: str) -> None:
    others = (
        Finding("BN706", "info", ("a",), "Not run.", "Nothing.", UNTOLD),
        Finding(code, "info", (), "Few.", "Give more.", UNTOLD),
    )
    report = replace(empty_report(), summary=replace(empty_report().summary, verdict=verdict), findings=others)
    assert answer(report).action == "What to do: Give more."


def test_without_data_there_is_no_cost() -> None:
    assert answer(static_report()).cost == ""


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (
            Cost("accuracy", 0.102, 0.992, remedy=Remedy.INPUT, samples=256),
            "Accuracy on 256 samples: 10.2% as fed, 99.2% with the input changed.",
        ),
        (
            Cost("accuracy", 0.102, 0.992, remedy=Remedy.INPUT, samples=1),
            "Accuracy on 1 sample: 10.2% as fed, 99.2% with the input changed.",
        ),
        (
            Cost("metric", -3.317, -2.0, remedy=Remedy.INPUT, samples=256),
            "Metric on 256 samples: -3.32 as fed, -2.00 with the input changed.",
        ),
        (
            Cost("accuracy", 0.637, 0.8, remedy=Remedy.GROUPED, recalibrated=0.675),
            "Accuracy: 63.7% as shipped, 67.5% recalibrated, 80.0% in grouped batches.",
        ),
        (
            Cost("accuracy", 0.637, 0.8, remedy=Remedy.GROUPED),
            "Accuracy: 63.7% as shipped, 80.0% in grouped batches.",
        ),
        (
            Cost("accuracy", 0.152, 0.762, remedy=Remedy.CALLS),
            "Accuracy is 15.2% with the average and 76.2% by each call's own.",
        ),
        (
            Cost("accuracy", 0.5, 0.75, remedy=Remedy.EPS, samples=64),
            "Accuracy on 64 samples: 50.0% as shipped, 75.0% with another eps.",
        ),
        (Cost("accuracy", 0.1, 0.2), "Accuracy: 71.2% as shipped, 74.0% recalibrated."),
        (Cost("output change", None, 0.2, remedy=Remedy.INPUT), "Accuracy: 71.2% as shipped, 74.0% recalibrated."),
        (None, "Accuracy: 71.2% as shipped, 74.0% recalibrated."),
    ],
)
def test_the_cost_is_what_was_measured_to_help(cost: Cost | None, said: str) -> None:
    evidence = {"accuracy_before": 0.9, "accuracy_after": 0.1, "samples": 7}  # for the reader alone
    finding = Finding("BN601", "error", (), "So.", "Do.", Measure("gap", 1.0), cost, evidence)
    assert answer(found(finding)).cost == said


def test_what_unlike_calls_cost_is_told_by_each_calls_own_statistics() -> None:
    message = "norm runs 2 times on unlike inputs. Accuracy is 15.2% with the average and 76.2% by each call's own."
    told = answer(found(Finding("BN604", "warning", ("norm",), message, "Do.", UNTOLD)))
    assert told.cost == "Accuracy is 15.2% with the average and 76.2% by each call's own."


def test_a_metric_of_the_users_own_is_no_accuracy() -> None:
    report = replace(full_report(), effect=Effect(None, None, Accuracy(-3.317, None, -2.0)))
    report = replace(report, run=replace(report.run, asked=Asked(metric=True)))
    assert answer(report).cost == "Metric: -3.32 as shipped, -2.00 recalibrated."
