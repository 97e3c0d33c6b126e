"""BN501 (updated a whole factor more often), BN702 (pickled in training mode): what fires them, what must not."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from digit_nets import assert_healthy, codes, conv_net, norms, only
from hand_built import evidence, layer, measured
from torch import nn
from torch.utils.checkpoint import checkpoint

import bncheck
from bncheck.evidence import Evidence
from bncheck.rules import judge


def judged(*updates, steps=None, **changes):
    layers = tuple(layer(f"bn{n}", updates=count, **changes) for n, count in enumerate(updates))
    found = judge(Evidence(layers, optimizer_steps=steps), {"BN501"})
    return [(finding.severity, finding.evidence["layers"], finding.evidence["factors"]) for finding in found]


class Checkpointed(nn.Module):
    """Its middle block runs its forward again in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        net = conv_net()
        self.stem, self.block, self.rest = net[:4], net[4:8], net[8:]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = checkpoint(self.block, x, use_reentrant=False) if self.training else self.block(x)
        return self.rest(x)


@pytest.fixture(scope="module")
def checkpointed(training):
    torch.manual_seed(0)
    net, (x, y) = Checkpointed().train(), training
    optimizer = torch.optim.AdamW(net.parameters(), 0.01)
    for _ in range(4):
        for part in torch.randperm(len(y)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[part]), y[part]).backward()
            optimizer.step()
    return net.eval(), optimizer


@pytest.mark.slow
def test_checkpointing_counts_twice(checkpointed, held_out, tmp_path):
    net, optimizer = checkpointed
    torch.save({"model": net.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "last.ckpt")
    for report in (bncheck.inspect(net, held_out), bncheck.inspect(tmp_path / "last.ckpt")):
        assert_healthy(report)
        finding = only(report, "BN501")
        assert (finding.severity, finding.layer) == ("info", "block.5")
        assert (finding.evidence["factors"], finding.evidence["updates_of_the_others"]) == ([2], 152)
    assert "does not call them so often" in only(bncheck.inspect(net, held_out), "BN501").message


def test_it_counts_by_its_cost_where_the_drift_comes_from_these_layers():
    cost = evidence(measured(1.0)).effect
    worse = {"predictions_changed": 0.4, "changed_by_noise": 0.0}
    for gap, effect_changes, expected in ((1.0, worse, "error"), (1.0, {}, "info"), (0.01, worse, "info")):
        effect = dataclasses.replace(cost, **effect_changes)
        often, once = measured(gap, name="often"), measured(0.01, name="once")
        often = dataclasses.replace(often, layer=layer("often", updates=200))
        (finding,) = judge(evidence(often, once, effect=effect), {"BN501"})
        assert (finding.severity, finding.layer) == (expected, "often")
        elsewhere = dataclasses.replace(often, inherited=once.inherited, lower=once.lower)
        other = dataclasses.replace(measured(gap, name="once"))
        (finding,) = judge(evidence(elsewhere, other, effect=effect), {"BN501"})
        assert finding.severity == "info"


def test_calls_that_explain_the_factor_leave_nothing():
    shared = dataclasses.replace(measured(0.01, name="head"), layer=layer("head", updates=500), calls=5)
    seen = evidence(measured(0.01), shared)
    assert judge(seen, {"BN501"}) == ()
    (finding,) = judge(dataclasses.replace(seen, measured={}), {"BN501"})
    assert finding.evidence["factors"] == [5]


@pytest.mark.parametrize(
    ("updates", "found"),
    [
        ((100, 200, 100), [("info", ["bn1"], [2])]),
        ((300, 100, 200), [("info", ["bn0", "bn2"], [2, 3])]),
        ((100, 250), []),
        ((100, 200, 250), []),
        ((100, 450_100), []),
        ((100, 3300), []),
        ((10, 20), []),
        ((1, 1000), []),
        ((100, None, 100), []),
        ((0, 100, 100), []),
        ((100, 100), []),
    ],
)
def test_whole_factors_of_counts_that_mean_something(updates, found):
    assert judged(*updates) == found


def test_frozen_classes_are_not_counted():
    assert judged(100, 200, trainable_class=False) == []


@pytest.mark.parametrize(
    ("steps", "factors"), [(50, [2]), (100, []), (200, []), (30, []), (3, []), (None, []), (10, [])]
)
def test_updates_for_every_step_of_the_optimizer(steps, factors):
    assert [found[2] for found in judged(100, 100, steps=steps)] == ([factors] if factors else [])


def steps_of(content, folder):
    torch.save(content, folder / "last.ckpt")
    return [finding.evidence["optimizer_steps"] for finding in bncheck.inspect(folder / "last.ckpt").findings]


def adam(net, steps):
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(steps):
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    return optimizer.state_dict()


def test_the_steps_are_read_from_the_checkpoint(healthy, tmp_path):
    for norm in norms(healthy):
        norm.num_batches_tracked.fill_(120)
    state = healthy.state_dict()
    assert steps_of({"model": state, "optimizer": adam(healthy, 30)}, tmp_path) == [30]
    assert steps_of({"state_dict": state, "optimizer_states": [adam(healthy, 40)]}, tmp_path) == [40]
    assert steps_of({"model": state, "g": adam(healthy, 30), "d": adam(healthy, 40)}, tmp_path) == []
    plain = torch.optim.SGD(healthy.parameters(), 0.1).state_dict()
    assert steps_of({"model": state, "optimizer": plain}, tmp_path) == []


# BN702


def test_a_module_pickled_in_training_mode_is_a_remark(tmp_path):
    net = conv_net().train()
    torch.save(net, tmp_path / "net.pt")
    report = bncheck.inspect(tmp_path / "net.pt", trust_pickle=True)
    finding = only(report, "BN702")
    assert (finding.severity, finding.evidence["layers"]) == ("info", ["1", "5", "9"])
    assert report.summary.exit_code == 0
    assert bncheck.inspect(net).findings == ()


@pytest.mark.parametrize("half", [False, True])
def test_frozen_layers_are_not_counted_and_eval_mode_is_quiet(tmp_path, half):
    net = conv_net().train()
    net = net.half() if half else net
    norms(net)[0].eval()
    torch.save(net, tmp_path / "net.pt")
    report = bncheck.inspect(tmp_path / "net.pt", trust_pickle=True, select=["BN702"])
    assert only(report, "BN702").evidence["layers"] == ["5", "9"]
    torch.save(net.eval(), tmp_path / "net.pt")
    assert codes(bncheck.inspect(tmp_path / "net.pt", trust_pickle=True, select=["BN702"])) == []


def test_a_mode_that_changes_nothing_for_the_statistics(tmp_path):
    torch.save(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)).train(), tmp_path / "net.pt")
    assert codes(bncheck.inspect(tmp_path / "net.pt", trust_pickle=True)) == []
