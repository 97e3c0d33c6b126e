"""Recalibration without data: what it gives, what it leaves alone, where it refuses, and that it says what it is."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from called import call
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import bncheck
from benchmarks import data_free
from bncheck.api import stamp
from bncheck.data import DataOptions
from bncheck.errors import RefusedError, UsageError
from bncheck.repair import coloured_noise, lost_layers
from bncheck.results import MadeWithoutData, RepairResult, StatisticsWithoutData
from tests.weights.fed_nets import fed

SIZE = DataOptions(resize=(32, 32))


def build() -> nn.Sequential:
    """Four units for pictures in colour, of which the second and the third lose their statistics."""
    layers: list[nn.Module] = []
    for index in range(4):
        layers += [nn.Conv2d(16 if index else 3, 16, 3, 1 + (index < 2), 1), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))


@lru_cache
def healthy() -> nn.Sequential:
    """Weights as training leaves them, and the statistics of standardised pictures."""
    torch.manual_seed(0)
    net = build()
    for norm in norms(net):
        norm.momentum = None
        nn.init.uniform_(norm.weight, 0.5, 1.2)
        nn.init.normal_(norm.bias, std=0.4)
    with torch.no_grad():
        net.train()(fed("standardised"))
    return net.eval()


def norms(net: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]


def broken(*which: int) -> dict[str, torch.Tensor]:
    """The state of the network with the initial statistics in the layers at these places."""
    net = build()
    net.load_state_dict(healthy().state_dict())
    for place in which:
        norms(net)[place].reset_running_stats()
    return net.state_dict()


def saved(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save(state, folder / "net.pt")
    return folder / "net.pt"


def off(state: dict[str, torch.Tensor], place: int) -> tuple[float, float]:
    """How far the means are off in true deviations (RMS), and the logarithms of the variances."""
    true, name = norms(healthy())[place], f"{3 * place + 1}"
    shift = (state[f"{name}.running_mean"] - true.running_mean) / true.running_var.sqrt()
    return float(shift.square().mean().sqrt()), float(
        (state[f"{name}.running_var"] / true.running_var).log().abs().mean()
    )


@pytest.mark.parametrize("which", [(1, 2), (0, 1, 2, 3)])
def test_lost_statistics_come_near_to_the_true_ones_and_others_stay(which: tuple[int, ...], tmp_path: Path) -> None:
    """The first layer tells how pictures were fed; where it is lost too, the user has to."""
    state = broken(*which)
    how = SIZE if 0 not in which else DataOptions(resize=32, preset="imagenet")
    result = bncheck.repair_file(
        saved(tmp_path, state), data_free=True, out=tmp_path / "new.pt", arch=build, data_options=how
    )
    new = torch.load(tmp_path / "new.pt")
    assert result.changed == tuple(str(3 * place + 1) for place in which)
    assert {name for name in state if not torch.equal(state[name], new[name])} == {
        f"{name}.{role}" for name in result.changed for role in ("running_mean", "running_var")
    }
    for place in which:
        shift, factor = off(new, place)
        assert shift < 0.3 < off(state, place)[0] or place == 0
        assert factor < 0.5


def test_it_says_what_it_is(tmp_path: Path) -> None:
    result = bncheck.repair_file(
        saved(tmp_path, broken(1, 2)), data_free=True, out=tmp_path / "new.pt", arch=build, data_options=SIZE
    )
    assert (result.data_free, result.judged, result.outcome, result.comparison) == (
        True,
        "not-judged",
        "undecided",
        None,
    )
    assert (result.source, result.samples) == ("generated pictures (coloured noise)", 256)
    (note,) = (note for note in result.noted if isinstance(note, StatisticsWithoutData))
    assert (note.pictures, note.layers, note.predicted) == (256, 2, 0)
    assert note in result.after.run.noted
    assert "a last resort that nothing has judged" in note.sentence
    assert {layer.name: layer.reason for layer in result.layers if not layer.changed} == dict.fromkeys(
        ("1", "10"), "not-lost"
    )
    document = json.loads(json.dumps(result.to_dict()))
    assert (document["data_free"], document["judged"], document["comparison"]) == (True, "not-judged", None)
    assert RepairResult.from_dict(document).to_dict() == document
    del document["data_free"]
    assert not RepairResult.from_dict(document).data_free


def test_on_the_terminal_it_says_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, broken(1, 2))
    monkeypatch.chdir(tmp_path)
    arch = f"{__file__}:build"
    done = call("repair", "net.pt", "--data-free", "--resize", "32", "--arch", arch, "--out", "new.pt", "-v")
    assert done.code == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "recalibrated without data, by generated pictures (coloured noise), not judged: there were no data" in text
    assert "nobody can tell: there were no data to repair from or to judge by." in text
    assert "a last resort that nothing has judged. Recalibrate on data of the model's own kind" in text


def test_statistics_that_are_fine_are_refused_unless_forced(tmp_path: Path) -> None:
    path = saved(tmp_path, broken())
    with pytest.raises(RefusedError, match=r"No layer of .* has lost its statistics.*force replaces all"):
        bncheck.repair_file(path, data_free=True, out=tmp_path / "new.pt", arch=build, data_options=SIZE)
    assert not (tmp_path / "new.pt").exists()
    result = bncheck.repair_file(
        path, data_free=True, out=tmp_path / "new.pt", arch=build, data_options=SIZE, force=True
    )
    assert len(result.changed) == 4


def test_what_may_be_folded_on_purpose_is_not_lost(tmp_path: Path) -> None:
    net = build()
    for norm in norms(net):
        norm.running_var.fill_(1 - norm.eps)
    assert lost_layers(bncheck.formats.from_module(net.eval())) == frozenset()


@pytest.mark.parametrize(
    ("role", "value"), [("running_var", -1.0), ("running_mean", float("nan")), ("weight", float("nan"))]
)
def test_values_that_cannot_be_are_lost_and_those_of_weights_are_not(role: str, value: float, tmp_path: Path) -> None:
    state = broken()
    state[f"4.{role}"] = torch.full_like(state[f"4.{role}"], value)
    opened = bncheck.formats.open_model(saved(tmp_path, state), arch=build)
    assert lost_layers(opened) == (frozenset() if role == "weight" else {"4"})


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "say how large the pictures are"),
        ({"data": np.zeros((4, 3, 32, 32), np.float32)}, "data names some: leave data_free out"),
        ({"heldout": np.zeros((4, 3, 32, 32), np.float32)}, "heldout names some"),
        ({"method": "blend"}, "data_free is for method recalibrate alone, not for method blend"),
    ],
)
def test_what_is_missing_or_too_much_is_told(more: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=told):
        bncheck.repair_file(saved(tmp_path, broken(1)), data_free=True, out=tmp_path / "new.pt", arch=build, **more)


def test_how_pictures_are_fed_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"is not known from the weights .* Say it with mean, std and scale, or preset"
    ):
        bncheck.repair_file(
            saved(tmp_path, broken(0)), data_free=True, out=tmp_path / "new.pt", arch=build, data_options=SIZE
        )


def test_a_model_of_no_pictures_is_told_to_be_given_data(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    nn.init.normal_(net[1].bias)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    with pytest.raises(UsageError, match=r"takes none. Give data of any kind"):
        bncheck.repair_file(
            tmp_path / "net.pt",
            data_free=True,
            out=tmp_path / "new.pt",
            arch=lambda: nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)),
            data_options=SIZE,
        )


def exported(path: Path, state: dict[str, torch.Tensor]) -> Path:
    """The first three units as an ONNX graph."""
    nodes, held, last = [], [], "x"
    for place in range(3):
        conv, norm = f"{3 * place}", f"{3 * place + 1}"
        names = [f"{norm}.{role}" for role in ("weight", "bias", "running_mean", "running_var")]
        stride = 1 + (place < 2)
        nodes.append(
            helper.make_node(
                "Conv", [last, f"{conv}.weight", f"{conv}.bias"], [f"c{place}"], pads=[1] * 4, strides=[stride] * 2
            )
        )
        nodes.append(helper.make_node("BatchNormalization", [f"c{place}", *names], [f"n{place}"]))
        nodes.append(helper.make_node("Relu", [f"n{place}"], [last := f"r{place}"]))
        stored = (f"{conv}.weight", f"{conv}.bias", *names)
        held += [numpy_helper.from_array(state[name].numpy(), name) for name in stored]
    shape = ["n", 3, 32, 32]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
        held,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_an_onnx_file_says_so_of_itself_and_its_stamp_carries_it_on(tmp_path: Path) -> None:
    path = exported(tmp_path / "net.onnx", broken(1))
    bncheck.repair_file(path, data_free=True, out=tmp_path / "new.onnx", data_options=SIZE)
    report = bncheck.inspect(tmp_path / "new.onnx")
    assert MadeWithoutData() in report.run.noted
    assert MadeWithoutData() not in bncheck.inspect(path).run.noted
    plain = onnx.load(tmp_path / "new.onnx")
    del plain.metadata_props[:]
    onnx.save(plain, tmp_path / "export.onnx")
    stamp(tmp_path / "export.onnx", tmp_path / "new.onnx", tmp_path / "stamped.onnx")
    assert MadeWithoutData() in bncheck.inspect(tmp_path / "stamped.onnx").run.noted


def test_noise_has_the_colours_of_photographs() -> None:
    noise = coloured_noise(64, (3, 32, 48), seed=1)
    assert noise.shape == (64, 3, 32, 48)
    assert (float(noise.mean()), float(noise.std())) == pytest.approx((0.0, 1.0), abs=0.1)
    assert np.array_equal(noise, coloured_noise(64, (3, 32, 48), seed=1))
    assert not np.array_equal(noise, coloured_noise(64, (3, 32, 48), seed=2))
    power = (np.abs(np.fft.fft2(coloured_noise(512, (1, 32, 48), seed=1)[:, 0])) ** 2).mean(0)
    assert power[1, 0] / power[8, 0] == pytest.approx(64, rel=0.25)
    assert float(np.corrcoef(noise[:, 0].ravel(), noise[:, 2].ravel())[0, 1]) == pytest.approx(0.9, abs=0.05)
    assert coloured_noise(2, (1, 8, 8), seed=0).shape == (2, 1, 8, 8)


def test_the_table_of_what_it_is_worth_counts_layers_and_accuracies() -> None:
    lost = [norm.num_batches_tracked == 0 for norm in norms(data_free.without(healthy(), 2))]
    assert lost == [False, True, False, True]
    assert all(norm.num_batches_tracked == 0 for norm in norms(data_free.without(healthy(), 1)))
    text = data_free.section([data_free.Row("net", "all", 0.98, 0.1, 0.5, 0.97)], "command")
    assert text.startswith("`command`\n\n| net | statistics lost |")
    assert text.endswith("| net | all | 98.0% | 10.0% | 50.0% | 97.0% |\n")
