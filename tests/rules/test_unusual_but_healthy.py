"""Files that look odd and are right: each stands for real ones that a careless rule would blame."""

from __future__ import annotations

import copy

import pytest
import torch
from digit_nets import (
    ARCH,
    assert_healthy,
    codes,
    conv_net,
    dense_net,
    measure_statistics,
    norms,
    only,
    train,
)
from torch import nn

import bncheck


@pytest.fixture(scope="module")
def after_relu(training) -> nn.Module:
    """A trained net whose BatchNorm follows ReLU."""
    torch.manual_seed(0)
    return train(conv_net(norm_after_relu=True), training)


def assert_healthy_everywhere(net, data, remarks=()):
    """On the file alone, and with data, with and without labels: no warning, and no remarks but these.

    Gives the last report, that with data.
    """
    for given in (None, data, data[0]):
        report = bncheck.inspect(net, given)
        assert_healthy(report)
        assert codes(report) == list(remarks)
    return report


@pytest.mark.slow
def test_a_keras_conversion_keeps_momentum_0_and_counter_0_over_exact_statistics(after_relu, training, held_out):
    net = copy.deepcopy(after_relu)
    for norm in norms(net):
        norm.eps, norm.momentum = 1e-3, 0.0
    measure_statistics(net, training[0])
    for norm in norms(net):
        norm.num_batches_tracked.zero_()
    assert {norm.momentum for norm in norms(net)} == {0.0}
    assert_healthy_everywhere(net, held_out, ["BN301"])


@pytest.mark.parametrize("momentum", [0.9, 0.99, None])
def test_a_momentum_of_another_convention_does_not_blur_good_statistics(healthy, held_out, momentum):
    for norm in norms(healthy):
        norm.momentum = momentum
    assert_healthy_everywhere(healthy, held_out, ["BN301"] if momentum else [])


def test_a_network_fed_0_to_255_has_large_first_variances(healthy, held_out):
    stem = healthy.stem.bn
    stem.running_mean *= 255
    stem.running_var *= 255**2
    assert stem.running_var.max() > 1e3
    x, y = held_out
    assert_healthy_everywhere(healthy, (255 * x, y))


def test_variances_beyond_half_precision_are_right_in_float32(healthy, held_out):
    stem = healthy.stem.bn
    stem.running_mean *= 2000
    stem.running_var *= 2000**2
    assert stem.running_var.max() > 65504
    x, y = held_out
    assert_healthy_everywhere(healthy, (2000 * x, y), ["BN204"])


def test_norms_without_gamma_and_beta(training, held_out):
    torch.manual_seed(0)
    net = dense_net()
    net[2], net[6] = (nn.BatchNorm1d(64, affine=False) for _ in range(2))
    assert_healthy_everywhere(train(net, training), held_out)


def test_two_counter_values_in_one_file(healthy, held_out):
    """The backbone was trained longer than the rest."""
    for norm in norms(healthy)[:3]:
        norm.num_batches_tracked += 450_000
    assert_healthy_everywhere(healthy, held_out)


class FrozenBatchNorm2d(nn.Module):
    """As detectors have it: four buffers and plain arithmetic, no update counter."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None] + shift[:, None, None]


def with_norms(net, build, *, folded):
    """The net with other norms of the same function; `folded` puts the statistics into gamma and beta."""
    net = copy.deepcopy(net)
    for name, norm in [(name, module) for name, module in net.named_modules() if isinstance(module, nn.BatchNorm2d)]:
        other = build(norm.num_features)
        state = {key: value.clone() for key, value in norm.state_dict().items() if key in other.state_dict()}
        if folded:
            scale = state["weight"] / (norm.running_var + norm.eps).sqrt()
            state |= {"weight": scale, "bias": state["bias"] - norm.running_mean * scale}
            state |= {"running_mean": torch.zeros_like(scale), "running_var": other.running_var.clone()}
        other.load_state_dict(state)
        net.set_submodule(name, other)
    return net.eval()


def one_minus_eps(channels):
    norm = nn.BatchNorm2d(channels)
    norm.running_var -= norm.eps
    return norm


@pytest.mark.parametrize("build", [FrozenBatchNorm2d, one_minus_eps], ids=["frozen class", "variance 1 - eps"])
def test_identity_statistics_kept_on_purpose_are_a_folded_layer(healthy, held_out, tmp_path, build):
    net = with_norms(healthy, build, folded=True)
    x, _ = held_out
    torch.testing.assert_close(net(x), healthy(x), rtol=1e-3, atol=1e-3)
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    assert codes(bncheck.inspect(net)) == []
    alone = bncheck.inspect(tmp_path / "weights.pt")
    # Tensors alone do not tell a frozen class from statistics that were never updated: a remark, and no all-clear.
    assert codes(alone) == (["BN102"] if build is FrozenBatchNorm2d else [])
    assert (alone.summary.verdict, alone.summary.exit_code) == ("not-checked", 4)
    for model, arch, data in ((net, None, held_out), (tmp_path / "weights.pt", lambda: net, x)):
        report = bncheck.inspect(model, data, arch=arch)
        assert codes(report) == []
        assert {(layer.status, layer.reason) for layer in report.layers} == {("skipped", "folded")}
        assert (report.summary.verdict, report.summary.exit_code) == ("not-checked", 4)


def test_layers_beside_folded_ones_are_judged_as_ever(healthy, held_out):
    net = copy.deepcopy(healthy)
    net.stem = with_norms(healthy.stem, FrozenBatchNorm2d, folded=True)
    report = bncheck.inspect(net, held_out)
    assert_healthy(report)
    assert [layer.status for layer in report.layers] == ["skipped"] + ["measured"] * 5
    stored, batch = report.effect.accuracy.stored, report.effect.accuracy.batch
    assert abs(stored - batch) < 0.01


@pytest.mark.slow
def test_a_frozen_class_with_statistics_of_its_own_is_measured(healthy, held_out):
    net = with_norms(healthy, FrozenBatchNorm2d, folded=False)
    assert all(layer.status == "measured" for layer in assert_healthy_everywhere(net, held_out).layers)


@pytest.fixture(scope="module")
def around_frozen_norms(training) -> nn.Module:
    """Trained on inverted digits, then on digits with its norms in eval mode."""
    x, y = training
    torch.manual_seed(0)
    net = train(conv_net(norm_after_relu=True), (1 - x, y))
    return train(net, training, epochs=8, rate=0.02, norms_frozen=True)


@pytest.mark.slow
def test_weights_trained_around_frozen_statistics_need_them(around_frozen_norms, held_out):
    report = bncheck.inspect(around_frozen_norms, held_out)
    assert_healthy(report)
    finding = only(report, "BN603")
    assert finding.evidence["gap_lower_bound"] > 0.5
    assert finding.evidence["predictions_changed"] > 0.05
    unlabelled = only(bncheck.inspect(around_frozen_norms, held_out[0]), "BN603")
    assert "Give labels" in unlabelled.fix  # nothing else tells these from stale statistics
    accuracy = report.effect.accuracy
    assert accuracy.stored > accuracy.recalibrated + 0.05


class StandardizedConv(nn.Conv2d):
    """Normalizes its kernel, not its input, through the batch norm operator."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = self.weight.reshape(1, self.out_channels, -1)
        weight = nn.functional.batch_norm(flat, None, None, training=True, momentum=0.0)
        return nn.functional.conv2d(x, weight.reshape_as(self.weight), None, self.stride, self.padding)


