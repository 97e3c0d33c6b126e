"""What weights predict where nothing was learned: BN102 and BN103 say it, beside what is stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bncheck.evidence import ComparedLayer, Comparison, Evidence
from bncheck.formats import from_module
from bncheck.formats.torch_module.model import ModuleBackend
from bncheck.rules import judge
from bncheck.weights import predictions_of
from tests.weights.block_nets import measured, norms, plain


def blanked(which: list[int], value: float, act: type[nn.Module] = nn.ReLU) -> Evidence:
    """The network whose layers at these places have mean 0 and one variance, and what its weights tell."""
    net = measured(plain(act))
    for place in which:
        norms(net)[place].running_mean.zero_()
        norms(net)[place].running_var.fill_(value)
    model = from_module(net)
    return Evidence(model.layers, predicted=predictions_of(model))


@pytest.mark.parametrize(("value", "code"), [(1.0, "BN102"), (0.9**3, "BN103")])
def test_the_prediction_is_that_of_a_healthy_twin(value: float, code: str) -> None:
    right = {layer.name: layer for layer in from_module(measured(plain())).layers}
    (finding,) = judge(blanked([3], value), {code})
    (told,) = finding.evidence["predicted"].items()
    (name, predicted), stored = told, right[told[0]].statistics
    assert (finding.layers, finding.evidence["layers_predicted"]) == ((name,), 1)
    assert predicted["activation_assumed"] == "ReLU of norm"
    assert predicted["mean_rms"] == pytest.approx(np.sqrt(np.mean(stored[0] ** 2)), rel=0.2)
    assert predicted["variance_median"] == pytest.approx(np.median(stored[1]), rel=0.3)
    assert f"in {name} means of {predicted['mean_rms']:.2g} (RMS)" in finding.message


def test_all_layers_are_told_in_one_sentence() -> None:
    (finding,) = judge(blanked(list(range(8)), 1.0), {"BN102"})
    assert "in the typical of 7 layers means of 0." in finding.message
    assert finding.evidence["layers_predicted"] == 7
    assert len(finding.evidence["predicted"]) == 5


def test_the_graph_tells_the_activation_else_layers_fed_alike_do(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = judge(blanked([6], 1.0, nn.SiLU), {"BN102"})
    (predicted,) = finding.evidence["predicted"].values()
    assert predicted["activation_assumed"] == "SiLU of norm"
    monkeypatch.setattr(ModuleBackend, "wiring", lambda self: None)
    (finding,) = judge(blanked([6], 1.0, nn.SiLU), {"BN102"})
    (by_names,) = finding.evidence["predicted"].values()
    assert by_names == predicted | {"activation_assumed": "SiLU"}


def test_nothing_is_said_of_a_layer_that_the_input_feeds() -> None:
    (finding,) = judge(blanked([0], 1.0), {"BN102"})
    assert "predict" not in finding.message
    assert "predicted" not in finding.evidence


def test_weights_that_are_not_finite_are_not_quoted() -> None:
    seen = blanked([3], 1.0)
    (moments,) = seen.predicted.instead.values()
    spoiled = replace(moments, mean=np.full_like(moments.mean, np.nan))
    name = next(iter(seen.predicted.instead))
    (finding,) = judge(replace(seen, predicted=replace(seen.predicted, instead={name: spoiled})), {"BN102"})
    assert "predict" not in finding.message


@pytest.mark.parametrize("moved", [0.0, 0.6])
def test_an_export_that_differs_from_its_reference_is_said_to_fit_its_weights_if_it_does(moved: float) -> None:
    net = measured(plain())
    for norm in norms(net)[1:]:
        noise = torch.randn(24, generator=torch.Generator().manual_seed(1))
        norm.running_mean += moved * norm.running_var.sqrt() * noise
    model = from_module(net)
    compared = [ComparedLayer(layer.name, layer.name, 0.5, 0, agrees=False, folded=False) for layer in model.layers]
    seen = Evidence(
        model.layers, comparison=Comparison("before.pt", tuple(compared), ()), predicted=predictions_of(model)
    )
    (finding,) = judge(seen, {"BN403"})
    assert ("Those of the export fit its weights: in the typical of 7 layers" in finding.message) == (moved == 0.0)
    assert ("distance_by_own_weights" in finding.evidence) == (moved == 0.0)
