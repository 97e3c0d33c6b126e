"""Which layer feeds which, by names, order and shapes alone; and why the others are in no pair."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from benchmarks.diagnosis.static.blocks import Growing, Named
from bncheck.core import NormLayer
from bncheck.formats import from_module
from bncheck.vocabulary import Unpredicted
from bncheck.weights.prediction.pairs import pairs_of
from tests.weights.block_nets import dense, depthwise, generator, measured, mlp, plain, residual, unit

A = Unpredicted.ACROSS_BLOCKS


def found(net: nn.Module, *, by_name: bool = False) -> tuple[dict[str, str], dict[str, Unpredicted]]:
    """By target the source, and the reasons; `by_name` sorts the tensors, as safetensors does."""
    model = from_module(measured_where_possible(net))
    tensors = dict(sorted(model.tensors().items())) if by_name else model.tensors()
    pairs, reasons = pairs_of(model.layers, tensors)
    return {pair.target.name: pair.source.name for pair in pairs}, reasons


def measured_where_possible(net: nn.Module) -> nn.Module:
    """With statistics that are not the initial ones."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean += 0.1
            module.running_var += 0.5
    return net.eval()


def test_units_one_after_the_other() -> None:
    assert found(plain(depth=4))[0] == {"4": "1", "7": "4", "10": "7"}
    assert found(plain(depth=4))[1] == {"1": Unpredicted.FED_BY_INPUT}


@pytest.mark.parametrize("by_name", [False, True])
def test_the_second_layer_of_residual_blocks(by_name: bool) -> None:
    pairs, reasons = found(residual(3), by_name=by_name)
    assert pairs == {"3.bn2": "3.bn1", "4.bn2": "4.bn1", "5.bn2": "5.bn1"}
    assert reasons == {"1": Unpredicted.FED_BY_INPUT, "3.bn1": A, "4.bn1": A, "5.bn1": A}


@pytest.mark.parametrize("by_name", [False, True])
def test_layers_that_come_first_in_their_blocks(by_name: bool) -> None:
    pairs, reasons = found(residual(2, first=True), by_name=by_name)
    if by_name:  # nothing tells that `bn1` comes before `conv1`; what is wrong is found out by its fit
        assert set(pairs) == {"1.bn2", "2.bn2"}
    else:
        assert pairs == {"1.bn2": "1.bn1", "2.bn2": "2.bn1"}
        assert reasons == {"1.bn1": Unpredicted.FED_BY_INPUT, "2.bn1": A}


def test_depthwise_and_pointwise_in_turn() -> None:
    pairs, reasons = found(depthwise(2))
    assert pairs == {"3.4": "3.1", "4.4": "4.1"}
    assert reasons["3.1"] == reasons["4.1"] == A


def test_layers_that_are_given_all_that_came_before() -> None:
    pairs, reasons = found(dense(2))
    assert pairs == {"1.norm2": "1.norm1", "2.norm2": "2.norm1"}
    assert reasons["2.norm1"] is Unpredicted.OTHER_SHAPE


def test_linear_layers_and_a_flattening() -> None:
    pairs, _ = found(mlp(3))
    assert pairs == {"5": "2", "8": "5"}
    net = nn.Sequential(*unit(3, 4), nn.Flatten(), nn.Linear(4 * 144, 8), nn.BatchNorm1d(8))
    assert found(net)[1]["5"] is Unpredicted.FLATTENED


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        ([nn.Conv2d(8, 8, 1), nn.Conv2d(8, 6, 1)], Unpredicted.FED_BY_ANOTHER),
        ([nn.GroupNorm(2, 8), nn.Conv2d(8, 6, 1)], Unpredicted.FED_BY_ANOTHER),
        ([nn.ConvTranspose2d(8, 6, 2)], Unpredicted.TRANSPOSED),
        ([nn.Conv2d(3, 6, 1)], Unpredicted.OTHER_SHAPE),
        ([nn.ReLU()], Unpredicted.NO_WEIGHT),
    ],
)
def test_what_stands_between_may_not_be_known(between: list[nn.Module], reason: Unpredicted) -> None:
    net = nn.Sequential(*unit(3, 8), *between, nn.BatchNorm2d(6))
    assert found(net)[1][str(2 + len(between) + 1)] is reason


def test_slopes_between_them_are_the_files_own() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.PReLU(8), nn.Conv2d(8, 6, 1), nn.BatchNorm2d(6))
    model = from_module(measured_where_possible(net))
    pairs, _ = pairs_of(model.layers, model.tensors())
    assert [pair.target.name for pair in pairs] == ["4"]
    assert pairs[0].slope is not None
    assert pairs[0].slope.shape == (8,)
    assert "PReLU" in pairs[0].form


