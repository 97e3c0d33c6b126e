"""Recalibrating models that take one sample at a time: layers are measured one after the other, and come out alike."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from repair_nets import LAYERS, SAMPLES, STATISTICS, assert_rest_unchanged, images, stale_net
from torch import nn

import bncheck
from bncheck.data import open_data
from bncheck.formats import from_module
from bncheck.measure.plan import Plan
from bncheck.progress import no_progress
from bncheck.repair.measuring import Measurement, measure


class OneAtATime(nn.Module):
    """A net that refuses all batches but those of one sample, and says so nowhere."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores."""
        if x.shape[0] != 1:
            raise ValueError("one sample, please")
        return self.net(x)


def pooled(net: nn.Module, x: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What each layer sees of all samples, in plain torch, the layers before it normalizing by just that."""
    net, found = copy.deepcopy(net).double().eval(), {}
    norms = [(name, module) for name, module in net.named_modules() if isinstance(module, nn.BatchNorm2d)]
    for name, norm in norms:
        fed: list[torch.Tensor] = []
        hook = norm.register_forward_pre_hook(lambda _, args, fed=fed: fed.append(args[0]))
        with torch.no_grad():
            net(torch.from_numpy(x).double())
        hook.remove()
        values = fed[0].transpose(0, 1).flatten(1)
        norm.running_mean.copy_(values.mean(1))
        norm.running_var.copy_(values.var(1, unbiased=False))
        found[name] = norm.running_mean.numpy().copy(), norm.running_var.numpy().copy()
    return found


def measured(module: nn.Module, data: object) -> Measurement:
    return measure(from_module(module.eval()), open_data(data), Plan(), 0.0, no_progress)


def test_the_moments_of_single_samples_are_pooled_layer_after_layer() -> None:
    net = stale_net()
    found, expected = measured(OneAtATime(net), images()), pooled(net, images())
    assert found.samples == SAMPLES
    assert "measured one after the other" in found.notes[-1].sentence
    for name in LAYERS:
        mean, var = expected[name]
        spread = np.sqrt(var)
        assert np.abs(found.whole[f"net.{name}"].mean - mean).max() < 0.03 * spread.max()
        assert found.whole[f"net.{name}"].var == pytest.approx(var, rel=0.03)
    assert 0 < found.errors["net.stem.norm"] < 0.2


def test_samples_of_unlike_lengths_go_to_both_folds() -> None:
    generator = torch.Generator().manual_seed(0)
    sequences = [torch.randn(1, 2, 20 + number, generator=generator) for number in range(40)]
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Conv1d(4, 3, 3), nn.BatchNorm1d(3))
    found = measured(net, sequences)
    assert found.samples == 40
    values = torch.cat([net[0](one)[0] for one in sequences], 1).detach()
    assert found.whole["1"].mean == pytest.approx(values.mean(1).numpy(), abs=1e-5)
    assert found.whole["1"].var == pytest.approx(values.var(1, unbiased=False).numpy(), rel=1e-4)
    means = [fold["1"].mean for fold in found.folds]
    assert not np.allclose(*means)
    assert np.allclose(sum(means) / 2, found.whole["1"].mean, atol=0.1)


def test_batches_that_can_be_normalized_are_read_once() -> None:
    assert not any("one after the other" in note.sentence for note in measured(stale_net(), images()).notes)


def test_a_program_of_one_sample_is_repaired_in_its_own_container(tmp_path: Path) -> None:
    path, out = tmp_path / "one.pt", tmp_path / "out.pt"
    torch.jit.script(OneAtATime(stale_net())).save(path)
    result = bncheck.repair_file(str(path), images(), out=out)
    assert result.path == str(out)
    assert result.after.summary.gap < 0.02 < 1 < result.before.summary.gap
    before, after = (torch.jit.load(one).state_dict() for one in (path, out))
    assert_rest_unchanged(after, before)
    expected = pooled(stale_net(), images())
    for name in LAYERS:
        for role, value in zip(STATISTICS, expected[name], strict=True):
            assert after[f"net.{name}.{role}"].numpy() == pytest.approx(value, rel=0.05, abs=0.03)
