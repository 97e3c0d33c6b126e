"""BN603's causes: what the file says of why statistics do not fit, and what it must not be made to say."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from digit_nets import ARCH, measure_statistics, only
from hand_built import effect, evidence, layer, measured, with_own
from torch import nn

import bncheck
from bncheck.core import SiblingCopy, compare
from bncheck.evidence import CloserLook, Evidence, MeasuredLayer, ZeroedWeights
from bncheck.measure.layers import zeroed_weights
from bncheck.results import Finding
from bncheck.rules import judge

HARM = effect(stored=0.5, recalibrated=0.9)


def found(seen: Evidence) -> Finding:
    """What BN603 finds."""
    (finding,) = judge(seen, {"BN603"})
    return finding


def causes(seen: Evidence) -> list[str]:
    return [one["cause"] for one in found(seen).evidence["causes_in_file"]]


def counted(name: str, gap: float, updates: int | None) -> MeasuredLayer:
    one = measured(gap, name=name)
    return replace(one, layer=replace(one.layer, updates=updates))


def dead(stored_var: float, seen_var: float) -> MeasuredLayer:
    """Its second channel is fed a constant."""
    one = layer(var=np.array([4.0, stored_var]))
    mean, var = np.array([2.0, 2.0]), np.array([4.0, seen_var])
    gap = compare(mean, var, np.zeros(2), one.statistics[1], 1e-5)
    return replace(measured(1.0), layer=one, mean=mean, var=var, inherited=gap)


# Another copy in the file


@pytest.mark.parametrize(
    ("stored", "same", "told"),
    [(2.0, False, ["copy fits"]), (1.9, False, ["copy fits"]), (0.1, False, []), (2.0, True, [])],
)
def test_a_copy_in_the_file_whose_statistics_fit_is_named(stored, same, told):
    """The layer is fed a mean of 2 and stores 0."""
    theirs = layer(mean=np.full(2, stored))
    beside = SiblingCopy("model", averaged=False, layers=(theirs,), same_weights=False, same_statistics=same)
    seen = evidence(measured(1.0), effect=HARM, siblings=(beside,))
    assert causes(seen) == told
    if told:
        assert "The statistics of `model` in the same file do describe them" in found(seen).message
        assert found(seen).fix.startswith("Take running_mean and running_var of `model`")


def test_a_checkpoint_with_averaged_weights_under_old_statistics(healthy, training, held_out, tmp_path):
    stale = copy.deepcopy(healthy)
    measure_statistics(stale, 0.3 + 0.4 * training[0] ** 2 + 0.3 * torch.rand(training[0].shape))
    content = {"model": healthy.state_dict(), "ema": stale.state_dict()}
    torch.save(content, tmp_path / "last.ckpt")
    finding = only(bncheck.inspect(tmp_path / "last.ckpt", held_out, arch=ARCH, key="ema"), "BN603")
    assert finding.evidence["causes_in_file"][0]["cause"] == "copy fits"
    assert finding.evidence["causes_in_file"][0]["copy"] == "model"


# Pruning


@pytest.mark.parametrize(
    ("shown", "zeroed", "told"),
    [
        (dead(4.0, 0.0), ZeroedWeights(1, 0.0), ["zeroed filters"]),
        (dead(0.0, 0.0), ZeroedWeights(1, 0.0), []),  # statistics measured after pruning
        (dead(4.0, 4.0), ZeroedWeights(1, 0.0), []),  # filters of zeros elsewhere
        (dead(4.0, 0.0), None, []),  # a channel that died on these data
        (measured(1.0), ZeroedWeights(0, 0.5), ["zeroed weights"]),
        (measured(1.0), ZeroedWeights(0, 0.001), []),
    ],
)
def test_weights_of_zero_are_a_cause_where_the_statistics_are_those_of_live_ones(shown, zeroed, told):
    assert causes(evidence(shown, effect=HARM, zeroed=zeroed)) == told


def test_filters_zeroed_after_the_statistics(healthy, held_out):
    convolution = [module for module in healthy.modules() if isinstance(module, nn.Conv2d)][1]
    weakest = convolution.weight.detach().flatten(1).norm(dim=1).argsort()[: len(convolution.weight) // 2]
    with torch.no_grad():
        convolution.weight[weakest] = 0
    report = bncheck.inspect(healthy, held_out, select=["BN603"])
    (one,) = only(report, "BN603").evidence["causes_in_file"]
    assert (one["cause"], one["filters_of_zeros"]) == ("zeroed filters", len(weakest))
    assert "pruned after its statistics were measured" in report.findings[0].message


def test_weights_are_counted_by_rows():
    pruned = torch.ones(4, 2, 3, 3)
    pruned[0] = 0
    pruned[1, 0] = 0
    assert zeroed_weights([pruned, torch.zeros(8)]) == ZeroedWeights(1, pytest.approx(1 / 6))
    assert zeroed_weights([torch.ones(4, 2), torch.zeros(3, 3, dtype=torch.int64)]) is None
    assert zeroed_weights([torch.zeros(2, 2)]) == ZeroedWeights(2, 0.0)


# Counters


def beside(updates: int) -> tuple[SiblingCopy, ...]:
    theirs = layer("off", mean=np.zeros(2), updates=updates)
    return (SiblingCopy("model", averaged=False, layers=(theirs,), same_weights=False, same_statistics=False),)


@pytest.mark.parametrize(
    ("layers", "more", "told"),
    [
        ((counted("off", 1.0, 100), counted("fits", 0.0, 500)), {}, ["older counters"]),
        ((counted("off", 1.0, 100), counted("fits", 0.0, 110)), {}, []),  # the average's own memory
        ((counted("off", 1.0, 500), counted("fits", 0.0, 100)), {}, []),  # newer, not older
        ((counted("off", 1.0, 100), counted("fits", 0.0, None)), {}, []),
        ((counted("off", 1.0, 100),), {"siblings": beside(5000)}, ["older counters"]),
        ((counted("off", 1.0, 4990),), {"siblings": beside(5000)}, []),  # one interval
        ((counted("off", 1.0, 100),), {"optimizer_steps": 5000}, ["older counters"]),
        ((counted("off", 1.0, 100),), {"optimizer_steps": 25}, []),  # gradients accumulated
        ((counted("off", 1.0, None),), {"optimizer_steps": 5000}, []),
    ],
)
def test_counters_that_stood_still_while_weights_went_on(layers, more, told):
    assert causes(evidence(*layers, effect=HARM, **more)) == told


# Nothing


def test_where_the_file_says_nothing_the_cause_is_not_known():
    finding = found(evidence(measured(1.0), effect=HARM))
    assert finding.evidence["causes_in_file"] == []
    assert "The cause is not known: the file tells nothing; it may be the preprocessing, other data" in finding.message


def test_where_the_layers_fed_by_the_input_fit_it_is_not_the_scale():
    layers = measured(0.01, name="first"), measured(1.0, name="second")
    finding = found(evidence(*layers, effect=HARM, closer=CloserLook(fed_by_input=frozenset({"first"}))))
    assert "so its scale is right, and the file tells nothing; it may be other data" in finding.message


@pytest.mark.parametrize(("gap", "is_far"), [(1.9, False), (2.1, True)])
def test_an_input_that_is_wrong_is_not_recalibrated_away(gap, is_far):
    """Other data bring layers that the input feeds 0.56 off at the most; pixels of 0..255 some hundred."""
    layers = measured(gap, name="first"), measured(1.0, name="second")
    finding = found(evidence(*layers, effect=HARM, closer=CloserLook(fed_by_input=frozenset({"first"}))))
    assert ("Find out how the data of the training were preprocessed" in finding.fix) == is_far
    assert ("repair" in finding.command) == (not is_far)


@pytest.mark.parametrize(("own", "is_input"), [((0.55, 0.55, 3.0), True), ((0.65, 0.65, 0.0), False)])
def test_an_input_is_not_blamed_where_most_layers_behind_lie_off_by_themselves(own, is_input):
    """The layers before them normalize by the batch there: another checkpoint's statistics do that, no input does."""
    layers = [with_own(measured(2.5, name=f"layer{i}"), gap) for i, gap in enumerate((2.5, *own))]
    finding = found(evidence(*layers, effect=HARM, closer=CloserLook(fed_by_input=frozenset({"layer0"}))))
    assert ("Find out how the data of the training were preprocessed" in finding.fix) == is_input
    assert ("repair" in finding.command) == (not is_input)
    assert ("most layers lie far off by themselves, as under the statistics" in finding.message) == (not is_input)


def test_the_statistics_of_another_training_are_no_wrong_input(healthy, held_out):
    """Every layer's, as a checkpoint whose buffers were taken from another file has them."""
    strange = copy.deepcopy(healthy)
    generator = torch.Generator().manual_seed(3)
    for module in strange.modules():
        if isinstance(module, nn.BatchNorm2d):
            order = torch.randperm(module.num_features, generator=generator)
            module.running_mean.copy_(3 * module.running_mean[order] + 3 * module.running_var.sqrt())
            module.running_var.copy_(module.running_var[order])
    finding = only(bncheck.inspect(strange, held_out, select=["BN603"]), "BN603")
    assert "as under the statistics of other weights" in finding.message
    assert "recalibrate" in finding.command


def test_a_harmless_drift_is_not_explained():
    finding = found(evidence(measured(1.0), effect=effect()))
    assert "not known" not in finding.message


def test_a_healthy_file_has_no_causes(healthy):
    assert zeroed_weights(healthy.state_dict().values()) is None
