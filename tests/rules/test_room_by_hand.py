"""What the room of rules does with findings and names, by hand: which rules were judged, which findings stand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_rule import FIRES, VARIANTS
from hand_built import effect, evidence, layer, measured

from bncheck.errors import UsageError
from bncheck.results import Finding, Measure
from bncheck.rules import RULES, judge
from bncheck.rules.catalogue import find_rule
from bncheck.rules.decided import is_decided
from bncheck.rules.findings import _explains
from bncheck.rules.judged import judged_rules, why_not_judged
from bncheck.rules.judging.harm import harm_of, most_changed
from bncheck.rules.judging.measures import layers_counted, noise_of, single, total, worst
from bncheck.rules.judging.naming import channels_in_words, name_some, shown, some_names
from bncheck.rules.limit import beyond_limit, require_limit
from bncheck.rules.rule import read_rule
from bncheck.vocabulary import Harm, Severity
from tests.hand_made import full_report, run

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("code", "options", "runnable", "data", "why"),
    [
        ("BN201", {}, False, False, None),
        ("BN603", {}, True, True, None),
        ("BN607", {}, True, False, "needs data"),
        ("BN403", {}, True, True, "needs reference"),
        ("BN403", {"reference": "before.pt"}, True, True, None),
        ("BN402", {}, True, True, "needs reference and expectation"),
        ("BN609", {}, True, True, "needs training data"),
        ("BN301", {}, False, True, "needs architecture"),
        ("BN301", {}, True, True, None),
        ("BN101", {}, False, False, None),
        ("BN201", {"select": ["BN6"]}, True, True, "not selected"),
        ("BN607", {"select": ["BN6"]}, True, True, None),
        ("BN607", {"ignore": ["BN60"]}, True, True, "ignored"),
        ("BN603", {"ignore": ["BN60"]}, True, False, None),
    ],
)
def test_why_a_rule_was_not_judged(
    code: str, options: dict[str, Any], runnable: bool, data: bool, why: str | None
) -> None:
    report = full_report()
    model = replace(report.model, runnable=runnable)
    report = replace(report, run=run(options=options), model=model, data=report.data if data else None)
    assert why_not_judged(find_rule(code), report) == why
    assert (find_rule(code) in judged_rules(report)) is (why is None)


def test_which_rules_leave_out_which(agrees_with_golden: Callable[[Path, str], None]) -> None:
    lines = [f"{rule.code}: {' '.join(rule.suppresses)}" for rule in RULES]
    agrees_with_golden(GOLDEN / "suppressed.txt", "\n".join(lines) + "\n")


def test_what_all_rules_find_together(agrees_with_golden: Callable[[Path, str], None]) -> None:
    lines = []
    for name, make in (FIRES | VARIANTS).items():
        found = judge(make())
        lines.append(f"{name}: {' '.join(f'{finding.code}-{finding.severity}' for finding in found)}")
    agrees_with_golden(GOLDEN / "together.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("cause", "severity", "layers", "effect", "other", "does"),
    [
        ("BN102", Severity.ERROR, ("bn",), "BN603", Severity.ERROR, True),
        ("BN102", Severity.INFO, ("bn",), "BN603", Severity.INFO, False),
        ("BN603", Severity.ERROR, ("bn",), "BN102", Severity.ERROR, False),
        ("BN603", Severity.ERROR, ("bn",), "BN603", Severity.ERROR, False),
        ("BN401", Severity.ERROR, (), "BN102", Severity.ERROR, False),
        ("BN401", Severity.ERROR, ("bn",), "BN102", Severity.ERROR, True),
        ("BN706", Severity.INFO, ("bn",), "BN603", Severity.INFO, False),
    ],
)
def test_which_finding_makes_another_superfluous(
    cause: str, severity: Severity, layers: tuple[str, ...], effect: str, other: Severity, does: bool
) -> None:
    one, two = (
        Finding(code, each, names, "It is so.", "Do so.", Measure("finding", 1.0))
        for code, each, names in ((cause, severity, layers), (effect, other, ("bn",)))
    )
    assert _explains(find_rule(cause), one, find_rule(effect), two) is does


@pytest.mark.parametrize("limit", [None, 0.0, 0.5, math.inf])
def test_a_limit_is_at_least_0(limit: float | None) -> None:
    require_limit(limit)


@pytest.mark.parametrize("limit", [-0.1, math.nan])
def test_what_is_no_limit_is_refused(limit: float) -> None:
    with pytest.raises(UsageError, match="must be at least 0"):
        require_limit(limit)


def test_what_exceeds_a_limit_is_an_error() -> None:
    assert beyond_limit("bn", 0.5, 0.5) is None
    found = beyond_limit("", 0.6, 0.5, noise=0.1)
    assert found is not None
    assert (found.code, found.severity, found.layers) == ("BN600", Severity.ERROR, ("",))
    assert found.message == "The model: the gap is 0.6, above the limit of 0.5."
    assert found.measure == Measure("gap", 0.6, noise=0.1, limit=0.5)
    assert found.evidence == {"gap": 0.6, "limit": 0.5}
    found = beyond_limit("bn", math.nan, 0.5, noise=math.nan)
    assert found is not None
    assert found.message == "bn: the gap is not a number, above the limit of 0.5."
    assert found.measure == Measure("gap", None, noise=0.0, limit=0.5)
    assert found.evidence == {"gap": "nan", "limit": 0.5}
    assert beyond_limit("bn", 0.6, 0.5).measure.noise == 0.0  # type: ignore[union-attr]


def test_layers_are_counted_added_up_or_the_worst_stands_for_them() -> None:
    assert layers_counted("ab") == Measure("layer", 2, {"a": 1, "b": 1})
    assert total("channel", {"a": 3, "b": 4}) == Measure("channel", 7, {"a": 3, "b": 4})
    assert worst("gap", {"a": 0.5, "b": 0.7}, noise=0.1, limit=0.2) == Measure(
        "gap", 0.7, {"a": 0.5, "b": 0.7}, noise=0.1, limit=0.2
    )
    assert worst("gap", {"a": 0.5, "b": math.inf}) == Measure("gap", None, {"a": 0.5})
    assert worst("gap", {}) == Measure("gap", None)
    assert single("gap", 1, noise=math.nan, limit=0.3) == Measure("gap", 1.0, noise=0.0, limit=0.3)
    assert single("gap", math.nan, noise=0.2) == Measure("gap", None, noise=0.2)


def test_the_largest_noise_counts_over_the_channels_that_are_seen() -> None:
    noisy = replace(measured(0.1), noise=np.array([3.0, 4.0]))
    assert noise_of([]) == 0.0
    assert noise_of([measured(0.1), noisy]) == pytest.approx(math.sqrt(12.5))
    assert noise_of([replace(noisy, hidden=np.array([True, False]))]) == 4.0
    assert noise_of([replace(noisy, noise=np.full(2, math.nan))]) == 0.0


def test_five_layers_are_named_and_the_others_counted() -> None:
    assert some_names(["a", "", "c"]) == "a, the model itself, c"
    assert some_names(list("abcde")) == "a, b, c, d, e"
    assert some_names(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert name_some([layer("a"), layer("b")]) == "a, b"


def test_channels_and_numbers_in_words() -> None:
    assert channels_in_words(np.array([1]), layer()) == "channel 1"
    assert channels_in_words(np.array([0, 1]), layer()) == "2 of 2 channels"
    assert [shown(value) for value in (1.5, math.nan, math.inf)] == [1.5, None, None]


def test_a_finding_that_another_explains_is_left_out_and_the_gravest_come_first() -> None:
    seen = replace(
        evidence(measured(1.0)), layers=(layer("c", var=np.full(2, -1.0)), layer("d", updates=0)), max_gap=0.5
    )
    assert [finding.code for finding in judge(seen)] == ["BN202", "BN600", "BN104"]
    assert [finding.code for finding in judge(seen, {"BN104"})] == ["BN104"]
    assert judge(seen, set()) == ()


@pytest.mark.parametrize(
    ("share", "samples", "decided"),
    [
        (0.25, 1000, True),  # 3.29 standard errors are 0.045, and 0.25 less these is above 0.2
        (0.24, 1000, False),
        (0.0, 300, True),  # nothing was seen in 300, so 3 of 300 are the most: 0.01
        (0.0, 299, False),
        (0.002, 1000, True),  # 0.002 and 0.00465
        (0.006, 1000, False),  # 0.006 and 0.00803
    ],
)
def test_a_look_ends_the_matter_by_the_share_that_changes(share: float, samples: int, decided: bool) -> None:
    one = effect(predictions_changed=share, samples=samples, predictions=samples)
    assert is_decided(evidence(measured(0.5), effect=one), ()) is decided


@pytest.mark.parametrize(
    ("share", "samples", "told"),
    [
        (0.0632, 1000, Harm.SHOWN),  # 1.645 standard errors are 0.01266
        (0.0625, 1000, Harm.UNKNOWN),  # and 0.01259
        (0.2, 10_000, Harm.SHOWN),
        (0.21, 10_000, Harm.LARGE),
        (0.0, 300, Harm.EXCLUDED),
        (0.0, 299, Harm.UNKNOWN),
        (0.004, 1000, Harm.EXCLUDED),  # 1.96 standard errors are 0.0039
        (0.0065, 1000, Harm.UNKNOWN),  # and 0.0050
    ],
)
def test_predictions_that_change_tell_a_harm_by_their_standard_error(share: float, samples: int, told: Harm) -> None:
    assert harm_of(effect(predictions_changed=share, samples=samples)) is told


def test_the_most_that_may_change_by_so_many_samples() -> None:
    assert most_changed(0.2, 100) == pytest.approx(0.2 + 1.96 * 0.04)
    assert most_changed(0.0, 100) == 0.03
    assert most_changed(0.2, 0) == math.inf


def test_a_page_may_hold_the_line_that_ends_its_head(tmp_path: Path) -> None:
    head = 'severity = "info"\nneeds = ["statistics"]\n'
    page = "# BN699: so\n\n+++\nmore\n+++\nand more\n"
    (tmp_path / "bn699.md").write_text(f"+++\n{head}+++\n\n{page}", "utf-8")
    (tmp_path / "bn699.py").write_text("", "utf-8")
    assert read_rule(tmp_path / "bn699.md").page == page
