"""Models run in mixed precision: layers are fed what `torch.autocast` has them fed, in every kind of program."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import bncheck
from bncheck.errors import UsageError
from bncheck.formats import from_module, open_model

SAMPLES = 300


@lru_cache(maxsize=1)
def trained() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, momentum=None), nn.ReLU(), nn.Conv2d(8, 8, 3)),
        *(nn.BatchNorm2d(8, momentum=None), nn.Flatten(), nn.Linear(8 * 16, 3)),
    )
    x = torch.randn(SAMPLES, 3, 8, 8) * 4 + 3
    net.train()(x)
    return net.eval(), x


def fed(kind: torch.dtype | None) -> list[torch.Tensor]:
    """What each layer is fed, by plain hooks."""
    net, x = trained()
    seen: list[torch.Tensor] = []
    handles = [
        module.register_forward_pre_hook(lambda _, given: seen.append(given[0].double()))
        for module in net
        if isinstance(module, nn.BatchNorm2d)
    ]
    with torch.no_grad(), torch.autocast("cpu", dtype=kind or torch.bfloat16, enabled=kind is not None):
        net(x)
    for handle in handles:
        handle.remove()
    return seen


def program(form: str, folder: Path) -> Any:
    net, x = trained()
    if form == "module":
        return net
    path = folder / f"net.{form}"
    if form == "pt":
        torch.jit.trace(net, x[:2]).save(str(path))
    else:
        exported = torch.export.export(net, (x[:4],), dynamic_shapes=({0: torch.export.Dim("n", min=2)},))
        torch.export.save(exported, path)
    return path


@pytest.mark.parametrize("form", ["module", "pt", pytest.param("pt2", marks=pytest.mark.slow)])
def test_layers_are_fed_what_autocast_feeds_them(form: str, tmp_path: Path) -> None:
    report = bncheck.inspect(program(form, tmp_path), trained()[1], amp="bfloat16", fast=True, batch_size=SAMPLES)
    assert report.run.options["amp"] == "bfloat16"
    for layer, mixed, plain in zip(report.layers, fed(torch.bfloat16), fed(None), strict=True):
        assert layer.table is not None
        mean = torch.from_numpy(layer.table.measured_mean.copy())
        torch.testing.assert_close(mean, mixed.mean((0, 2, 3)), atol=1e-6, rtol=1e-6)
        assert not torch.allclose(mean, plain.mean((0, 2, 3)), atol=1e-6, rtol=1e-6)


def test_its_precision_is_that_of_the_type_it_is_run_in() -> None:
    model = from_module(trained()[0])
    assert model.precision() == torch.finfo(torch.float32).eps
    assert model.in_mixed_precision("bfloat16").precision() == torch.finfo(torch.bfloat16).eps


def test_weights_alone_are_audited_as_they_are(tmp_path: Path) -> None:
    torch.save(trained()[0].state_dict(), tmp_path / "weights.pt")
    opened = open_model(tmp_path / "weights.pt")
    assert opened.in_mixed_precision("float16") is opened


def test_other_precisions_and_other_runtimes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="amp int8: choose one of float16, bfloat16"):
        bncheck.inspect(trained()[0], trained()[1], amp="int8")
    net, x = trained()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter, which takes a tenth of the time
        torch.onnx.export(net, (x[:2],), tmp_path / "net.onnx", dynamo=False)
    with pytest.raises(UsageError, match=r"amp bfloat16 is of models that PyTorch runs.*net\.onnx is none"):
        bncheck.inspect(tmp_path / "net.onnx", x, amp="bfloat16")


def test_parts_of_two_precisions_do_not_merge(tmp_path: Path) -> None:
    net, x = trained()
    paths = [tmp_path / f"{index}.safetensors" for index in (1, 2, 3)]
    for index, (path, amp) in enumerate(zip(paths, ("bfloat16", "bfloat16", None), strict=True), 1):
        bncheck.write_moments(net, x, path, shard=(index, 3), amp=amp, fast=True)
    with pytest.raises(UsageError, match=r"3\.safetensors: of another amp than"):
        bncheck.merge(paths)
