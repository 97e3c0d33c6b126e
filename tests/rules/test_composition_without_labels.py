"""BN610 without labels to group by: recordings that lie together, batches of one, and labels that are no classes."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch
from digit_nets import codes, dense_net
from hand_built import effect, evidence, measured
from torch import nn

import bncheck
from bncheck.core import Exchangeability
from bncheck.evidence import CloserLook, Composition, Grouping
from bncheck.evidence.probed import Probed
from bncheck.rules import judge
from bncheck.rules.sampling.bn605 import judge as not_exchangeable

# Windows of one recording in each batch


def recorded(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows of 16, each recording through an amplifier of its own."""
    number = len(y) // 16
    generator = torch.Generator().manual_seed(len(y))
    offset = 3 * torch.randn((number, 1, 1, 8, 8), generator=generator)
    windows = x[: 16 * number].reshape(number, 16, 1, 8, 8) + offset
    return windows.flatten(0, 1), y[: 16 * number]


@lru_cache(maxsize=2)
def net_of_recordings(by_recording: bool, training) -> nn.Module:
    x, y = recorded(*training)
    torch.manual_seed(0)
    net = dense_net().train()
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    for _ in range(4):
        order = torch.randperm(len(y) // 16) if by_recording else torch.randperm(len(y)).reshape(-1, 16)
        for part in order:
            chosen = slice(16 * int(part), 16 * int(part) + 16) if by_recording else part
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[chosen]), y[chosen]).backward()
            optimizer.step()
    return net.eval()


def test_the_datas_own_order_is_tried_as_groups(training, held_out):
    report = bncheck.inspect(net_of_recordings(True, training), recorded(*held_out))
    (finding,) = [one for one in report.findings if one.severity != "info"]
    assert (finding.code, finding.evidence["grouped_by"]) == ("BN610", Grouping.ORDER.value)
    assert finding.evidence["accuracy_grouped"] > finding.evidence["accuracy_stored"] + 0.2
    assert "of neighbours in the data's own order" in finding.message
    assert f"All data reach {report.effect.accuracy.stored:.1%} by the stored statistics" in finding.message
    assert finding.cost.shipped == report.effect.accuracy.stored


def test_a_net_of_mixed_recordings_does_not_lean_on_them(training, held_out):
    assert "BN610" not in codes(bncheck.inspect(net_of_recordings(False, training), recorded(*held_out)))


def test_in_a_random_order_neighbours_are_no_group(training, held_out):
    x, y = recorded(*held_out)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    assert "BN610" not in codes(bncheck.inspect(net_of_recordings(True, training), (x[order], y[order])))


# Batches of one


def exposed(x: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Each picture at an exposure of its own, and what it should be."""
    gain, level = torch.rand((2, len(x), 1, 1, 1), generator=torch.Generator().manual_seed(seed))
    return (0.2 + 2 * gain) * x + 2 * level, x


@lru_cache(maxsize=2)
def net_of_batches(size: int, training) -> nn.Module:
    x, wanted = exposed(training[0], 1)
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 1, 3, 1, 1)),
    ).train()
    optimizer = torch.optim.Adam(net.parameters(), 0.003 if size == 1 else 0.01)
    for part in torch.randperm(len(x)).split(size)[:600]:
        optimizer.zero_grad()
        nn.functional.l1_loss(net(x[part]), wanted[part]).backward()
        optimizer.step()
    return net.eval()


def test_a_net_of_batches_of_one_is_judged_by_its_own_loss(training, held_out):
    report = bncheck.inspect(net_of_batches(1, training), exposed(held_out[0], 2))
    (finding,) = [one for one in report.findings if one.code == "BN610"]
    assert finding.evidence["grouped_by"] == Grouping.ALONE.value
    assert finding.evidence["loss_grouped"] < 0.9 * finding.evidence["loss_stored"]
    assert "relative squared error" in finding.message
    assert finding.evidence["accuracy_grouped"] is None


def test_pictures_of_other_exposures_are_no_batches_of_one(training, held_out):
    """Normalizing each by itself may help there too; its stored variances are not those within one picture."""
    assert "BN610" not in codes(bncheck.inspect(net_of_batches(32, training), exposed(held_out[0], 2)))


# By hand


def by_loss(lead: float, error: float) -> Probed:
    return Probed(
        composition=Composition(
            False, 1, 64, 64, 0.5 - lead, 0.01, 0.7, 0.5, 0.6, Grouping.ALONE, "relative squared error", lead, error
        )
    )


@pytest.mark.parametrize(("lead", "error", "found"), [(0.2, 0.05, 1), (0.2, 0.1, 0), (0.04, 0.001, 0), (-0.2, 0.01, 0)])
def test_a_loss_must_fall_by_enough_and_beyond_its_noise(lead, error, found):
    findings = judge(evidence(measured(0.1), probed=by_loss(lead, error)), {"BN610"})
    assert len(findings) == found
    for finding in findings:
        assert finding.cost.shipped == 0.5
        assert finding.cost.low == pytest.approx(lead - 1.96 * error)


def test_one_report_has_one_accuracy_as_shipped():
    probed = Probed(composition=Composition(True, 16, 20, 320, 0.92, 0.01, 0.2, 0.645, 0.62))
    (finding,) = judge(
        evidence(measured(0.1), effect=effect(stored=0.637, recalibrated=0.64), probed=probed), {"BN610"}
    )
    assert "63.7%" in finding.message
    assert "64.5%" not in finding.message
    assert (finding.cost.shipped, finding.cost.recalibrated) == (0.637, 0.64)


def test_how_far_batches_differ_is_told_by_numbers_that_are_true():
    order = Exchangeability(32, 30, 13688.0, "bn", 1.1, 0.1)
    (finding,) = not_exchangeable(evidence(measured(0.1), closer=CloserLook(order=order)))
    assert "F = 1.37e+04, where random groups give 1.1" in finding.message
    assert "times" not in finding.message
    assert order.effective_size == pytest.approx(1, abs=0.01)
