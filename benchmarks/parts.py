"""What a part weighs and what merging costs: `python -m benchmarks.parts`, the figures of docs/many-processes.md."""

from __future__ import annotations

import pickle
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.numpy import load_file

import bncheck
from benchmarks.nets import resnet18_size
from bncheck.data import open_data
from bncheck.formats import from_module
from bncheck.measure import Plan
from bncheck.measure.passes import Passes
from bncheck.measure.reservoir import Reservoir
from bncheck.progress import no_progress

IMAGE = 32


def written(folder: Path, samples: int, shards: int) -> list[Path]:
    """The parts of all shards of so many images."""
    torch.manual_seed(0)
    net, data = resnet18_size().eval(), torch.randn(samples, 3, IMAGE, IMAGE)
    paths = [folder / f"{samples}-{index}-of-{shards}.safetensors" for index in range(1, shards + 1)]
    for index, path in enumerate(paths, 1):
        bncheck.write_moments(net, data, path, shard=(index, shards))
    return paths


def exchanged(samples: int) -> tuple[int, int]:
    """Bytes that a process of a job sends: to every other after the batch pass, and to the first at the end."""
    torch.manual_seed(0)
    plan, source = Plan(), open_data(torch.randn(samples, 3, IMAGE, IMAGE))
    with from_module(resnet18_size().eval()).session("data", plan.seed) as session:
        passes = Passes(session, source, plan, no_progress)
        batch = passes.batch_pass()
        return len(pickle.dumps(batch)), len(pickle.dumps(replace(passes.stored_pass(batch), reservoir=Reservoir())))


def main() -> None:
    """Print a line for each part and each merge."""
    norms = [module for module in resnet18_size().modules() if isinstance(module, torch.nn.BatchNorm2d)]
    channels = sum(norm.num_features for norm in norms)
    print(f"ResNet-18 size: {len(norms)} layers, {channels:,} channels")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for samples in (64, 128):
            (path,) = written(folder, samples, 1)
            sizes = {key: value.nbytes for key, value in load_file(path).items()}
            rows = sum(size for key, size in sizes.items() if ".rows." in key)
            document = path.stat().st_size - sum(sizes.values())
            print(
                f"1 part of {samples} samples: {path.stat().st_size / 2**20:.2f} MiB, of single samples "
                f"{rows / 2**20:.2f} MiB ({rows / samples / channels:.1f} bytes a sample and channel), else "
                f"{(sum(sizes.values()) - rows) / channels:.1f} bytes a channel, document {document / 2**10:.0f} KiB"
            )
        batch, one, other = exchanged(64)[0], *(exchanged(samples)[1] for samples in (64, 128))
        each = (other - one) / 64 / channels
        print(
            f"torchrun: {batch / channels:.0f} bytes a channel from each to each; to the first "
            f"{one / channels - 64 * each:.0f} a channel, {each:.1f} a sample and channel, and samples for probes"
        )
        for shards in (4, 16, 64):
            paths = written(folder, 2 * shards, shards)
            total = sum(path.stat().st_size for path in paths)
            start = time.perf_counter()
            bncheck.merge(paths)
            took = time.perf_counter() - start
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
            print(
                f"merge of {shards} parts, {total / 2**20:.1f} MiB: {took:.2f} s ({1000 * took / shards:.0f} ms a "
                f"part), process at {peak:.0f} MiB at the most"
            )


if __name__ == "__main__":
    main()
