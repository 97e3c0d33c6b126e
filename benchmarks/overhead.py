"""What an inspection costs beside plain forwards: `make bench`, a table in Markdown.

Ratios to the plain `inference_mode` forward, medians over interleaved rounds.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable

import torch
from torch import nn

from benchmarks.nets import fitted, resnet18_size, small_net
from benchmarks.timing import interleaved, ratios
from bncheck import inspect
from bncheck.formats import from_module
from bncheck.formats.programs.backend import ProgramBackend
from bncheck.formats.programs.tap import Tap
from bncheck.measure.plan import READ_WHOLE
from bncheck.watch.policies import BATCH, STORED, Policy
from bncheck.watch.recorder import Recorder

ROUNDS = 9


def tapped(
    model: nn.Module, x: torch.Tensor, policy: Policy, start: int = 0, *, recorded: bool = True
) -> Callable[[], object]:
    """A pass over samples from number `start` on, as `bncheck.measure` runs it."""
    opened = from_module(model)
    assert isinstance(opened, ProgramBackend)
    tap = Tap(opened)
    program = opened.program

    numbers = torch.arange(start, start + len(x))

    def run() -> object:
        recorder = Recorder(per_sample=policy is STORED, whole=READ_WHOLE if policy is STORED else None)
        with tap.watching(policy, recorder.expect(numbers, start) if recorded else None, len(x)):
            return program(x)

    return run


def hooked(model: nn.Module, x: torch.Tensor) -> Callable[[], object]:
    """The usual way: forward hooks that take mean() and var() of every BatchNorm's input."""
    watched = copy.deepcopy(model)
    taken = []
    for module in watched.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(lambda _, args: taken.append(_moments(args[0])))

    def run() -> object:
        taken.clear()
        with torch.inference_mode():
            return watched(x)

    return run


def _moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    axes = [axis for axis in range(x.dim()) if axis != 1]
    return x.mean(axes), x.var(axes, unbiased=False)


def updating(model: nn.Module, x: torch.Tensor) -> Callable[[], object]:
    """Torch's own recalibration, which overwrites the statistics."""
    own = copy.deepcopy(model)
    return lambda: torch.optim.swa_utils.update_bn([x], own)


def ways(model: nn.Module, x: torch.Tensor) -> dict[str, Callable[[], object]]:
    def plain() -> object:
        with torch.inference_mode():
            return model(x)

    return {
        "plain forward": plain,
        "stored pass": tapped(model, x, STORED),
        f"the same after {READ_WHOLE:,} samples": tapped(model, x, STORED, READ_WHOLE),
        "batch pass": tapped(model, x, BATCH),
        "hooks with mean() and var()": hooked(model, x),
        "swa_utils.update_bn": updating(model, x),
    }


def passes() -> dict[str, dict[str, float]]:
    """Ratios of one pass over a batch of 16 images of 224x224, for both memory layouts."""
    table = {}
    for layout, name in ((torch.contiguous_format, "contiguous"), (torch.channels_last, "channels_last")):
        torch.manual_seed(0)
        x = torch.randn(16, 3, 224, 224).to(memory_format=layout)
        model = fitted(resnet18_size().to(memory_format=layout), x, 1)
        table[name] = ratios(interleaved(ways(model, x), ROUNDS), "plain forward")
    return table


def whole_inspection(samples: int = 4000) -> float:
    """A whole inspection (both passes, what-ifs, effect) by two plain forwards over the same data."""
    torch.manual_seed(0)
    model = small_net().eval()
    x, y = torch.randn(samples, 1, 28, 28), torch.randint(0, 10, (samples,))

    def forwards() -> None:
        with torch.inference_mode():
            for _ in range(2):
                for batch in x.split(64):
                    model(batch)

    seconds = interleaved({"forwards": forwards, "inspection": lambda: inspect(model, (x, y))}, 5)
    return ratios(seconds, "forwards")["inspection"]


def main() -> None:
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    table = passes()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {ROUNDS} interleaved rounds\n")
    print("| ResNet-18 size, batch 16 | contiguous | channels_last |\n|---|---|---|")
    for way in table["contiguous"]:
        print(f"| {way} | {table['contiguous'][way]:.2f} | {table['channels_last'][way]:.2f} |")
    print("\n| 4,000 images of 28x28, small net | by two plain forwards over the data |\n|---|---|")
    print(f"| whole inspection: both passes, what-ifs, effect | {whole_inspection():.2f} |")


if __name__ == "__main__":
    sys.exit(main())
