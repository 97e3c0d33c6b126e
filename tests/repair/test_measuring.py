"""What a repair measures: the error it states, where it stops, which layers it leaves alone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from repair_nets import images
from torch import nn

import bncheck
from bncheck.data import open_data
from bncheck.errors import DataError
from bncheck.formats import from_module, open_model
from bncheck.measure.plan import Plan
from bncheck.progress import no_progress
from bncheck.repair.measuring import Measurement, measure
from bncheck.results.notes import sentences
from bncheck.vocabulary import Reason


def measured(module: nn.Module, data: object, *, until: float = 0.0, seed: int = 0) -> Measurement:
    return measure(from_module(module.eval()), open_data(data), Plan(seed=seed), until, no_progress)


def smooth(samples: int, rng: np.random.Generator) -> torch.Tensor:
    """Maps of 6x6 that are nearly constant, so that positions are worth next to nothing."""
    levels = rng.normal(2.0, 3.0, (samples, 2, 1, 1))
    return torch.from_numpy((levels + rng.normal(0, 0.5, (samples, 2, 6, 6))).astype(np.float32))


def test_the_error_is_that_of_samples_not_of_positions() -> None:
    rng = np.random.default_rng(0)
    stated, actual = [], []
    for _ in range(60):
        found = measured(nn.BatchNorm2d(2), smooth(64, rng))
        stated.append(found.errors[""])
        actual.append((found.whole[""].mean - 2.0) / np.sqrt(3.0**2 + 0.5**2))
    assert np.mean(stated) == pytest.approx(np.sqrt(np.mean(np.square(actual))), rel=0.15)
    # By positions it would have been six times smaller.
    assert np.mean(stated) == pytest.approx(1 / math.sqrt(64), rel=0.1)


def bare_onnx(folder: Path) -> Path:
    values = {"s": 1.0, "b": 0.0, "m": 0.0, "v": 1.0}
    stored = [numpy_helper.from_array(np.full(2, value, np.float32), name) for name, value in values.items()]
    node = helper.make_node("BatchNormalization", ["x", *values], ["y"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2, 6, 6]) for name in "xy"]
    graph = helper.make_graph([node], "net", ends[:1], ends[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    return folder / "net.onnx"


def test_onnx_states_the_error_by_the_spread_of_its_batches(tmp_path: Path) -> None:
    data = smooth(2000, np.random.default_rng(1))
    model = open_model(bare_onnx(tmp_path))
    found = measure(model, open_data(data), Plan(), 0.0, no_progress)
    (error,) = found.errors.values()
    assert error == pytest.approx(1 / math.sqrt(2000), rel=0.5)
    few = measure(model, open_data(data[:100]), Plan(), 0.0, no_progress)
    assert list(few.errors.values()) == [math.inf]
    assert few.notes == ()


def test_reading_stops_where_the_means_are_known_and_says_so() -> None:
    data = smooth(4000, np.random.default_rng(2))
    found = measured(nn.BatchNorm2d(2), data, until=0.05)
    assert found.samples == 500  # the first of eight equal parts
    assert found.errors[""] <= 0.05
    assert "500 samples were enough" in sentences(found.notes)[0]
    everything = measured(nn.BatchNorm2d(2), data, until=0.001)
    assert everything.samples == 4000
    # The error falls with the root of the samples: 0.0158 to 0.001 takes 250 times as many.
    assert "After 4000 samples" in sentences(everything.notes)[0]
    assert int(sentences(everything.notes)[0].split("about ")[1].split()[0]) == pytest.approx(1_000_000, rel=0.1)


class Many(nn.Module):
    """Layers that a repair must leave alone, each for a reason of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.BatchNorm2d(2)
        self.instance = nn.InstanceNorm2d(2, track_running_stats=True)
        self.idle = nn.BatchNorm2d(2)
        self.folded = nn.BatchNorm2d(2)
        self.folded.running_var.fill_(1 - self.folded.eps)
        self.without = nn.BatchNorm2d(2, track_running_stats=False)
        self.group = nn.GroupNorm(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.group(self.without(self.folded(self.instance(self.used(x)))))


def test_layers_that_are_left_alone_say_why_and_the_others_do_not() -> None:
    found = measured(Many(), torch.from_numpy(images()))
    assert dict(found.kept) == {"idle": Reason.NOT_EXERCISED, "folded": Reason.FOLDED}
    assert sorted(found.whole) == ["instance", "used"]


def test_instance_norm_gets_what_it_averages() -> None:
    x = smooth(300, np.random.default_rng(3))
    found = measured(nn.InstanceNorm2d(2, track_running_stats=True), x)
    module = nn.InstanceNorm2d(2, track_running_stats=True, momentum=1.0)
    module(x)  # with momentum 1 PyTorch stores exactly what it averages
    np.testing.assert_allclose(found.whole[""].mean, module.running_mean, rtol=1e-4)
    np.testing.assert_allclose(found.whole[""].var, module.running_var, rtol=1e-4)
    assert np.all(found.whole[""].var < 0.5)  # within the samples; between them lies 9


class Twice(nn.Module):
    """One layer called on two distributions."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x) + self.norm(10 + 3 * x)


def test_a_layer_called_twice_gets_the_average_of_its_calls() -> None:
    x = torch.from_numpy(images())
    found = measured(Twice(), x)
    mean, var = x.double().mean((0, 2, 3)).numpy(), x.double().var((0, 2, 3), unbiased=False).numpy()
    np.testing.assert_allclose(found.whole["norm"].mean, (mean + 10 + 3 * mean) / 2, rtol=1e-5)
    np.testing.assert_allclose(found.whole["norm"].var, (var + 9 * var) / 2, rtol=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_data_that_are_not_finite_are_refused(value: float) -> None:
    x = torch.from_numpy(images())
    x[7, 1, 0, 0] = value
    with pytest.raises(DataError, match=r"1 of \d+ samples read holds NaN or infinity: number 7,"):
        measured(Many(), x)


def test_dropout_is_off() -> None:
    x = torch.from_numpy(images())
    found = measured(nn.Sequential(nn.Dropout(0.9), nn.BatchNorm2d(2)).train(), x)
    np.testing.assert_allclose(found.whole["1"].mean, x.double().mean((0, 2, 3)), rtol=1e-5)


def test_the_same_seed_repairs_the_same() -> None:
    x = torch.from_numpy(images())
    one, same, other = (bncheck.recalibrate(Many(), x, limit=40, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.used.running_mean, same.used.running_mean)
    assert not torch.equal(one.used.running_mean, other.used.running_mean)
