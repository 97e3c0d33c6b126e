"""This run against an earlier one: what has moved, with the noise of both, and what cannot be compared."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from sharing import network

import bncheck
from bncheck.core import LayerSeen, SampleMoments, moved, rms
from bncheck.data import DataOptions
from bncheck.errors import UnreadableError, UsageError
from bncheck.results import Report


def day(seed: int, samples: int = 600, shift: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    x = torch.randn(samples, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x * scale + shift


@pytest.fixture(scope="module")
def yesterday(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("against") / "yesterday.safetensors"
    bncheck.write_moments(network(), day(1), path, fast=True)
    return path


def against(path: Path, data: object, **options: object) -> Report:
    return bncheck.inspect(network(), data, against=path, fast=True, **options)  # type: ignore[arg-type]


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


def test_data_that_moved_are_found_layer_by_layer_and_fail_the_run(yesterday: Path) -> None:
    report = against(yesterday, day(2, shift=0.8))
    (finding,) = [one for one in report.findings if one.code == "BN614"]
    assert finding.severity == "warning"
    assert finding.layers[0] == "1"
    assert report.summary.exit_code == 1
    assert report.drift is not None
    first = report.drift.layers[0]
    assert (first.name, report.drift.samples_then) == ("1", 600)
    assert first.sure_gap is not None
    assert first.gap is not None
    assert first.noise is not None
    assert first.gap > first.sure_gap > 0.25 > first.noise
    assert finding.measure.layers["1"] == pytest.approx(first.gap)
    assert "yesterday.safetensors" in finding.message
    frame = report.to_frame()
    assert frame["drift"].tolist() == pytest.approx([layer.gap for layer in report.drift.layers])


def test_the_drift_is_the_gap_between_the_two_runs_own_moments(yesterday: Path) -> None:
    net = network()
    with torch.no_grad():
        then, now = (net[0](data).transpose(0, 1).flatten(1).numpy() for data in (day(1), day(2, shift=0.8)))
    sigma = np.sqrt(then.var(1) + net[1].eps)
    expected = np.sqrt(
        ((now.mean(1) - then.mean(1)) / sigma) ** 2 + (np.sqrt(now.var(1) + net[1].eps) / sigma - 1) ** 2
    )
    report = against(yesterday, day(2, shift=0.8))
    assert report.drift is not None
    assert report.drift.layers[0].gap == pytest.approx(rms(expected), rel=1e-4)


@pytest.mark.parametrize(
    "data",
    [day(3), day(3, samples=9, shift=0.1), day(4, samples=7, shift=3.0), day(5, shift=0.1)],
    ids=["another day", "few samples", "too few to be sure of anything", "a little brighter"],
)
def test_near_misses(yesterday: Path, data: torch.Tensor) -> None:
    report = against(yesterday, data)
    assert "BN614" not in codes(report)
    assert report.drift is not None
    if len(data) == 7:
        assert report.drift.gap is not None
        assert report.drift.gap > 1  # shown in the table, and no finding
        assert {layer.sure_gap for layer in report.drift.layers} == {0.0}


def test_a_model_that_never_fitted_tells_no_drift_of_data_that_stay(yesterday: Path) -> None:
    """The network's second layer is off by 0.7: that is its gap, and nothing has moved."""
    report = against(yesterday, day(6))
    assert report["4"].gap is not None
    assert report["4"].gap > 0.5
    assert "BN614" not in codes(report)


def test_only_sure_drift_is_found_however_many_layers_are_looked_at() -> None:
    """Two runs of the same source, 12 samples each, whose channels all move together: 200 layers."""
    rng = np.random.default_rng(0)

    def run() -> LayerSeen:
        rows = SampleMoments(np.ones(12), rng.normal(size=(12, 1)) * np.ones(4), np.zeros((12, 4)))
        pooled = rows.pooled()
        return LayerSeen(pooled.mean, pooled.variance, rows, 12)

    found = [moved(run(), run(), 1e-5, layers=200) for _ in range(200)]
    assert max(rms(one.gap.gap) for one in found) > 1
    assert max(one.lower for one in found) < 0.25
    assert rms([rms(one.gap.gap) for one in found]) == pytest.approx(rms([rms(one.noise) for one in found]), rel=0.4)


def test_moments_of_another_model_or_of_other_preprocessing_are_refused(yesterday: Path, tmp_path: Path) -> None:
    other = copy.deepcopy(network())
    with torch.no_grad():
        other[0].weight += 0.01
    with pytest.raises(UsageError, match="was written for Sequential, another model than Sequential"):
        bncheck.inspect(other, day(2), against=yesterday)
    with pytest.raises(UsageError, match=r"was written with another mean \(none\) than this run's \(0.5\)"):
        against(yesterday, day(2), data_options=DataOptions(mean=(0.5,)))
    with pytest.raises(UsageError, match="against is compared with data: name them"):
        bncheck.inspect(network(), against=yesterday)
    (tmp_path / "none.safetensors").write_bytes(b"nothing")
    with pytest.raises(UnreadableError, match=r"none\.safetensors"):
        against(tmp_path / "none.safetensors", day(2))
    with pytest.raises(UsageError, match=r"gone\.safetensors"):
        against(tmp_path / "gone.safetensors", day(2))


def test_sampling_may_differ_between_the_runs(yesterday: Path) -> None:
    report = bncheck.inspect(network(), day(7), against=yesterday, limit=200, seed=5, batch_size=16)
    assert report.drift is not None
    assert "BN614" not in codes(report)


@cache
def documents() -> Report:
    return bncheck.inspect(network(), day(1), fast=True)


def test_without_an_earlier_run_nothing_is_said_of_it() -> None:
    assert documents().drift is None
    assert "drift" not in documents().to_frame()
