"""Recalibrating the samples whose statistics are wrong brings their accuracy back, in every container."""

from __future__ import annotations

from pathlib import Path

import pytest

import bncheck

SAMPLES = Path(__file__).parents[2] / "sample_models"
NET = f"{SAMPLES / 'digits_net.py'}:build"
HEALTHY = 0.993


def repaired(name: str, tmp_path: Path, **how: object) -> bncheck.RepairResult:
    runs_alone = name.endswith((".torchscript.pt", ".pt2"))
    return bncheck.repair_file(
        SAMPLES / name,
        SAMPLES / "digits_train.npz",
        heldout=SAMPLES / "digits_eval.npz",
        out=tmp_path / name,
        arch=None if runs_alone else NET,
        **how,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("never_updated.torchscript.pt", "recalibrate"),
        ("missing_statistics.safetensors", "recalibrate"),
        ("missing_statistics.safetensors", "blend"),
        ("nan_statistics.pt2", "recalibrate"),
        ("nan_statistics.pt2", "blend"),
        ("negative_variance.pth", "recalibrate"),
        ("stale_statistics.ckpt", "recalibrate"),
        ("stale_statistics.ckpt", "blend"),
        ("tampered_layer.safetensors.index.json", "recalibrate"),
    ],
)
def test_stale_statistics_are_brought_within_a_point_of_the_healthy_model(
    name: str, method: str, tmp_path: Path
) -> None:
    result = repaired(name, tmp_path, method=method)
    assert (result.outcome, result.exit_code) == ("better", 0)
    assert result.comparison.accuracy_before < 0.85
    assert result.comparison.accuracy_after == pytest.approx(HEALTHY, abs=0.01)
    assert result.after.summary.gap < 0.25
    assert len(result.changed) == 6


@pytest.mark.slow
def test_a_healthy_model_is_said_to_gain_nothing(tmp_path: Path) -> None:
    result = repaired("healthy.pt", tmp_path)
    assert (result.outcome, result.exit_code) == ("no-difference", 0)
    assert result.comparison.accuracy_after == pytest.approx(HEALTHY, abs=0.005)


@pytest.mark.slow
def test_weights_that_lean_on_the_batch_stay_broken_and_the_page_says_so(tmp_path: Path) -> None:
    from bncheck.render.words.repair import verdict_lines

    result = repaired("one_class_batches.pt", tmp_path)
    assert result.comparison.accuracy_after < 0.75
    assert any("most of what is wrong does not come from the statistics" in line for line in verdict_lines(result))
