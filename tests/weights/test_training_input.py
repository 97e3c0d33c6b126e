"""What a network was fed in training: read from its first convolution and norm where they say it, and else not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import contract_nets
import fed_nets
import pytest
import torch
from fed_nets import WAYS, Net, fed, net_fed, pictures
from torch import nn

import bncheck
from bncheck.results import TrainingInput
from bncheck.weights.training_input.families import COLOUR_BOXES, GRAY_BOXES
from bncheck.weights.training_input.fitting import Filters, spread_of


def said(model: object, **how: object) -> TrainingInput | None:
    return bncheck.inspect(model, **how).run.training_input


@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_feeding_pictures_is_told(way: str, channels: int, size: int) -> None:
    x = fed(way, channels)
    found = said(net_fed(x, size))
    assert found is not None
    assert (found.family, found.channels, found.confidence) == (way, channels, "high")
    assert (found.convolution, found.norm, found.filters) == ("stem.weight", "norm", 24)
    assert found.seen_std == pytest.approx(float(x.std()), rel=0.1)
    for seen, true in zip(found.seen_mean, x.mean((0, 2, 3)).tolist(), strict=True):
        assert seen == pytest.approx(true, abs=0.15 * float(x.std()))


@pytest.mark.parametrize("way", ["0..1", "0..255", "-1..1"])
def test_the_order_of_colours_is_that_of_photographs(way: str) -> None:
    red_first, blue_first = (said(net_fed(x)) for x in (fed(way), fed(way).flip(1)))
    assert (red_first.order, blue_first.order) == ("rgb", "bgr")
    assert (red_first.family, blue_first.family) == (way, way)


def test_colours_that_are_alike_have_no_order() -> None:
    assert said(net_fed(fed("standardised"))).order is None
    gray = fed("0..1", 1).expand(-1, 3, -1, -1)
    assert said(net_fed(gray + 0.02 * torch.randn(gray.shape))).order is None


def test_the_usual_constants_are_given_in_the_order_of_the_channels() -> None:
    found = said(net_fed(fed("standardised")))
    assert (found.scale, found.mean, found.std) == WAYS["standardised"]
    found = said(net_fed(fed("0..255 less a mean")))
    assert (found.scale, found.mean, found.std) == (255.0, (123.675, 116.28, 103.53), (1.0,))
    assert said(net_fed(fed("standardised", 1))).mean is None  # each data set has its own


FAULTS: dict[str, Callable[[Net], None]] = {
    "never updated": lambda net: net.norm.reset_running_stats(),
    "initial means": lambda net: net.norm.running_mean.zero_(),
    "initial variances": lambda net: net.norm.running_var.fill_(1),
    "dummy forwards": lambda net: (net.norm.running_mean.zero_(), net.norm.running_var.fill_(0.9**5)),
    "half initial": lambda net: (net.norm.running_mean.mul_(0.5), net.norm.running_var.mul_(0.5).add_(0.5)),
    "nearly initial": lambda net: (net.norm.running_mean.mul_(0.1), net.norm.running_var.mul_(0.1).add_(0.9)),
    "other channels": lambda net: (
        net.norm.running_mean.copy_(net.norm.running_mean.roll(1)),
        net.norm.running_var.copy_(net.norm.running_var.roll(1)),
    ),
    "noisy means": lambda net: net.norm.running_mean.add_(
        2 * torch.randn(24, generator=torch.Generator().manual_seed(1)) * net.norm.running_var.sqrt()
    ),
    "noisy variances": lambda net: net.norm.running_var.mul_(
        torch.exp(1.5 * torch.randn(24, generator=torch.Generator().manual_seed(1)))
    ),
    "not finite": lambda net: net.norm.running_var.fill_(float("nan")),
}


@pytest.mark.parametrize("way", ["0..1", "-1..1"])
@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_statistics_say_nothing(fault: str, way: str) -> None:
    net = net_fed(fed(way))
    FAULTS[fault](net)
    assert said(net) is None


def test_means_that_the_weights_do_not_explain_say_nothing() -> None:
    net = net_fed(fed("standardised"), filters=96)
    assert said(net) is not None
    net.norm.running_mean.copy_(net.norm.running_mean.flip(0))
    assert said(net) is None


@pytest.mark.parametrize("way", ["0..1", "-1..1", "standardised"])
def test_a_share_of_the_initial_variance_is_seen(way: str) -> None:
    net = net_fed(fed(way))
    weight, bias = net.stem.weight.detach().double().numpy(), net.stem.bias.detach().double().numpy()
    mean, var = net.norm.running_mean.double().numpy(), net.norm.running_var.double().numpy()
    for share in (0.0, 0.2, 0.5, 0.8):
        mixed = Filters.alive(weight, bias, (1 - share) * mean, share + (1 - share) * var)
        assert spread_of(mixed).initial == (share > 0), share


def stacked(*first: nn.Module, x: torch.Tensor) -> nn.Module:
    """Layers whose norms store what they see of `x`, then classes."""
    net = nn.Sequential(*first).train()
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
    net(x)
    return net.eval()


@pytest.mark.parametrize(
    "made",
    [
        lambda: net_fed(torch.randn(256, 3, 32, 32)),
        lambda: net_fed(fed("0..1"), filters=7),
        lambda: stacked(nn.Conv2d(3, 16, 1), nn.BatchNorm2d(16), x=fed("0..1")),
        lambda: stacked(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.BatchNorm2d(16), x=fed("-1..1")),
        lambda: stacked(nn.BatchNorm2d(3), nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), x=fed("0..1")),
        lambda: stacked(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.BatchNorm2d(16), x=fed("0..1")),
        lambda: stacked(nn.Conv1d(3, 16, 3), nn.BatchNorm1d(16), x=fed("0..1")[:, :, 0]),
        lambda: stacked(nn.Flatten(), nn.Linear(3072, 16), nn.BatchNorm1d(16), x=fed("0..1")),
        lambda: stacked(nn.Conv2d(6, 16, 3), nn.BatchNorm2d(16), x=torch.cat([fed("0..1")] * 2, 1)),
        lambda: stacked(nn.ConvTranspose2d(3, 16, 3), nn.BatchNorm2d(16), x=fed("0..1")),
    ],
    ids=[
        *("noise", "few filters", "1 x 1", "after the activation", "norm first", "norm behind another"),
        *("sequences", "features", "six channels", "transposed"),
    ],
)
def test_what_is_no_evidence_says_nothing(made: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    assert said(made()) is None


@pytest.mark.parametrize(
    ("scale", "mean", "spread", "middle"),
    [
        (1.0, 0.5, 0.28, 0.0),
        (16.0, 0.0, 0.28, 0.0),
        (1 / 255, 0.0, 0.28, 0.0),
        (1.0, 0.0, 0.08, 0.0),
        (1, 0, 0.2, 0.35),
    ],
    ids=["-0.5..0.5", "0..16", "divided twice", "flat pictures", "bright pictures"],
)
def test_other_ways_and_pictures_are_not_taken_for_known_ones(
    scale: float, mean: float, spread: float, middle: float
) -> None:
    assert said(net_fed(scale * (pictures(spread=spread, middle=middle) - mean))) is None


def test_a_model_that_normalizes_its_input_itself_says_nothing() -> None:
    net = net_fed(fed("standardised"))
    net.register_buffer("pixel_mean", torch.zeros(3))
    assert said(net) is None


def test_a_dead_filter_and_a_wrong_one_bend_nothing() -> None:
    net = net_fed(fed("0..1"))
    with torch.no_grad():
        net.stem.weight[0] = 0
        net.norm.running_var[0] = 0
        net.norm.running_mean[1] = 5
    found = said(net)
    assert (found.family, found.filters) == ("0..1", 23)


LIGHT = (
    "as_module",
    "as_pickle",
    "as_state_dict",
    "as_safetensors",
    "as_shards",
    "as_traced",
    "as_scripted",
    "as_onnx",
)
SLOW = ("as_exported", "as_dynamo_onnx")


@pytest.mark.parametrize("way", [*LIGHT, *(pytest.param(way, marks=pytest.mark.slow) for way in SLOW)])
def test_every_container_says_the_same(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = fed("-1..1")
    monkeypatch.setattr(contract_nets, "data", lambda: x.numpy())
    written = getattr(contract_nets, way)(net_fed(x), tmp_path)
    how = {name: value for name, value in written.how.items() if name != "arch"}
    found = said(written.model, **how)
    assert (found.family, found.order, found.filters) == ("-1..1", "rgb", 24)


def test_a_graph_that_normalizes_its_input_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Normalizing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net_fed(fed("-1..1"))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x / 127.5 - 1)

    monkeypatch.setattr(contract_nets, "data", lambda: fed("0..255").numpy())
    assert said(contract_nets.as_onnx(Normalizing().eval(), tmp_path).model) is None


def test_boxes_of_different_families_do_not_touch() -> None:
    for boxes in (COLOUR_BOXES, GRAY_BOXES):
        for number, one in enumerate(boxes):
            for other in boxes[number + 1 :]:
                apart = [
                    own[1] < others[0] or others[1] < own[0]
                    for own, others in ((one.mean, other.mean), (one.std, other.std))
                ]
                assert any(apart) or one.family is other.family, (one, other)


def test_pictures_are_what_the_tests_take_them_for() -> None:
    x = fed_nets.pictures()
    assert float(x.std()) == pytest.approx(0.26, abs=0.02)
    assert x.mean((0, 2, 3)).tolist() == pytest.approx(list(fed_nets.MEANS), abs=0.02)