@pytest.mark.slow
def test_weight_standardisation_is_no_layer(training, held_out):
    torch.manual_seed(0)
    net = conv_net()
    net[0] = StandardizedConv(1, 16, 3, padding=1, bias=False)
    train(net, training, epochs=6)
    assert [layer.name for layer in assert_healthy_everywhere(net, held_out).layers] == ["1", "5", "9"]


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 2, 10])
def test_a_short_fine_tune_with_a_fresh_counter(healthy, training, held_out, steps):
    for norm in norms(healthy):
        norm.num_batches_tracked.zero_()
    train(healthy, training, rate=0.005, steps=steps)
    assert {int(norm.num_batches_tracked) for norm in norms(healthy)} == {steps}
    assert_healthy_everywhere(healthy, held_out, ["BN104"])
    assert bncheck.inspect(healthy, held_out, limit=100).summary.exit_code == 0


@pytest.mark.slow
def test_averaged_weights_whose_buffers_were_copied_along(healthy, training, held_out):
    average = copy.deepcopy(healthy)
    for seed in range(20):
        train(healthy, training, rate=0.005, steps=1, seed=seed)
        for mine, theirs in zip(average.parameters(), healthy.parameters(), strict=True):
            mine.data.lerp_(theirs.data, 0.1)
        for mine, theirs in zip(average.buffers(), healthy.buffers(), strict=True):
            mine.copy_(theirs)
    assert_healthy_everywhere(average, held_out)


def test_a_half_precision_checkpoint(healthy, held_out, tmp_path):
    torch.save(healthy.half().state_dict(), tmp_path / "half.pt")
    for data in (held_out, held_out[0]):
        report = bncheck.inspect(tmp_path / "half.pt", data, arch=ARCH)
        assert_healthy(report)
        assert codes(report) == ["BN205"]


def test_a_module_in_half_precision(healthy, held_out):
    x, y = held_out
    assert_healthy(bncheck.inspect(healthy.half(), (x[:100], y[:100])))


class Pyramid(nn.Module):
    """One head with one BatchNorm serves five levels of a pyramid, whose features differ in mean and scale."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(self._block(1 if level == 0 else 16) for level in range(5))
        self.head = self._block(16)
        self.scores = nn.Linear(16, 10)

    @staticmethod
    def _block(inputs: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inputs, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(())
        for level in self.levels:
            x = level(x)
            total = total + self.head(x).mean((2, 3))
            x = nn.functional.avg_pool2d(x, 2) if x.shape[-1] > 1 else x
        return self.scores(total)


@pytest.mark.slow
def test_a_head_shared_by_five_levels(training, held_out):
    torch.manual_seed(0)
    net = train(Pyramid(), training, epochs=6)
    remark = only(bncheck.inspect(net), "BN501")
    assert (remark.severity, remark.layer, remark.evidence["factors"]) == ("info", "head.1", [5])
    for data in (held_out[0], held_out):
        report = bncheck.inspect(net, data)
        assert_healthy(report)
        assert "BN501" not in codes(report)
        head = next(layer for layer in report.layers if layer.name == "head.1")
        assert head.calls == 5
    accuracy = report.effect.accuracy
    assert accuracy.recalibrated == pytest.approx(accuracy.stored, abs=0.02)
