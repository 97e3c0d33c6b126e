"""Stored statistics beside those predicted through every kind of edge: healthy ones fit, wrong ones are named."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import bncheck
from bncheck.formats import Weighted, from_module
from bncheck.vocabulary import Unpredicted
from bncheck.weights import Activation, predictions_of
from bncheck.weights.prediction.entering import Positions, entering_of
from bncheck.weights.prediction.fitting import fits_of
from bncheck.weights.prediction.kernels import kernel_of
from bncheck.weights.prediction.wired_pairs import wired_pairs
from tests.weights.block_nets import SIDE, measured, norms, plain
from tests.weights.wired_nets import EDGES, Flat, through


@lru_cache
def healthy(edge: str) -> nn.Module:
    return measured(EDGES[edge][0]())


def name_of(edge: str) -> str:
    return EDGES[edge][1]


@pytest.mark.parametrize("edge", EDGES)
def test_a_healthy_network_fits_behind_every_edge(edge: str) -> None:
    predicted = predictions_of(from_module(healthy(edge)))
    layer = next(layer for layer in predicted.layers if layer.name == name_of(edge))
    assert EDGES[edge][2] in layer.form
    assert layer.is_known
    assert layer.distance < 0.25
    assert bncheck.inspect(healthy(edge), select=["BN106"]).findings == ()


@pytest.mark.parametrize("edge", EDGES)
def test_the_layer_whose_means_are_off_is_named_and_no_other(edge: str) -> None:
    net = healthy(edge)
    norm = net.get_submodule(name_of(edge))
    before = norm.running_mean.clone()
    noise = torch.randn(before.shape, generator=torch.Generator().manual_seed(1))
    try:
        norm.running_mean += norm.running_var.sqrt() * noise
        found = [finding.layers for finding in bncheck.inspect(net, select=["BN106"]).findings]
    finally:
        norm.running_mean.copy_(before)
    assert found == [(name_of(edge),)]


class Gated(nn.Module):
    """Values times what the mean of all of them says."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x.mean((2, 3), keepdim=True))


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (nn.MaxPool2d(3, 1, 1), Unpredicted.LARGEST),
        (Gated(), Unpredicted.MULTIPLIED),
        (torch.sin, Unpredicted.UNKNOWN_OPERATION),
        (nn.ChannelShuffle(2), Unpredicted.REARRANGED),
        (lambda x: x.transpose(2, 3), Unpredicted.REARRANGED),
        (nn.Hardtanh(-2, 2), Unpredicted.UNKNOWN_OPERATION),
    ],
)
def test_what_cannot_be_predicted_is_left_alone_with_the_reason(what: nn.Module, reason: Unpredicted) -> None:
    reasons = predictions_of(from_module(measured(through(what, 6)))).reasons
    assert set(list(reasons.values())[1:]) == {reason}


def test_an_activation_of_a_weights_own_output_is_left_alone() -> None:
    reasons = predictions_of(from_module(measured(plain(norm_last=True)))).reasons
    assert set(reasons.values()) == {Unpredicted.FED_BY_INPUT, Unpredicted.WITHOUT_NORM}


def test_a_layer_that_is_called_twice_is_left_alone() -> None:
    shared = nn.BatchNorm2d(24)
    blocks = [part for _ in range(6) for part in (nn.Conv2d(24, 24, 3, 1, 1), nn.BatchNorm2d(24), nn.ReLU())]
    net = measured(nn.Sequential(nn.Conv2d(3, 24, 1), shared, nn.ReLU(), *blocks, nn.Conv2d(24, 24, 1), shared))
    assert predictions_of(from_module(net)).reasons == {"1": Unpredicted.TWICE}


def test_a_layer_that_the_code_never_calls_is_left_alone() -> None:
    net = measured(plain())
    net.register_module("unused", nn.Identity())
    net.unused.norm = nn.BatchNorm2d(3)
    net.unused.norm.running_mean += 1
    assert predictions_of(from_module(net)).reasons["unused.norm"] is Unpredicted.UNREACHED


def test_positions_that_become_channels_are_followed_and_left_alone_where_they_differ() -> None:
    """Every position is taken to have its channel's mean: nearer than nothing, and not near enough here."""
    net = nn.Sequential(*(Flat() for _ in range(6)))
    net[0].unit[0] = nn.Conv2d(3, 4, 3, 1, 1)
    model = from_module(measured(net))
    wiring = model.wiring()
    assert wiring is not None
    pairs, _ = wired_pairs(wiring, model.layers)
    assert [pair.form for pair in pairs] == ["flattened ReLU of norm > linear (ReLU)"] * 6
    for pair in pairs:
        mean, var = pair.target.statistics
        assert fits_of(pair)[Activation.RELU].distance < 0.6 * np.sqrt(np.mean(mean**2 / var))
    reasons = predictions_of(model).reasons
    assert {reasons[pair.target.name] for pair in pairs} == {Unpredicted.UNLIKE}


