"""The verdict and the exit code: a table worked by hand, and what holds for all reports."""

from __future__ import annotations

import pytest
from hand_made import UNTOLD
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.errors import UsageError
from bncheck.gate import FAIL_ON, Coverage, fail_on_named, judge_findings
from bncheck.results.finding import Finding
from bncheck.results.report import SEVERITIES
from bncheck.vocabulary import FailOn, Severity

REPEATABLE = settings(derandomize=True, deadline=None)
FULL = Coverage(with_statistics=3, measured=3, conclusive=True, incomplete=False)
STATIC = Coverage(with_statistics=3, measured=None, conclusive=True, incomplete=False)
PARTIAL = Coverage(with_statistics=3, measured=2, conclusive=True, incomplete=True)
TOO_FEW = Coverage(with_statistics=3, measured=3, conclusive=False, incomplete=False)
NONE_REACHED = Coverage(with_statistics=3, measured=0, conclusive=False, incomplete=True)
NO_LAYERS = Coverage(with_statistics=0, measured=0, conclusive=False, incomplete=False)
NO_LAYERS_STATIC = Coverage(with_statistics=0, measured=None, conclusive=True, incomplete=True)

coverages = st.builds(
    Coverage,
    with_statistics=st.integers(0, 3),
    measured=st.none() | st.integers(0, 3),
    conclusive=st.booleans(),
    incomplete=st.booleans(),
)
severities = st.lists(st.sampled_from(SEVERITIES), max_size=4)


def found(*names: str) -> list[Finding]:
    return [Finding("BN603", Severity(severity), (), "message", "fix", measure=UNTOLD) for severity in names]


@pytest.mark.parametrize(
    ("names", "coverage", "verdict", "at_error", "at_warning", "at_never", "strict"),
    [
        ([], FULL, "ok", 0, 0, 0, 0),
        ([], STATIC, "ok", 0, 0, 0, 0),
        ([], PARTIAL, "ok", 0, 0, 0, 4),
        ([], TOO_FEW, "inconclusive", 4, 4, 4, 4),
        ([], NONE_REACHED, "not-checked", 4, 4, 4, 4),
        ([], NO_LAYERS, "not-checked", 4, 4, 4, 4),
        ([], NO_LAYERS_STATIC, "not-checked", 4, 4, 4, 4),
        (["info"], FULL, "ok", 0, 0, 0, 0),
        (["info"], TOO_FEW, "inconclusive", 4, 4, 4, 4),
        (["warning"], FULL, "findings", 0, 1, 0, 1),
        (["warning"], PARTIAL, "findings", 0, 1, 0, 1),
        (["warning"], TOO_FEW, "findings", 4, 1, 4, 1),
        (["error"], FULL, "findings", 1, 1, 0, 1),
        (["error", "info"], STATIC, "findings", 1, 1, 0, 1),
        (["error"], TOO_FEW, "findings", 1, 1, 4, 1),
        (["info", "warning", "error"], NONE_REACHED, "findings", 1, 1, 4, 1),
    ],
)
def test_the_table(
    names: list[str],
    coverage: Coverage,
    verdict: str,
    at_error: int,
    at_warning: int,
    at_never: int,
    strict: int,
) -> None:
    """Codes at `--fail-on error`, `warning` and `never`, and at `warning` with `--strict`."""
    judged = {fail_on: judge_findings(found(*names), coverage, fail_on=fail_on) for fail_on in FAIL_ON}
    assert {each.verdict for each in judged.values()} == {verdict}
    assert [judged[name].exit_code for name in FAIL_ON] == [at_error, at_warning, at_never]
    assert judge_findings(found(*names), coverage, fail_on=FailOn.WARNING, strict=True).exit_code == strict


@REPEATABLE
@given(severities, coverages, st.sampled_from(FAIL_ON), st.booleans())
def test_0_is_never_given_for_what_was_not_looked_at(
    names: list[str], coverage: Coverage, fail_on: str, strict: bool
) -> None:
    code = judge_findings(found(*names), coverage, fail_on=fail_on, strict=strict).exit_code
    assert code in (0, 1, 4)
    if coverage.with_statistics == 0 or coverage.measured == 0 or not coverage.conclusive:
        assert code != 0
    if strict and coverage.incomplete:
        assert code != 0


@REPEATABLE
@given(severities, coverages, st.booleans())
def test_never_gives_no_1_and_changes_no_4(names: list[str], coverage: Coverage, strict: bool) -> None:
    never = judge_findings(found(*names), coverage, fail_on=FailOn.NEVER, strict=strict).exit_code
    assert never != 1
    for fail_on in (FailOn.ERROR, FailOn.WARNING):
        code = judge_findings(found(*names), coverage, fail_on=fail_on, strict=strict).exit_code
        assert code in (1, never)


@REPEATABLE
@given(severities, coverages, st.sampled_from(FAIL_ON))
def test_strict_only_ever_turns_0_into_4(names: list[str], coverage: Coverage, fail_on: str) -> None:
    lenient = judge_findings(found(*names), coverage, fail_on=fail_on)
    strict = judge_findings(found(*names), coverage, fail_on=fail_on, strict=True)
    assert strict.verdict == lenient.verdict
    assert (lenient.exit_code, strict.exit_code) in {(0, 0), (0, 4), (1, 1), (4, 4)}


@REPEATABLE
@given(severities, coverages, st.sampled_from(FAIL_ON), st.booleans())
def test_info_changes_nothing(names: list[str], coverage: Coverage, fail_on: str, strict: bool) -> None:
    def judged(*given: str) -> object:
        return judge_findings(found(*given), coverage, fail_on=fail_on, strict=strict)

    assert judged(*names, "info") == judged(*names)


@pytest.mark.parametrize(("fail_on", "meant"), [("info", ""), ("Error", r" \(did you mean error\?\)"), ("", "")])
def test_other_words_for_fail_on_are_refused(fail_on: str, meant: str) -> None:
    with pytest.raises(UsageError, match=rf"^fail_on {fail_on}{meant}: choose one of error, warning, never\.$"):
        fail_on_named(fail_on)


@pytest.mark.parametrize("fail_on", FailOn)
def test_a_severity_is_known_by_its_name(fail_on: FailOn) -> None:
    assert fail_on_named(fail_on.value) is fail_on
