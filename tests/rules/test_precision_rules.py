"""BN203 (near-zero variance), BN205 (half precision), BN206 (cancellation): what fires them, and what must not."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from digit_nets import ARCH, assert_healthy, codes, dense_net, measure_statistics, norms, only, train
from hand_built import effect, evidence, layer, measured
from torch import nn

import bncheck
from bncheck.core import compare
from bncheck.evidence import Evidence
from bncheck.rules import judge

CODES = {"BN203", "BN205", "BN206"}


def judged(*layers):
    return [(finding.code, finding.severity) for finding in judge(Evidence(layers), CODES)]


# BN203


def test_channels_without_variance_under_a_large_gain_are_one_remark(healthy):
    for norm in norms(healthy)[:2]:
        norm.running_var[:2] = torch.tensor([0.0, 1e-14])
    report = bncheck.inspect(healthy)
    assert_healthy(report)
    finding = only(report, "BN203")
    assert (finding.severity, finding.layer) == ("info", None)
    assert finding.evidence["channel_indices_by_layer"] == {"stem.bn": [0, 1], "blocks.0.body.0.bn": [0, 1]}
    assert finding.evidence["largest_gain"] > 100
    assert "Run it on data (data)" in finding.fix


@pytest.mark.parametrize("eps", [1e-5, None])
@pytest.mark.parametrize("changes", [{"var": np.array([1e-6, 4.0])}, {"weight": np.array([0.003, 1.0])}])
def test_what_gamma_keeps_small_or_varies_a_little(changes, eps):
    assert judged(layer(**({"var": np.array([0.0, 4.0]), "eps": eps} | changes))) == []
    assert judged(layer(var=np.array([0.0, 4.0]), eps=eps)) == [("BN203", "info")]


def test_without_eps_the_gain_has_no_bound():
    (finding,) = judge(Evidence((layer(var=np.array([0.0, 4.0]), eps=0.0, trainable_class=False),)), {"BN203"})
    assert finding.evidence["largest_gain"] is None


def test_a_channel_that_does_vary_on_the_data_is_the_cause_of_the_drift(healthy, held_out):
    healthy.stem.bn.running_var[:4] = 1e-14
    finding = only(bncheck.inspect(healthy, held_out), "BN203")
    assert (finding.layer, finding.severity) == ("stem.bn", "error")
    assert finding.evidence["explains_the_drift"] is True


def test_beside_a_drift_with_another_cause_it_is_a_remark(healthy, held_out):
    x, y = held_out
    healthy.blocks[1].bn.running_var[:4] = 1e-14
    report = bncheck.inspect(healthy, (x * 16, y))
    assert [(finding.code, finding.severity) for finding in report.findings] == [("BN601", "error"), ("BN203", "info")]
    assert report.findings[1].evidence["explains_the_drift"] is False


def test_a_channel_that_is_dead_on_the_data_too_is_not_mentioned(healthy, training, held_out):
    healthy.blocks[1].conv.weight.data[:4] = 0.0
    measure_statistics(healthy, training[0])
    assert codes(bncheck.inspect(healthy)) == ["BN203"]
    report = bncheck.inspect(healthy, held_out)
    assert_healthy(report)
    assert codes(report) == []


# BN205


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_a_remark(healthy, held_out, tmp_path, dtype):
    torch.save(healthy.to(dtype).state_dict(), tmp_path / "half.pt")
    for data in (None, held_out):
        report = bncheck.inspect(tmp_path / "half.pt", data, arch=ARCH)
        assert_healthy(report)
        finding = only(report, "BN205")
        assert (finding.severity, finding.layer) == ("info", None)
        assert finding.evidence["dtypes"] == [str(dtype).removeprefix("torch.")]
        assert 1e-4 < finding.evidence["largest_rounding_gap"] < 0.05


def far_off(x, offset, spread):
    """Digits as (N, 64) features that vary by `spread` around `offset`, the constant ones too."""
    noise = torch.randn(len(x), 64, generator=torch.Generator().manual_seed(0))
    return offset + spread * (4 * (x.flatten(1) - 0.5) + 0.5 * noise)


def norm_first(training, offset, spread):
    """A net that normalizes its input, trained on it around 0 and given the statistics of `offset`."""
    torch.manual_seed(0)
    x, y = training
    net = nn.Sequential(nn.BatchNorm1d(64), *dense_net()[1:])
    train(net, (far_off(x, 0.0, spread), y))
    net[0].running_mean += offset
    return net


class Arch:
    def __init__(self):
        self.net = nn.Sequential(nn.BatchNorm1d(64), *dense_net()[1:])

    def __call__(self):
        return copy.deepcopy(self.net)


def test_rounding_that_is_enough_for_the_drift_is_its_cause(training, held_out, tmp_path):
    net = norm_first(training, offset=40.12, spread=0.1)
    x, y = held_out
    data = (far_off(x, 40.12, 0.1), y)
    assert_healthy(bncheck.inspect(net, data))
    state = {
        name: value.bfloat16() if name.startswith("0.running") else value for name, value in net.state_dict().items()
    }
    torch.save(state, tmp_path / "rounded.pt")
    report = bncheck.inspect(tmp_path / "rounded.pt", data, arch=Arch())
    finding = only(report, "BN205")
    assert finding.severity in ("warning", "error")
    assert (finding.layer, finding.evidence["explains_the_drift"]) == ("0", True)


def test_a_drift_that_rounding_is_too_small_for_keeps_its_own_finding(healthy, held_out, tmp_path):
    torch.save(healthy.half().state_dict(), tmp_path / "half.pt")
    x, y = held_out
    report = bncheck.inspect(tmp_path / "half.pt", (16 * x, y), arch=ARCH)
    assert [(finding.code, finding.severity) for finding in report.findings] == [("BN601", "error"), ("BN205", "info")]


def test_statistics_in_float32_under_half_weights_are_not_meant(healthy):
    net = healthy.half()
    for norm in norms(net):
        norm.float()
    assert codes(bncheck.inspect(net)) == []


# BN206


def test_a_mean_of_many_deviations_is_a_remark():
    far = layer(mean=np.array([0.0, 5000.0]), var=np.full(2, 4.0))
    (finding,) = judge(Evidence((far, layer("near"))), CODES)
    assert (finding.code, finding.severity, finding.layer) == ("BN206", "info", "bn")
    assert finding.evidence["channel_indices_by_layer"] == {"bn": [1]}
    assert finding.evidence["largest_ratio"] == pytest.approx(2500, rel=1e-4)
    assert "off by up to 37%" in finding.message


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": np.array([0.0, 1900.0])},
        {"mean": np.array([0.0, 5000.0]), "var": np.full(2, 1e4)},
        {"mean": np.array([0.0, 3.0]), "var": np.array([1.0, 0.0]), "weight": np.full(2, 0.001)},
        {"mean": np.array([0.0, np.nan])},
        {"mean": np.array([0.0, 5000.0]), "var": np.array([1.0, -1.0])},
    ],
)
def test_means_within_a_thousand_deviations(changes):
    assert judged(layer(**changes)) == []


def test_variances_whose_digits_cancelled_are_the_cause_of_the_drift(training, held_out):
    """Mean 1000, deviation 0.1: the case in which float32 gives a variance of 0 or of nothing but rounding."""
    net = norm_first(training, offset=1000.0, spread=0.1)
    x, y = held_out
    data = (far_off(x, 1000.0, 0.1), y)
    remark = only(bncheck.inspect(net, data), "BN206")
    assert remark.severity == "info"
    seen = far_off(training[0], 1000.0, 0.1)
    net[0].running_var[:] = ((seen * seen).mean(0) - seen.mean(0) ** 2).clamp(min=0)
    finding = only(bncheck.inspect(net, data, ignore=["BN204"]), "BN206")
    assert "no digit of it is certain" in finding.message
    assert finding.severity in ("warning", "error")
    assert finding.evidence["explains_the_drift"] is True


@pytest.mark.parametrize(("mean", "variance", "explained"), [(5000, 9, True), (5000, 400, False), (5010, 9, False)])
def test_only_what_cancelled_digits_can_have_done_is_laid_to_them(mean, variance, explained):
    """Stored are mean 5000 and variance 4, whose digits below 12 are lost."""
    stored = layer(mean=np.full(2, 5000.0), var=np.full(2, 4.0))
    seen = (np.full(2, float(mean)), np.full(2, float(variance)))
    gap = compare(*seen, *stored.statistics, 1e-5)
    drifted = dataclasses.replace(measured(1.0), layer=stored, mean=seen[0], var=seen[1], inherited=gap)
    (finding,) = judge(evidence(drifted, effect=effect(stored=0.5, recalibrated=0.9)), {"BN206"})
    assert finding.evidence["explains_the_drift"] is explained
    assert finding.severity == ("error" if explained else "info")
