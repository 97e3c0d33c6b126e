"""BN602 (channels in another order): what fires it, and what must not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from called import call
from digit_nets import Data, assert_healthy, codes, conv_net, measure_statistics, only, train
from hand_built import effect, evidence, measured
from torch import nn

import bncheck
from bncheck.data import DataOptions
from bncheck.evidence.probed import ChannelOrder, Condition, Paired, Probed
from bncheck.rules import judge


def coloured(data: Data, channels: int, seed: int) -> Data:
    """Digits in colours that tell a little of the class, in a world that is redder than blue."""
    x, y = data
    generator = torch.Generator().manual_seed(seed)
    classes = torch.rand(10, channels, generator=torch.Generator().manual_seed(7))
    world = torch.tensor([0.9, 0.7, 0.5, 0.6])[:channels]
    noise = 0.1 * torch.randn(len(y), channels, generator=generator)
    tint = (world + 0.5 * (classes[y] - 0.5) + noise).clamp(0.05, 1.0)
    return x * tint[:, :, None, None], y


def colour_net(data: Data, channels: int) -> nn.Module:
    torch.manual_seed(0)
    net = conv_net()
    net[0] = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
    return train(net, data, epochs=6)


@pytest.fixture(scope="module")
def of_three(training) -> nn.Module:
    """Trained on digits in three colours."""
    return colour_net(coloured(training, 3, 1), 3)


@pytest.fixture(scope="module", params=[2, 3, 4])
def case(request, of_three, training, held_out) -> tuple[nn.Module, Data, int]:
    channels = request.param
    net = of_three if channels == 3 else colour_net(coloured(training, channels, 1), channels)
    return net, coloured(held_out, channels, 2), channels


@pytest.mark.slow
def test_the_order_that_was_trained_on_is_found(case):
    net, (x, y), channels = case
    given = list(range(channels))[::-1] if channels != 4 else [1, 0, 3, 2]
    report = bncheck.inspect(net, (x[:, given], y))
    finding = only(report, "BN602")
    assert (finding.severity, finding.layer, report.summary.exit_code) == ("error", "1", 1)
    assert finding.evidence["order"] == given  # each of these orders undoes itself
    assert finding.evidence["accuracy_gain"] > 0.03
    assert finding.evidence["gap_after"] < finding.evidence["gap_before"]
    if channels == 3:
        assert "BGR for RGB" in finding.message
        assert "or channels bgr; rgb without it" in finding.fix


@pytest.mark.slow
def test_colours_that_are_alike_are_told_apart_by_the_labels(training, held_out):
    """Colours tell the class and have much the same statistics: other orders leave gaps as small as the right one."""

    def tinted(data: Data, seed: int) -> Data:
        x, y = data
        classes = torch.rand(10, 3, generator=torch.Generator().manual_seed(15))
        classes -= 0.8 * (classes.mean(0) - 0.5)
        noise = 0.05 * torch.randn(len(y), 3, generator=torch.Generator().manual_seed(seed))
        tint = (0.5 + 0.8 * (classes[y] - 0.5) + noise).clamp(0.05, 1.0)
        return x * tint[:, :, None, None], y

    net = colour_net(tinted(training, 1), 3)
    x, y = tinted(held_out, 2)
    assert codes(bncheck.inspect(net, (x, y))) == []
    for seed, limit in ((0, 100), (1, 300), (2, 100)):
        finding = only(bncheck.inspect(net, (x[:, [2, 1, 0]], y), limit=limit, seed=seed), "BN602")
        assert finding.evidence["order"] == [2, 1, 0]


def test_an_order_that_does_not_undo_itself(of_three, held_out):
    x, y = coloured(held_out, 3, 2)
    finding = only(bncheck.inspect(of_three, (x[:, [1, 2, 0]], y)), "BN602")
    assert finding.evidence["order"] == [2, 0, 1]
    assert torch.equal(x[:, [1, 2, 0]][:, finding.evidence["order"]], x)


@pytest.mark.slow
def test_the_right_order_is_left_alone(case):
    net, (x, y), _ = case
    for data in ((x[:100], y[:100]), x[:300], (x, y)):
        report = bncheck.inspect(net, data)
        assert_healthy(report)
        assert codes(report) == []


def test_a_network_that_does_not_look_at_colour(training, held_out):
    """Every channel is the same gray: no order is better than another."""
    x, y = training
    net = colour_net((x.expand(-1, 3, -1, -1), y), 3)
    gray = held_out[0].expand(-1, 3, -1, -1)
    assert codes(bncheck.inspect(net, (gray, held_out[1]))) == []


def test_scale_and_order_are_both_found(of_three, held_out):
    x, y = coloured(held_out, 3, 2)
    report = bncheck.inspect(of_three, (255 * x[:, [2, 1, 0]], y))
    assert codes(report) == ["BN601", "BN602"]
    assert report.findings[0].evidence["fed"] == "0..255"
    assert report.findings[1].evidence["order"] == [2, 1, 0]


IMAGENET = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
OWN = torch.tensor([0.6, 0.4, 0.2]), torch.tensor([0.3, 0.2, 0.1])


def normalized(x: torch.Tensor, constants: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    mean, std = constants
    return (x - mean[:, None, None]) / std[:, None, None]


def stretched(x: torch.Tensor) -> torch.Tensor:
    """From black to white, as pictures are."""
    return x / x.max()


@pytest.fixture(scope="module", params=[IMAGENET, OWN], ids=["ImageNet's", "their own"])
def normalized_case(request, training, held_out):
    x, y = coloured(training, 3, 1)
    net = colour_net((normalized(stretched(x), request.param), y), 3)
    x, y = coloured(held_out, 3, 2)
    return net, stretched(x), y, request.param


@pytest.mark.slow
def test_channels_swapped_before_they_were_normalized(normalized_case):
    """As with images read by OpenCV: each channel gets the constants of another."""
    net, x, y, constants = normalized_case
    if constants is IMAGENET:
        report = bncheck.inspect(net, (normalized(x[:, [2, 1, 0]], constants), y))
        named = "values of 0..1 normalized by ImageNet's mean and std"
    else:
        given = DataOptions(mean=tuple(constants[0].tolist()), std=tuple(constants[1].tolist()))
        report = bncheck.inspect(net, (x[:, [2, 1, 0]], y), data_options=given)
        named = "values normalized by mean and std"
    finding = only(report, "BN602")
    assert (finding.evidence["order"], finding.evidence["normalized"]) == ([2, 1, 0], named)
    assert finding.evidence["gap_after"] < 0.15
    assert finding.evidence["accuracy_after"] > 0.95
    assert finding.fix.startswith("Put the channels in the order of training, `x[:, [2, 1, 0]]`, before they are norm")


def test_normalized_channels_in_their_order(normalized_case):
    net, x, y, constants = normalized_case
    report = bncheck.inspect(net, (normalized(x, constants), y))
    assert_healthy(report)
    assert codes(report) == []


def test_an_order_that_does_not_fit_is_not_called_the_right_one():
    (finding,) = judge(evidence(probed=Probed(order=order(0.8, 0.7, gain=0.3))))
    assert "of 5 others 2, 1, 0 does best, but does not fit" in finding.message
    assert "swap them before they are normalized" in finding.fix


@pytest.mark.parametrize(("recalibrated", "said"), [(0.85, ["BN602"]), (0.99, [])])
def test_an_order_that_statistics_would_outdo_by_far_is_not_what_is_wrong(recalibrated, said):
    found = order(0.8, 0.7, gain=0.1)
    found = replace(found, seen=replace(found.seen, after=replace(found.seen.after, accuracy=0.8)))
    seen = evidence(probed=Probed(order=found), effect=effect(stored=0.7, recalibrated=recalibrated))
    assert [finding.code for finding in judge(seen)] == said


@pytest.mark.parametrize(
    ("accuracy", "classes", "said"), [(0.3, 5, []), (0.45, 5, ["BN602"]), (0.3, 100, ["BN602"]), (0.55, 2, [])]
)
def test_among_guesses_one_order_is_always_best(accuracy, classes, said):
    found = order(0.28, 0.22, gain=0.12)
    found = replace(found, seen=replace(found.seen, after=replace(found.seen.after, accuracy=accuracy)))
    seen = evidence(probed=Probed(order=found), effect=effect(stored=0.2, recalibrated=0.2, classes=classes))
    assert [finding.code for finding in judge(seen)] == said


def order(before: float, after: float, *, gain: float | None, ratio: float = 1.0, changed: float = 0.5) -> ChannelOrder:
    error = None if gain is None else 0.01
    conditions = Condition(before, before, None, 1.0), Condition(after, after, None, ratio)
    return ChannelOrder((2, 1, 0), 5, Paired(("bn",), 256, *conditions, gain, error, changed, 0.5))


@pytest.mark.parametrize(
    ("found", "explains"),
    [
        (order(0.28, 0.22, gain=0.12), True),
        (order(0.28, 0.22, gain=0.034), False),
        (order(0.28, 0.275, gain=0.12), False),
        (order(0.09, 0.10, gain=0.5), True),
        (order(0.09, 0.10, gain=0.15), False),
        (order(0.28, 0.30, gain=0.5), False),
        (order(0.28, 0.22, gain=None, ratio=1.5), False),
        (order(0.28, 0.15, gain=None, ratio=1.2), True),
        (order(0.28, 0.15, gain=None, ratio=1.09), False),
        (order(0.09, 0.01, gain=None, ratio=1.2), False),
        (order(0.28, 0.15, gain=None, ratio=1.2, changed=0.04), False),
    ],
)
def test_both_the_gap_and_the_predictions_must_be_better(found, explains):
    assert found.explains is explains


@pytest.mark.parametrize(
    ("before", "after", "next_gap", "changed", "named"),
    [
        (0.25, 0.012, 0.11, 0.5, True),
        (0.25, 0.021, 0.11, 0.5, False),  # above twice the noise: a cast of colour that comes near
        (0.12, 0.013, 0.11, 0.5, False),  # a tenth and more of the gap is left
        (0.25, 0.012, 0.04, 0.5, False),  # a third order fits nearly as well: gray pictures
        (0.25, 0.012, None, 0.5, False),  # of two channels there is no third order
        (0.09, 0.005, 0.11, 0.5, False),  # a gap as healthy layers have it
        (0.25, 0.012, 0.11, 0.04, False),  # hardly a prediction hangs on it
    ],
)
def test_without_labels_an_order_is_named_where_the_whole_gap_goes_in_it_alone(before, after, next_gap, changed, named):
    found = replace(order(before, after, gain=None, ratio=1.0, changed=changed), next_gap=next_gap)
    assert not found.explains  # what the predictions tell does not speak for it
    seen = evidence(replace(measured(before), noise=np.full(2, 0.01 * (256 / 1000) ** 0.5)), probed=Probed(order=found))
    assert [(one.code, one.severity) for one in judge(seen, {"BN602"})] == [("BN602", "warning")] * named


@pytest.mark.slow
@pytest.mark.parametrize("number", [60, 400])
def test_without_labels_the_right_order_leaves_noise_and_casts_do_not(of_three, held_out, number):
    x, _ = coloured((held_out[0][:number], held_out[1][:number]), 3, 2)
    for given in ([2, 1, 0], [1, 2, 0]):
        finding = only(bncheck.inspect(of_three, x[:, given]), "BN602")
        assert (finding.severity, [given[place] for place in finding.evidence["order"]]) == ("warning", [0, 1, 2])
    cast = x * torch.tensor([0.7, 0.9, 1.3])[:, None, None]
    for data in (x, cast, x.mean(1, keepdim=True).expand(-1, 3, -1, -1).contiguous()):
        assert "BN602" not in codes(bncheck.inspect(of_three, data))


def test_the_command_puts_arrays_in_order_too(tmp_path):
    """A net of random weights and its own labels; what is typed at the end mends what was found."""
    generator = torch.Generator().manual_seed(4)
    levels = torch.tensor([0.2, 0.5, 0.9])[:, None, None] + 0.3 * torch.rand(600, 3, 1, 1, generator=generator)
    x = levels + torch.tensor([0.4, 0.1, 0.2])[:, None, None] * torch.randn(600, 3, 8, 8, generator=generator)
    torch.manual_seed(3)
    layers = [layer for i, o in ((3, 12), (12, 12)) for layer in (nn.Conv2d(i, o, 3), nn.BatchNorm2d(o), nn.ReLU())]
    net = measure_statistics(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4)), x[:300])
    with torch.no_grad():
        scores = net(x)
        net[-1].bias.sub_(scores.mean(0))
        net[-1].weight.div_(scores.std(0)[:, None])
        net[-1].bias.div_(scores.std(0))
        labels = net(x[300:]).argmax(1)
    torch.jit.save(torch.jit.script(net.eval()), tmp_path / "net.pt")
    np.savez(tmp_path / "val.npz", x=x[300:].flip(1).numpy(), y=labels.numpy())
    given = ("inspect", tmp_path / "net.pt", "--data", tmp_path / "val.npz")
    told = call(*given, "--report", "json=-").json
    assert told["findings"][0]["code"] == "BN602"
    assert told["summary"]["next"] == f"bncheck {' '.join(map(str, given))} --channels bgr"
    assert call(*given, "--channels", "bgr").code == 0
