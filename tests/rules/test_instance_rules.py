"""BN613: InstanceNorm by stored statistics where each instance's own predict better, and what must not fire it."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from digit_nets import codes, only, train
from hand_built import effect, evidence, layer, measured
from torch import nn

import bncheck
from bncheck.core.layers import BATCH_NORM, INSTANCE_NORM
from bncheck.evidence import CloserLook
from bncheck.rules import judge


def instance_net(*, tracking: bool = True) -> nn.Sequential:
    def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        norm = nn.InstanceNorm2d(outputs, affine=True, track_running_stats=tracking)
        return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), norm, nn.ReLU()]

    return nn.Sequential(*block(1, 12, 1), *block(12, 24, 2), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(24, 10))


@pytest.fixture(scope="module")
def tracked(training) -> nn.Module:
    torch.manual_seed(0)
    return train(instance_net(), training, epochs=4)


def by_instance(net: nn.Module) -> nn.Module:
    other = instance_net(tracking=False)
    other.load_state_dict({name: value for name, value in net.state_dict().items() if name in other.state_dict()})
    return other.eval()


def accuracy(net: nn.Module, data) -> float:
    with torch.no_grad():
        return float((net(data[0]).argmax(1) == data[1]).float().mean())


def test_predictions_by_the_instance_are_better_and_the_layers_are_named(tracked, held_out):
    report = bncheck.inspect(tracked, held_out)
    finding = only(report, "BN613")
    assert finding.severity in ("warning", "error")
    assert finding.layers == ("1", "4")
    assert "track_running_stats=False" in finding.fix
    assert report.summary.exit_code == 1
    found = finding.evidence["score_stored"], finding.evidence["score_by_instance"]
    assert found[1] - found[0] > 0.03
    assert found[1] == pytest.approx(accuracy(by_instance(tracked), held_out), abs=0.04)
    assert (finding.cost.shipped, finding.cost.remedied) == found
    assert finding.cost.remedy == "each instance's own statistics"


def test_scripted_and_exported_layers_are_asked_too(tracked, held_out):
    batch = torch.export.Dim("batch")
    exported = torch.export.export(tracked, (held_out[0][:3],), dynamic_shapes=({0: batch},))
    for model in (torch.jit.script(copy.deepcopy(tracked)), exported):
        assert "BN613" in codes(bncheck.inspect(model, held_out))


def test_the_advice_mends_it(tracked, held_out):
    report = bncheck.inspect(by_instance(tracked), held_out)
    assert codes(report) == []


def test_without_labels_nothing_tells_which_of_the_two_is_right(tracked, held_out):
    assert "BN613" not in codes(bncheck.inspect(tracked, held_out[0]))
    assert codes(bncheck.inspect(tracked)) == []


@pytest.mark.parametrize(
    ("stored", "own", "kind", "found"),
    [
        (0.707, 0.739, INSTANCE_NORM, [("BN613", "warning")]),
        (0.30, 0.84, INSTANCE_NORM, [("BN613", "error")]),
        (0.839, 0.845, INSTANCE_NORM, []),
        (0.839, 0.707, INSTANCE_NORM, []),
        (0.707, 0.839, BATCH_NORM, []),
    ],
)
def test_only_a_sure_gain_of_instance_norms_counts(stored, own, kind, found):
    one = replace(measured(0.1), layer=replace(layer(), kind=kind))
    seen = evidence(one, closer=CloserLook(by_instance=effect(stored=stored, recalibrated=own)))
    assert [(finding.code, finding.severity) for finding in judge(seen, {"BN613"})] == found


def test_the_command_to_type_does_not_recalibrate_what_that_does_not_mend(tracked, held_out):
    report = bncheck.inspect(tracked, held_out)
    told = [finding.command for finding in report.findings] + [report.summary.next]
    assert not any(command and ("recalibrate" in command or "repair" in command) for command in told)
