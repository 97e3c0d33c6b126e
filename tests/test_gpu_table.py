"""`benchmarks/gpu.py`, which no GPU has run yet: that it prints its table, here of a small network on the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks import gpu
from benchmarks.nets import small_net


def test_the_network_has_the_size_that_it_says() -> None:
    with torch.device("meta"):
        net = gpu.resnet50_size()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert (len(norms), sum(norm.num_features for norm in norms)) == (53, 26_560)
    assert sum(parameter.numel() for parameter in net.parameters()) == 25_557_032


@pytest.mark.slow
def test_every_precision_and_memory_format_has_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    net = small_net()
    net[0] = nn.Conv2d(3, 16, 3, 1, 1)
    monkeypatch.setattr(gpu, "resnet50_size", lambda: net)
    assert gpu.main(["--device", "cpu", "--batch", "4", "--size", "12", "--images", "40", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("the CPU, which says nothing of a GPU")
    rows = [line.split(" | ") for line in lines if line.startswith("| ")]
    assert [len(row) for row in rows] == [5] * 5
    assert [row[0] for row in rows[1:]] == [
        *("| float32", "| autocast bfloat16", "| float32, channels_last", "| autocast bfloat16, channels_last"),
    ]
    assert "40 images: one plain pass" in lines[-1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, on which it would take minutes")
def test_without_a_gpu_it_says_that_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([]) == 1
    assert capsys.readouterr().err == "Nothing is measured: PyTorch finds no GPU here.\n"
