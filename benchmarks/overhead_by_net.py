"""What the passes cost by network, layout, type and batch: `python -m benchmarks.overhead_by_net`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.nets import densenet_size, fitted, mlp, mobilenet_size, resnet18_size, resnet50_size, series_net
from benchmarks.overhead import tapped, ways
from benchmarks.timing import interleaved, ratios
from bncheck.watch import STORED

ROUNDS = 7
WATCHED = "watched, nothing measured"
"""What there is of a pass before a layer's input is looked at: every operator goes through Python once."""
_IMAGE = (3, 224, 224)


@dataclass(frozen=True, slots=True)
class Case:
    """A network, and what it is fed."""

    name: str
    build: Callable[[], nn.Module]
    sample: tuple[int, ...]
    batch: int
    channels_last: bool = False
    dtype: torch.dtype = torch.float32

    @property
    def told(self) -> str:
        """The case as the table has it."""
        kind = str(self.dtype).removeprefix("torch.")
        return f"{self.name} | {'channels_last' if self.channels_last else 'contiguous'}, {kind} | {self.batch}"


CASES = (
    Case("ResNet-18 size", resnet18_size, _IMAGE, 1),
    Case("ResNet-18 size", resnet18_size, _IMAGE, 8),
    Case("ResNet-18 size", resnet18_size, _IMAGE, 64),
    Case("ResNet-18 size", resnet18_size, _IMAGE, 8, channels_last=True),
    Case("ResNet-18 size", resnet18_size, _IMAGE, 8, dtype=torch.bfloat16),
    Case("ResNet-50 size", resnet50_size, _IMAGE, 8),
    Case("ResNet-50 size", resnet50_size, _IMAGE, 8, channels_last=True),
    Case("MobileNetV2-like", mobilenet_size, _IMAGE, 8),
    Case("MobileNetV2-like", mobilenet_size, _IMAGE, 8, channels_last=True),
    Case("DenseNet-like", densenet_size, _IMAGE, 8),
    Case("1-d convolutions", series_net, (12, 1000), 64),
    Case("MLP", mlp, (512,), 64),
)


def measured(case: Case) -> dict[str, float]:
    """Ratios to the plain forward, medians over interleaved rounds."""
    torch.manual_seed(0)
    layout = torch.channels_last if case.channels_last else torch.contiguous_format
    x = torch.randn(case.batch, *case.sample)
    model = fitted(case.build(), x if case.batch > 1 else torch.randn(4, *case.sample), 1)
    if len(case.sample) == 3:
        model, x = model.to(memory_format=layout), x.to(memory_format=layout)
    model, x = model.to(case.dtype), x.to(case.dtype)
    watched = {WATCHED: tapped(model, x, STORED, recorded=False)}
    return ratios(interleaved(ways(model, x) | watched, ROUNDS), "plain forward")


def main() -> None:
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {ROUNDS} interleaved rounds\n")
    for number, case in enumerate(CASES):
        found = measured(case)
        if not number:
            print(
                f"| network | fed | batch | {' | '.join(list(found)[1:])} |\n|---|---|---|{'---|' * (len(found) - 1)}"
            )
        told = [f"{found[way]:.2f}" for way in list(found)[1:]]
        print(f"| {case.told} | {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main()
