"""What an inspection costs on a GPU: `python -m benchmarks.gpu`, a table in Markdown that names the device.

ResNet-50's size, batches of 256 images of 224x224 that lie on the device; ratios to plain inference in the same
precision and memory format, medians over interleaved rounds, with the device waited for at the end of each. The last
line is a whole inspection beside one plain pass, images sent from pinned memory in both.

No figures of it stand in the documentation: no GPU was at hand when this was written. 50,000 images take 30 GB of
memory, `--images` fewer. `--device cpu --batch 8 --size 32
--images 64 --rounds 1` tries the script without one, and says nothing of a GPU.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

import bncheck
from benchmarks.timing import interleaved, ratios
from bncheck.formats import from_module
from bncheck.formats.programs.backend import ProgramBackend
from bncheck.formats.programs.tap import Tap
from bncheck.watch import BATCH, STORED, Policy, Recorder

Run = Callable[[], object]


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut (He et al. 2016, figure 5 right; the stride in the 3x3)."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.body = nn.Sequential(
            *(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)),
        )
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (N, C, H, W)."""
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet50_size() -> nn.Module:
    """A residual network of ResNet-50's size: 53 BatchNorm layers of 26,560 channels, 25.6 million parameters."""
    blocks, inputs = [], 64
    for width, number, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for place in range(number):
            blocks.append(Bottleneck(inputs, width, stride if place == 0 else 1))
            inputs = 4 * width
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
        *(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)),
    )


def waited(device: torch.device) -> None:
    """Let the device finish."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def mixed(device: torch.device, kind: torch.dtype | None) -> AbstractContextManager[object]:
    """Inference in that precision."""
    return nullcontext() if kind is None else torch.autocast(device.type, dtype=kind)


def ways(net: nn.Module, x: torch.Tensor, kind: torch.dtype | None) -> dict[str, Run]:
    """What is compared, by the column's title; each waits for the device at its end."""
    opened = from_module(net, device=str(x.device))
    assert isinstance(opened, ProgramBackend)
    tap, program = Tap(opened), opened.program
    hooked: list[tuple[torch.Tensor, torch.Tensor]] = []
    own = from_module(net, device=str(x.device))
    assert isinstance(own, ProgramBackend)
    for module in own.program.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(
                lambda _, given: hooked.append((given[0].mean((0, 2, 3)), given[0].var((0, 2, 3), unbiased=False)))
            )

    def plain() -> None:
        with torch.inference_mode(), mixed(x.device, kind):
            program(x)
        waited(x.device)

    def tapped(policy: Policy) -> None:
        recorder = Recorder(per_sample=policy is STORED)
        with tap.watching(policy, recorder, len(x)), mixed(x.device, kind):
            program(x)
        waited(x.device)

    def by_hooks() -> None:
        hooked.clear()
        with torch.inference_mode(), mixed(x.device, kind):
            own.program(x)
        waited(x.device)

    return {
        "plain": plain,
        "stored pass": lambda: tapped(STORED),
        "batch pass": lambda: tapped(BATCH),
        "hooks with mean() and var()": by_hooks,
    }


def whole(net: nn.Module, images: torch.Tensor, device: torch.device, batch: int) -> tuple[float, float]:
    """Seconds of one plain pass over the images, and of a whole inspection."""
    program = from_module(net, device=str(device))
    assert isinstance(program, ProgramBackend)

    def plain() -> None:
        with torch.inference_mode():
            for part in images.split(batch):
                sent = part.pin_memory() if device.type == "cuda" else part
                program.program(sent.to(device, non_blocking=True))
        waited(device)

    seconds = []
    for run in (plain, lambda: bncheck.inspect(net, images, device=str(device), batch_size=batch)):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds[0], seconds[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 where there is no such device."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    for name, value in (("--batch", 256), ("--size", 224), ("--images", 50_000), ("--rounds", 7)):
        parser.add_argument(name, type=int, default=value)
    given = parser.parse_args(arguments)
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("Nothing is measured: PyTorch finds no GPU here.", file=sys.stderr)
        return 1
    called = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU, which says nothing of a GPU"
    print(f"{called}, PyTorch {torch.__version__}, {given.batch} images of {given.size}x{given.size} in a batch\n")
    torch.manual_seed(0)
    net = resnet50_size().eval()
    kinds = [None, torch.bfloat16, *([torch.float16] if device.type == "cuda" else [])]
    titles: list[str] = []
    for form in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(given.batch, 3, given.size, given.size).to(device, memory_format=form)
        for kind in kinds:
            timed = interleaved(ways(net.to(memory_format=form), x, kind), given.rounds)
            if not titles:
                titles = list(timed)
                print(f"| | plain, ms | {' | '.join(titles[1:])} |\n|---{'|---' * len(titles)}|")
            by = ratios(timed, "plain")
            name = "float32" if kind is None else f"autocast {str(kind).removeprefix('torch.')}"
            shown = [f"{1000 * statistics.median(timed['plain']):.1f}", *(f"{by[title]:.2f}" for title in titles[1:])]
            print(f"| {name}{', channels_last' if form is torch.channels_last else ''} | " + " | ".join(shown) + " |")
    images = torch.randn(given.images, 3, given.size, given.size)
    plain, inspected = whole(net, images, device, given.batch)
    print(
        f"\n{len(images):,} images: one plain pass {plain:.1f} s, a whole inspection {inspected / plain:.2f} times that"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