@pytest.mark.parametrize("positions", list(Positions))
def test_a_linear_layer_of_all_positions_is_a_kernel_that_covers_them(positions: Positions) -> None:
    values, weight = torch.randn(1, 3, 4), torch.randn(5, 12)
    flat = values if positions is Positions.LAST else values.transpose(1, 2)
    entering = entering_of(Weighted("fc", 0, weight, None), 3, positions)
    assert isinstance(entering, tuple)
    kernel, groups = entering
    assert groups == 1
    torch.testing.assert_close(nn.functional.conv1d(values, kernel)[:, :, 0], flat.reshape(1, 12) @ weight.t())


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    "how",
    [{"groups": 0}, {"groups": -1}, {"groups": 4}, {"bias": torch.ones(5)}, {"weight": torch.ones(6, 0, 3)}],
)
def test_weights_that_do_not_fit_end_nothing(how: dict[str, Any], transposed: bool) -> None:
    step = Weighted(
        **{"name": "w", "source": 0, "weight": torch.ones(6, 6, 3), "bias": None} | how, transposed=transposed
    )
    assert entering_of(step, 6, None) is Unpredicted.OTHER_SHAPE


@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (2, 1), (1, 2), (3, 2)])
def test_the_mean_of_a_transposed_convolution_is_that_of_its_kernel(groups: int, stride: int) -> None:
    weight, mean = torch.randn(6, 4, 2, 2, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    step = Weighted("up", 0, weight, None, groups, padded=True, transposed=True, strides=(stride, stride))
    entering = entering_of(step, 6, None)
    assert isinstance(entering, tuple)
    kernel = kernel_of(entering[0], None, entering[1])
    found = kernel.means(mean.numpy()[:, None])[0].sum(1)
    value = mean.reshape(1, 6, 1, 1).expand(1, 6, 40, 40)
    given = nn.functional.conv_transpose2d(value, weight, stride=stride, groups=groups)[:, :, 4:-4, 4:-4]
    np.testing.assert_allclose(found, given.mean((0, 2, 3)).numpy(), rtol=1e-6)


def test_where_the_code_does_not_run_names_and_shapes_have_to_do() -> None:
    class Asking(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("not so" if x.is_meta else "no data")

    predicted = predictions_of(from_module(Asking(*measured(plain()))))
    assert len(predicted.layers) == 7
    assert not any(layer.is_known for layer in predicted.layers)


def test_hooks_are_not_set_off() -> None:
    heard: list[object] = []
    net = measured(plain())
    net[4].register_forward_hook(lambda *given: heard.append(given))
    assert from_module(net).wiring() is None
    assert heard == []


def test_weights_that_are_computed_are_followed() -> None:
    net = measured(plain())
    wanted = [layer.distance for layer in predictions_of(from_module(net)).layers]
    for place in range(0, len(net), 3):
        nn.utils.parametrizations.weight_norm(net[place])
    layers = predictions_of(from_module(net)).layers
    assert [layer.distance for layer in layers] == pytest.approx(wanted, rel=1e-3)
    assert all(layer.is_known for layer in layers)


def test_nothing_of_the_module_is_touched_and_nothing_it_says_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    class Talking(nn.Sequential):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            self.seen = x
            self[1].running_mean.add_(1)
            self[1].num_batches_tracked += 1
            print("here")
            return super().forward(x)

    net = Talking(*measured(plain()))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    model = from_module(net)
    assert model.wiring() is not None
    assert "here" not in capsys.readouterr().out
    assert model.program.calls == 0
    assert not hasattr(model.program, "seen")
    assert torch.equal(state, torch.get_rng_state())
    held = model.tensors()
    assert all(torch.equal(value, held[name]) for name, value in before.items())


def test_values_written_over_are_followed() -> None:
    """A sum in place, an activation in place, and a channel that is set to zero: what that leaves is not known."""

    class Writing(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for place in range(0, len(self), 3):
                inner = self[place + 1](self[place](x))
                if place == 9:
                    inner[:, :2].zero_()
                x = inner.relu_() if place == 3 else torch.relu(inner)
                if place == 15:
                    x += 0.5
            return x

    net = Writing(*measured(plain(depth=8)))
    reasons = predictions_of(from_module(net)).reasons
    assert reasons["13"] is Unpredicted.UNKNOWN_OPERATION
    assert reasons["19"] is Unpredicted.FEW_ALIKE  # the one behind constants that were added
    assert norms(net)[0].num_features // 2 == SIDE