def test_groups_are_told_by_the_channels_that_a_weight_takes() -> None:
    net = nn.Sequential(*unit(3, 8), nn.Conv2d(8, 6, 3, groups=2), nn.BatchNorm2d(6))
    model = from_module(measured_where_possible(net))
    (pair,), _ = pairs_of(model.layers, model.tensors())
    assert pair.groups == 2
    assert "(grouped spatial)" in pair.form


class Wrapped(nn.Module):
    """A convolution and its norm in a module of their own, as detectors have them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)


class Bottleneck(nn.Module):
    """Two of them."""

    def __init__(self) -> None:
        super().__init__()
        self.cv1, self.cv2 = Wrapped(8, 8), Wrapped(8, 8)


def test_a_unit_of_its_own_is_no_block() -> None:
    pairs, _ = found(nn.Sequential(Wrapped(3, 8), Bottleneck(), Bottleneck()))
    assert pairs == {"1.cv2.bn": "1.cv1.bn", "2.cv2.bn": "2.cv1.bn"}


def spoiled(change: Callable[[nn.Module], object]) -> dict[str, Unpredicted]:
    net = measured_where_possible(plain(depth=3))
    change(net)
    model = from_module(net)
    return pairs_of(model.layers, model.tensors())[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net[4].reset_running_stats(),
        lambda net: net[4].running_var.fill_(1.0),
        lambda net: net[4].running_mean.fill_(torch.nan),
        lambda net: net[4].running_var.neg_(),
        lambda net: net[4].weight.data.fill_(torch.inf),
    ],
)
def test_values_that_other_rules_judge_are_in_no_pair(change: Callable[[nn.Module], object]) -> None:
    """Neither as what is predicted nor as what it is predicted from."""
    reasons = spoiled(change)
    assert reasons["4"] is reasons["7"] is Unpredicted.UNUSABLE


def forms(net: nn.Module) -> list[str]:
    model = from_module(measured_where_possible(net))
    return [pair.form for pair in pairs_of(model.layers, model.tensors())[0]]


def test_blocks_alike_have_one_form_and_others_another() -> None:
    assert len(set(forms(residual(4)))) == 1
    assert len(set(forms(nn.Sequential(*(Growing(16) for _ in range(3)))))) == 1
    assert len(set(forms(Named()))) == 1
    # A pooling between two units shows in the numbers of a Sequential.
    pooled = nn.Sequential(*unit(3, 8), *unit(8, 8), nn.MaxPool2d(2), *unit(8, 8), *unit(8, 8))
    assert forms(pooled)[0] == forms(pooled)[2] != forms(pooled)[1]


def test_a_file_of_one_layer_and_one_of_none() -> None:
    assert pairs_of((), {}) == ([], {})
    one = NormLayer("", "batch_norm", 2, torch.ones(2).double().numpy(), torch.ones(2).double().numpy() * 2)
    assert pairs_of((one,), {"weight": torch.ones(2), "running_mean": torch.ones(2)}) == (
        [],
        {"": Unpredicted.NO_WEIGHT},
    )


def test_transposed_convolutions_of_equal_channels_look_like_any_other() -> None:
    """Nothing tells them apart but that they do not fit."""
    assert len(found(measured(generator(4)))[0]) == 3


def test_names_that_somebody_made_up_end_nothing() -> None:
    """Numbers of thousands of digits, and names of thousands of parts."""
    names = ["9" * 5000, "a." * 20_000, "²", "."]
    values = torch.ones(2).double().numpy() * 2
    layers = tuple(NormLayer(f"{name}bn{side}", "batch_norm", 2, values, values) for name in names for side in (1, 2))
    tensors = {f"{layer.name}.{leaf}": torch.ones(2) for layer in layers for leaf in ("weight", "running_mean")}
    ordered: dict[str, torch.Tensor] = {}
    for layer in layers:
        ordered |= {f"{layer.name}conv.weight": torch.ones(2, 2)}
        ordered |= {name: tensor for name, tensor in tensors.items() if name.startswith(f"{layer.name}.")}
    for held in (ordered, dict(sorted(ordered.items()))):
        pairs, reasons = pairs_of(layers, held)
        assert len(pairs) + len(reasons) == len(layers)


def test_a_bias_of_another_size_is_none() -> None:
    model = from_module(measured_where_possible(nn.Sequential(*unit(3, 8), nn.Linear(8, 6), nn.BatchNorm1d(6))))
    tensors = model.tensors() | {"3.bias": torch.ones(5)}
    (pair,), _ = pairs_of(model.layers, tensors)
    assert pair.bias is None


def test_layers_of_more_channels_than_any_network_has_are_left_out() -> None:
    net = nn.Sequential(*unit(1, 9000), nn.Conv2d(9000, 9000, 1, groups=9000), nn.BatchNorm2d(9000))
    assert found(net)[1]["4"] is Unpredicted.TOO_LARGE
