"""BN201 (not finite) and BN202 (negative variance): what fires them, and what must not."""

from __future__ import annotations

import json

import pytest
import torch
from digit_nets import assert_healthy, codes, measure_statistics, only
from torch import nn

import bncheck

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("tensor", "value", "named"),
    [("running_mean", -INF, "mean"), ("running_var", NAN, "variance"), ("weight", NAN, "gamma"), ("bias", INF, "beta")],
)
def test_a_value_that_is_not_finite_is_named_with_its_channel(healthy, tensor, value, named):
    getattr(healthy.blocks[1].bn, tensor).data[3] = value
    finding = only(report := bncheck.inspect(healthy), "BN201")
    assert (finding.severity, finding.layer) == ("error", "blocks.1.bn")
    assert finding.evidence == {f"{named}_not_finite": {"channel_indices": [3], "values": [str(value)]}}
    assert f"{named} (channel 3)" in finding.message
    json.dumps(report.to_dict(), allow_nan=False)


def test_many_bad_channels_are_counted_and_the_first_shown(healthy):
    healthy.blocks[1].bn.running_var.fill_(NAN)
    finding = only(bncheck.inspect(healthy), "BN201")
    assert "variance (32 of 32 channels)" in finding.message
    assert finding.evidence["variance_not_finite"]["channel_indices"] == list(range(8))


def test_every_bad_layer_is_a_finding(healthy):
    healthy.stem.bn.running_mean[0] = NAN
    healthy.blocks[1].bn.running_var[0] = INF
    assert [finding.layer for finding in bncheck.inspect(healthy).findings] == ["stem.bn", "blocks.1.bn"]


def test_layers_without_statistics_are_looked_at_as_well():
    net = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.BatchNorm1d(8))
    net[1].weight.data[0] = NAN
    assert only(bncheck.inspect(net), "BN201").layer == "1"


def test_a_negative_variance_is_named_with_the_lowest(healthy):
    healthy.blocks[1].bn.running_var[[5, 9]] = torch.tensor([-0.25, -1e-20])
    finding = only(bncheck.inspect(healthy), "BN202")
    assert (finding.severity, finding.layer) == ("error", "blocks.1.bn")
    assert finding.evidence == {"channel_indices": [5, 9], "count": 2, "lowest": -0.25}
    assert finding.message.endswith("in 2 of 32 channels, the lowest -0.25 in channel 5.")


def test_a_single_negative_variance_is_named_once(healthy):
    healthy.blocks[1].bn.running_var[3] = -0.1
    assert only(bncheck.inspect(healthy), "BN202").message.endswith("stores a negative variance in channel 3: -0.1.")


def test_negative_infinity_is_both(healthy):
    healthy.stem.bn.running_var[2] = -INF
    report = bncheck.inspect(healthy)
    assert codes(report) == ["BN201", "BN202"]
    json.dumps(report.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "remarks"),
    [(0.0, ["BN203"]), (-0.0, ["BN203"]), (1e-42, ["BN203"]), (1e-13, ["BN203"]), (6e4, []), (1e30, ["BN204"])],
)
def test_zero_denormal_and_huge_variances_are_possible(healthy, value, remarks):
    healthy.blocks[1].bn.running_var[3] = value
    report = bncheck.inspect(healthy)
    assert_healthy(report)
    assert codes(report) == remarks


def test_channels_that_died_are_harmless(healthy, training, held_out):
    """Their variance is 0 to the last digit or a denormal, stored and measured: eps divides, not they."""
    block = healthy.blocks[1]
    block.conv.weight.data[:4] = 0.0
    measure_statistics(healthy, training[0])
    block.bn.running_var[:4] = torch.tensor([0.0, 1e-42, 1e-30, 1e-13])
    assert codes(bncheck.inspect(healthy)) == ["BN203"]
    report = bncheck.inspect(healthy, held_out)
    assert_healthy(report)
    assert codes(report) == []
    table = next(layer.table for layer in report.layers if layer.name == "blocks.1.bn")
    assert table is not None
    assert table.measured_var[:4].tolist() == [0.0] * 4
    assert table.gap[:4].tolist() == pytest.approx([0.0] * 4, abs=1e-6)


def test_half_precision_keeps_values_possible(healthy):
    assert only(bncheck.inspect(healthy.half()), "BN205").severity == "info"
