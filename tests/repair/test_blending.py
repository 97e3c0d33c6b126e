"""Blending: the formula, the prior, and how it is chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from repair_nets import ARCH, LAYERS, STATISTICS, expected_statistics, images, stale_net

import bncheck
from bncheck.core.layers import BATCH_NORM, NormLayer
from bncheck.errors import UsageError
from bncheck.repair.methods.blending import blended
from bncheck.watch.policies import Statistics

pytestmark = pytest.mark.usefixtures("without_probes")  # what is written does not hang on them

SAMPLES = Path(__file__).parents[2] / "sample_models"
NET = f"{SAMPLES / 'digits_net.py'}:build"
KEYS = [f"{layer}.{role}" for layer in LAYERS for role in STATISTICS]


def saved(folder: Path, state: dict[str, torch.Tensor] | None = None) -> Path:
    torch.save(stale_net().state_dict() if state is None else state, folder / "net.pt")
    return folder / "net.pt"


def blend(path: Path, **how: object) -> dict[str, torch.Tensor]:
    out = path.parent / "out.pt"
    result = bncheck.repair_file(path, images(), out=out, method="blend", arch=ARCH, force=True, overwrite=True, **how)
    assert result.method == "blend"
    return torch.load(out)


@pytest.mark.parametrize("prior", [0, 30, 90, 9000])
def test_both_moments_are_weighted_by_samples(tmp_path: Path, prior: float) -> None:
    found, stored, data = (
        blend(saved(tmp_path), prior=prior),
        stale_net().state_dict(),
        expected_statistics(stale_net()),
    )
    share = prior / (prior + 90)
    for name in KEYS:
        expected = share * stored[name].double() + (1 - share) * data[name]
        torch.testing.assert_close(found[name].double(), expected, rtol=1e-4, atol=1e-5)


def test_values_that_cannot_be_true_have_no_weight(tmp_path: Path) -> None:
    state = stale_net().state_dict()
    state["stem.norm.running_var"][1] = float("nan")
    state["stem.norm.running_var"][2] = -0.5
    found, data = blend(saved(tmp_path, state), prior=90), expected_statistics(stale_net())
    for channel in range(5):
        stored = float(stale_net().state_dict()["stem.norm.running_var"][channel])
        measured = float(data["stem.norm.running_var"][channel])
        expected = measured if channel in (1, 2) else (stored + measured) / 2
        assert float(found["stem.norm.running_var"][channel]) == pytest.approx(expected, rel=1e-4)


def test_a_missing_layer_takes_the_data_alone() -> None:
    zero, one = np.zeros(2), np.ones(2)
    layer = NormLayer("n", BATCH_NORM, 2, zero, one, missing=True)
    found = blended({"n": layer}, {"n": Statistics(one * 3, one * 4)}, prior=1000, samples=10)
    np.testing.assert_array_equal(found["n"].mean, [3, 3])
    np.testing.assert_array_equal(found["n"].var, [4, 4])


def test_without_labels_there_must_be_a_prior(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no labels to choose the prior by\. .* prior N"):
        blend(saved(tmp_path))


@pytest.mark.parametrize("prior", [-1.0, float("nan"), float("inf")])
def test_a_prior_is_a_number_of_samples(tmp_path: Path, prior: float) -> None:
    with pytest.raises(UsageError, match=r"^prior .*: a number of samples from 0"):
        blend(saved(tmp_path), prior=prior)


def test_a_prior_is_for_blending_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'for method="blend" alone'):
        bncheck.repair_file(saved(tmp_path), images(), out=tmp_path / "out.pt", arch=ARCH, prior=3)


def share_of(result: bncheck.RepairResult) -> float:
    (note,) = [note for note in result.notes if "chosen by cross-validation" in note]
    return float(note.split(": ")[1].split("%")[0]) / 100


@pytest.mark.slow
def test_labels_choose_little_of_statistics_that_describe_nothing_and_much_of_good_ones(tmp_path: Path) -> None:
    shares = {}
    for name, limit in (("stale_statistics.ckpt", 300), ("healthy.pt", 40)):
        result = bncheck.repair_file(
            SAMPLES / name,
            SAMPLES / "digits_train.npz",
            heldout=SAMPLES / "digits_eval.npz",
            out=tmp_path / name,
            method="blend",
            arch=NET,
            limit=limit,
            force=True,
        )
        shares[name] = share_of(result)
        assert result.comparison.accuracy_after > 0.9
    assert shares["stale_statistics.ckpt"] < 0.2 < 0.5 < shares["healthy.pt"]


@pytest.mark.slow
def test_few_samples_of_another_domain_gain_by_blending(tmp_path: Path) -> None:
    # Schneider et al. 2020: with few samples a prior beats both the stored statistics and the data's alone.
    rng = np.random.default_rng(0)
    parts = {}
    for part in ("train", "eval"):
        with np.load(SAMPLES / f"digits_{part}.npz") as data:
            parts[part] = (data["x"] + rng.normal(0, 0.3, data["x"].shape)).astype(np.float32), data["y"]
    few = parts["train"][0][:16], parts["train"][1][:16]
    accuracies = {}
    for prior in (0, 16):
        result = bncheck.repair_file(
            SAMPLES / "healthy.pt",
            few,
            heldout=parts["eval"],
            out=tmp_path / f"{prior}.pt",
            method="blend",
            prior=prior,
            arch=NET,
            force=True,
        )
        accuracies[prior] = result.comparison.accuracy_after
        shipped = result.comparison.accuracy_before
    assert accuracies[16] > max(accuracies[0], shipped)
