"""Small errors of numbers: what is sure to be less by a share that matters counts, however small the gaps are."""

from __future__ import annotations

import copy

import pytest
import torch
from digit_nets import assert_healthy, norms
from hand_built import effect, evidence, measured
from test_every_task import WRONG, of_task

import bncheck
from bncheck.evidence import EffectEvidence, Improvement, TaskEffect
from bncheck.results.report import Report
from bncheck.rules.drift.bn603 import judge as drift


def with_label_noise(factor: float) -> Report:
    """On the net of numbers, whose labels are all but what it says, with one inner layer's variances so many times."""
    net, x, y = of_task("numbers")
    copied = copy.deepcopy(net)
    norms(copied)[WRONG].running_var.mul_(factor)
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(8))
    return bncheck.inspect(copied, (x, y + 0.1 * noise))


def test_a_small_error_that_is_sure_to_be_far_less_is_found_behind_a_small_gap() -> None:
    report = with_label_noise(1.2)
    (finding,) = report.findings
    assert (finding.code, finding.severity, finding.layers) == ("BN603", "warning", ("7",))
    assert max(layer.own_gap for layer in report.layers) < 0.1
    assert report.effect.score.low > 0.2 * report.effect.score.stored
    assert report.summary.exit_code == 1


@pytest.mark.parametrize("factor", [1.0, 1.05])
def test_a_gap_as_small_that_costs_nothing_which_shows_is_no_fault(factor: float) -> None:
    assert_healthy(with_label_noise(factor))


def of_error(shipped: float, other: float, error: float, *, larger: bool = False) -> EffectEvidence:
    """What a relative squared error, or a share of right ones, becomes on 1,000 samples."""
    gain = other - shipped if larger else shipped - other
    score = Improvement(shipped, other, gain, error, 600, 400, 1000)
    return effect(task=TaskEffect("numbers", "score", larger, True, score))


@pytest.mark.parametrize(
    ("seen", "gaps", "named"),
    [
        (of_error(0.026, 0.017, 0.001), (0.04, 0.06), ["deep"]),  # no gap is sure, but what they cost is
        (of_error(0.026, 0.024, 0.001), (0.04, 0.06), []),  # surely less, by too little
        (of_error(0.026, 0.017, 0.005), (0.04, 0.06), []),  # less by much, not surely
        (of_error(0.026, 0.035, 0.001), (0.04, 0.06), []),  # recalibrated statistics are worse
        (of_error(0.026, 0.017, 0.001), (0.01, 0.01), []),  # nothing but noise to name
        (of_error(0.974, 0.981, 0.001, larger=True), (0.04, 0.06), []),  # a share of right ones is counted
    ],
)
def test_an_error_that_is_sure_to_be_less_counts_whatever_the_gaps_are(seen, gaps, named):
    layers = [measured(gap, lower=0.0, name=name) for name, gap in zip(("first", "deep"), gaps, strict=True)]
    found = list(drift(evidence(*layers, effect=seen)))
    assert [(one.severity, list(one.layers)) for one in found] == [("warning", [name]) for name in named]
