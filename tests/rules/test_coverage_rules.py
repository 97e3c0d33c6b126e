"""BN705 (folded away), BN706 (not exercised), BN707 (too few samples): what fires them, and what must not."""

from __future__ import annotations

import re

import pytest
import torch
from digit_nets import SAMPLES, codes, conv_net, only
from hand_built import evidence, measured
from torch import nn

import bncheck
from bncheck.rules.runtime.bn707 import judge as too_few_samples

# BN705


def test_a_frozen_export_has_lost_its_normalization(held_out):
    for data in (None, held_out):
        report = bncheck.inspect(SAMPLES / "folded.torchscript.pt", data)
        finding = only(report, "BN705")
        assert (finding.severity, finding.layer) == ("info", None)
        assert "before the folding" in finding.fix
        assert (report.summary.verdict, report.summary.exit_code) == ("not-checked", 4)


def test_tensors_alone_cannot_tell_folded_from_lost(tmp_path):
    torch.save({"conv.weight": torch.rand(4, 3, 3, 3), "conv.bias": torch.rand(4)}, tmp_path / "net.pth")
    finding = only(bncheck.inspect(tmp_path / "net.pth"), "BN705")
    assert finding.command is not None
    assert "arch" in finding.command
    assert "reference" not in finding.command
    assert finding.fix.startswith("Name the architecture with arch: ")
    assert "were not saved" in finding.message


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
        nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.LayerNorm(10)),
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.LazyLinear(10)),
    ],
    ids=["no convolution", "LayerNorm", "GroupNorm"],
)
def test_models_without_batch_norm_are_not_checked_and_not_blamed(net, held_out):
    net(held_out[0][:2])
    for data in (None, held_out):
        report = bncheck.inspect(net, data)
        assert codes(report) == []
        assert (report.summary.verdict, report.summary.exit_code) == ("not-checked", 4)


# BN706


class Auxiliary(nn.Module):
    """A head that only training runs, and one that this model never calls."""

    def __init__(self) -> None:
        super().__init__()
        self.body = conv_net()
        self.auxiliary = nn.Sequential(nn.Linear(10, 8), nn.BatchNorm1d(8))
        self.spare = nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        scores = self.body(x)
        return (scores, self.auxiliary(scores)) if self.training else scores


def test_a_layer_with_statistics_that_no_sample_reached_is_named(held_out):
    report = bncheck.inspect(Auxiliary(), held_out, select=["BN706"])
    finding = only(report, "BN706")
    assert (finding.severity, finding.layer) == ("info", "auxiliary.1")
    layers = {layer.name: (layer.status, layer.reason) for layer in report.layers}
    assert layers["auxiliary.1"] == ("skipped", "not-exercised")
    assert layers["spare"] == ("skipped", "no-running-statistics")
    assert report.summary.exit_code == 0
    assert bncheck.inspect(Auxiliary(), held_out, select=["BN706"], strict=True).summary.exit_code == 4


def test_without_data_no_layer_is_called_unreached():
    assert codes(bncheck.inspect(Auxiliary())) == []


def test_where_no_layer_was_reached_nothing_was_checked(held_out):
    net = Auxiliary()
    net.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    report = bncheck.inspect(net, held_out)
    assert codes(report) == ["BN706"]
    assert (report.summary.verdict, report.summary.exit_code) == ("not-checked", 4)


# BN707


def test_eight_samples_cannot_tell(healthy, held_out):
    x, y = held_out
    report = bncheck.inspect(healthy, (x[:8], y[:8]))
    finding = only(report, "BN707")
    assert (finding.severity, finding.layer) == ("info", None)
    assert (report.summary.verdict, report.summary.exit_code) == ("inconclusive", 4)
    assert finding.evidence["samples"] == 8
    assert finding.evidence["smallest_detectable_gap"] == report.summary.smallest_detectable_gap
    needed = finding.evidence["samples_needed"]
    advised = int(re.search(r"at least (\d+) samples", finding.fix)[1])
    assert 1.2 * needed < advised < 1.5 * needed + 10
    # The promise is kept: that many, and half as many again for luck, are enough.
    enough = bncheck.inspect(healthy, (x[: needed * 3 // 2], y[: needed * 3 // 2]))
    assert (codes(enough), enough.summary.exit_code) == ([], 0)


@pytest.mark.parametrize("samples", [1, 2, 7])
def test_fewer_than_eight_samples_tell_nothing(held_out, samples):
    """Even where all of them lie far off: how much that varies is not known."""
    x = held_out[0][:samples]
    report = bncheck.inspect(SAMPLES / "unscaled_input.pickled.pt", x, trust_pickle=True)
    finding = only(report, "BN707")
    assert finding.evidence["smallest_detectable_gap"] is None
    assert finding.message.startswith(f"From {samples} sample")
    assert report.summary.exit_code == 4
    assert report.to_dict()["summary"]["smallest_detectable_gap"] is None


def test_samples_that_are_all_alike_tell_no_more_than_one(healthy, held_out):
    report = bncheck.inspect(healthy, held_out[0][:1].expand(200, -1, -1, -1))
    finding = only(report, "BN707")
    assert "The 200 samples do not differ from one another" in finding.message
    assert (report.summary.verdict, report.summary.exit_code) == ("inconclusive", 4)


def test_few_samples_are_enough_for_what_they_show(held_out):
    """An error found on eight samples is still an error."""
    x, y = held_out
    report = bncheck.inspect(SAMPLES / "never_updated.torchscript.pt", (x[:8], y[:8]))
    assert "BN102" in codes(report)
    assert report.summary.exit_code == 1


def test_a_gap_that_has_shown_needs_no_more_samples(healthy, held_out):
    """A hundred times the contrast: the noise is as large as the data, and so is the gap."""
    report = bncheck.inspect(healthy, 100 * held_out[0][:40])
    assert codes(report) == ["BN601"]


@pytest.mark.parametrize(("smallest", "found"), [(0.25, 0), (0.26, 1), (None, 0)])
def test_the_margin_decides(smallest, found):
    assert len(list(too_few_samples(evidence(measured(0.0), smallest_detectable_gap=smallest)))) == found


def test_where_the_moving_average_itself_is_too_short_more_samples_are_not_asked_for():
    (finding,) = too_few_samples(evidence(measured(0.0), smallest_detectable_gap=0.3, samples_needed=None))
    assert "More samples will not do" in finding.fix
