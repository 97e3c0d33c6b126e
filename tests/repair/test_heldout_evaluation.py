"""When a repair is said to be better, worse or neither, and what happens then."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from repair_nets import ARCH, images, stale_net
from torch import nn

import bncheck
from bncheck.errors import RefusedError, UsageError
from bncheck.evidence import EffectEvidence, Improvement, TaskEffect
from bncheck.repair.evaluation.comparison import outcome_of, samples_needed
from bncheck.results.repair import BETTER, NO_DIFFERENCE, TOO_FEW, UNDECIDED, WORSE, RepairResult
from bncheck.results.report import Report
from bncheck.rules.judging.cost import what_helps
from bncheck.user_code import import_callable

SAMPLES = Path(__file__).parents[2] / "sample_models"
NET = f"{SAMPLES / 'digits_net.py'}:build"
PLAIN = EffectEvidence(None, None, None, None, 100, None, samples=400)


def with_gain(gain: float, error: float | None, samples: int = 400) -> EffectEvidence:
    """Accuracy on so many samples; a metric that has no error where that is `None`."""
    known = error is not None and math.isfinite(error)
    score = Improvement(0.5, 0.5 + gain, gain, error if known else math.inf, 1, 1, samples)
    return replace(PLAIN, task=TaskEffect("classes" if known else "metric", "accuracy", True, known, score))


@pytest.fixture(scope="module")
def report() -> Report:
    return bncheck.inspect(stale_net(), images())


def with_gap(report: Report, gap: float) -> Report:
    return replace(report, summary=replace(report.summary, gap=gap))


@pytest.mark.parametrize(
    ("gain", "error", "outcome"),
    [
        (0.05, 0.01, BETTER),
        (0.02, 0.01, BETTER),
        (0.004, 0.002, NO_DIFFERENCE),
        (0.01, 0.01, NO_DIFFERENCE),
        (0.0, 0.0, NO_DIFFERENCE),
        (-0.005, 0.004, NO_DIFFERENCE),
        (-0.005, 0.002, WORSE),
        (-0.01, 0.02, WORSE),
        (0.001, None, UNDECIDED),
        (0.3, None, UNDECIDED),
        (-0.001, None, UNDECIDED),
        (-0.3, None, WORSE),
        (0.0, None, NO_DIFFERENCE),
        (math.nan, None, UNDECIDED),
    ],
)
def test_labels_decide(report: Report, gain: float, error: float | None, outcome: str) -> None:
    assert outcome_of(with_gain(gain, error), with_gap(report, 0.1), with_gap(report, 9.0)) == outcome


def test_what_an_inspection_says_to_leave_no_repair_calls_better() -> None:
    for gain, error, samples in product((-0.02, 0.0, 0.004, 0.02, 0.3), (0.0005, 0.002, 0.01, 0.1, None), (100, 1000)):
        effect = with_gain(gain, error, samples)
        told = what_helps(effect)
        if outcome_of(effect, None, None) == BETTER:
            assert "Leave" not in told
            assert "does not help" not in told
            assert "more samples" not in told
        if told.startswith("Recalibrate the statistics"):
            assert outcome_of(effect, None, None) == BETTER


@pytest.mark.parametrize(("changed", "samples", "outcome"), [
    (0.0, 400, NO_DIFFERENCE), (0.0, 200, UNDECIDED), (0.005, 400, UNDECIDED), (0.5, 400, UNDECIDED)
])  # fmt: skip
def test_without_labels_only_what_changes_next_to_nothing_makes_no_difference(
    report: Report, changed: float, samples: int, outcome: str
) -> None:
    assert outcome_of(replace(PLAIN, predictions_changed=changed, samples=samples), report, report) == outcome


def test_without_predictions_the_gap_must_not_grow_beyond_the_margin(report: Report) -> None:
    moved = replace(PLAIN, output_change=0.4)
    assert outcome_of(moved, with_gap(report, 0.3), with_gap(report, 0.5)) == WORSE
    assert outcome_of(moved, with_gap(report, 0.05), with_gap(report, 0.1)) == UNDECIDED
    assert outcome_of(moved, with_gap(report, 0.5), with_gap(report, math.nan)) == WORSE
    for bad, outcome in (((3, 0), BETTER), ((3, 3), NO_DIFFERENCE), ((0, 3), WORSE)):
        lost = replace(PLAIN, output_change=math.nan, not_finite=bad)
        assert outcome_of(lost, with_gap(report, math.nan), report) == outcome
    assert outcome_of(replace(PLAIN, output_change=0.001), report, report) == NO_DIFFERENCE
    assert outcome_of(None, report, report) == UNDECIDED


def inverted(part: str) -> tuple[np.ndarray, np.ndarray]:
    """White on black for black on white: the statistics of such images are no cure (they are measured to hurt)."""
    with np.load(SAMPLES / f"digits_{part}.npz") as data:
        return 1 - data["x"], data["y"]


@pytest.mark.slow
def test_a_repair_that_hurts_is_not_written_unless_forced(tmp_path: Path) -> None:
    out, rightly = tmp_path / "out.pt", SAMPLES / "digits_eval.npz"
    result = bncheck.repair_file(
        SAMPLES / "healthy.pt", inverted("train"), heldout=rightly, out=out, arch=NET, limit=400
    )
    assert (result.outcome, result.refused, result.exit_code, result.path) == (WORSE, True, 1, None)
    assert result.comparison.accuracy_after < result.comparison.accuracy_before
    assert not list(tmp_path.iterdir())
    forced = bncheck.repair_file(
        SAMPLES / "healthy.pt", inverted("train"), heldout=rightly, out=out, arch=NET, limit=400, force=True
    )
    assert (forced.outcome, forced.refused, forced.path) == (WORSE, False, str(out))
    assert out.exists()


@pytest.mark.slow
def test_what_new_statistics_would_only_hide_is_refused_unless_forced(tmp_path: Path) -> None:
    """Inverted images, and a wrong eps: the repaired model would be spoiled for the right ones."""
    out, judged = tmp_path / "out.pt", inverted("eval")
    with pytest.raises(
        RefusedError, match=r"(?s)BN601 speaks of the data: The input is inverted.*force writes the file"
    ):
        bncheck.repair_file(SAMPLES / "healthy.pt", inverted("train"), heldout=judged, out=out, arch=NET, limit=400)
    with pytest.raises(RefusedError, match=r"BN302 speaks of eps.*Build these layers with eps="):
        bncheck.repair_file(
            SAMPLES / "healthy.pt", SAMPLES / "digits_train.npz", out=out, arch=with_eps_of_1, limit=400
        )
    assert not list(tmp_path.iterdir())
    assert bncheck.repair_file(
        SAMPLES / "healthy.pt", inverted("train"), heldout=judged, out=out, arch=NET, limit=400, force=True
    ).path == str(out)


def with_eps_of_1() -> nn.Module:
    net = import_callable(NET, "arch")()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.eps = 1.0
    return net


@pytest.mark.slow
def test_the_held_out_accuracies_are_those_of_the_two_files(tmp_path: Path) -> None:
    with np.load(SAMPLES / "digits_eval.npz") as data:
        x, y = torch.from_numpy(data["x"]), torch.from_numpy(data["y"])
    result = bncheck.repair_file(
        SAMPLES / "stale_statistics.ckpt",
        SAMPLES / "digits_train.npz",
        heldout=SAMPLES / "digits_eval.npz",
        out=tmp_path / "out.ckpt",
        arch=NET,
    )
    for path, told, report in (
        (SAMPLES / "stale_statistics.ckpt", result.comparison.accuracy_before, result.before),
        (tmp_path / "out.ckpt", result.comparison.accuracy_after, result.after),
    ):
        state = torch.load(path)["state_dict"]
        net = bncheck.user_code.import_callable(NET, "--arch")()
        net.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})
        with torch.no_grad():
            plain = float((net.eval()(x).argmax(1) == y).double().mean())
        assert told == pytest.approx(plain, abs=1e-9)
        assert report.effect.accuracy.stored == pytest.approx(plain, abs=1e-9)
    assert result.after.model.path == str(tmp_path / "out.ckpt")
    assert result.after.summary.verdict == "ok"


def test_cross_fitted_nothing_is_judged_by_what_it_was_fitted_to(tmp_path: Path) -> None:
    # Twelve samples of noise: the file fits them perfectly, and cross-fitting shows that this is worth nothing.
    x = np.random.default_rng(0).normal(size=(12, 2, 7, 6)).astype(np.float32)
    torch.save(stale_net().state_dict(), tmp_path / "net.pt")
    result = bncheck.repair_file(tmp_path / "net.pt", x, out=tmp_path / "out.pt", arch=ARCH, force=True)
    assert result.judged == "cross-fitted"
    fitted = {layer.name: layer.gap for layer in result.after.layers}
    for layer in result.layers:
        assert layer.gap_after > 2 * fitted[layer.name]
        assert layer.own_after == layer.gap_after


def test_statistics_of_too_few_samples_are_not_written_unless_forced_or_blended(tmp_path: Path) -> None:
    with np.load(SAMPLES / "digits_train.npz") as data:
        few = data["x"][:12]

    def repaired(**options: Any) -> RepairResult:
        return bncheck.repair_file(SAMPLES / "healthy.pt", few, out=tmp_path / "out.pt", arch=NET, **options)

    result = repaired()
    assert (result.outcome, result.refused, result.exit_code, result.path) == (TOO_FEW, True, 4, None)
    assert result.samples_needed is not None
    assert 20 < result.samples_needed < 40  # with 16 of them it is 31, and 40 are enough
    assert not list(tmp_path.iterdir())
    assert repaired(method="blend", prior=100.0).path == str(tmp_path / "out.pt")
    assert repaired(force=True, overwrite=True).path == str(tmp_path / "out.pt")


@pytest.mark.parametrize(
    ("errors", "needed"),
    [({"a": 0.1, "b": 0.15}, None), ({"a": 0.1, "b": 0.304}, 48), ({"a": math.inf, "b": 0.1}, None), ({}, None)],
)
def test_samples_are_too_few_where_a_mean_may_be_off_by_the_margin(
    errors: dict[str, float], needed: int | None
) -> None:
    # 1.645 standard errors against a margin of 0.25: 0.304 is twice what is allowed, so four times the samples.
    found = samples_needed(errors, 12)
    assert found == needed or (found is not None and needed is not None and abs(found - needed) <= 1)


@pytest.mark.slow
def test_what_the_file_still_lacks_decides_the_exit_code(tmp_path: Path) -> None:
    state = torch.load(SAMPLES / "stale_statistics.ckpt")["state_dict"]
    state = {name.removeprefix("model."): value for name, value in state.items()}
    idle = {"idle.weight": torch.ones(3), "idle.bias": torch.zeros(3), "idle.running_mean": torch.zeros(3)}
    torch.save(state | idle | {"idle.running_var": torch.full((3,), math.nan)}, tmp_path / "net.pt")
    result = bncheck.repair_file(
        tmp_path / "net.pt",
        SAMPLES / "digits_train.npz",
        out=tmp_path / "out.pt",
        arch=f"{__file__}:with_idle_layer",
        limit=600,
    )
    assert result.outcome == BETTER
    assert [(layer.name, layer.reason) for layer in result.layers if not layer.changed] == [("idle", "not-exercised")]
    assert [finding.code for finding in result.after.findings if finding.severity == "error"] == ["BN201"]
    assert (result.path, result.exit_code) == (str(tmp_path / "out.pt"), 1)


def with_idle_layer() -> torch.nn.Module:
    net = bncheck.user_code.import_callable(NET, "--arch")()
    net.idle = torch.nn.BatchNorm1d(3)
    return net


def test_a_method_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"method magic: choose one of recalibrate, blend, instance, renorm"):
        bncheck.repair_file(SAMPLES / "healthy.pt", images(), out=tmp_path / "out.pt", method="magic")


def test_the_result_is_json(tmp_path: Path) -> None:
    import json

    torch.save(stale_net().state_dict(), tmp_path / "net.pt")
    result = bncheck.repair_file(tmp_path / "net.pt", images(), out=tmp_path / "out.pt", arch=ARCH, force=True)
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert document["layers"][0]["name"] == "stem.norm"
    assert document["before"]["summary"]["gap"] > document["after"]["summary"]["gap"]
    assert document["exit_code"] == result.exit_code
