"""Run the experiments: `python -m benchmarks.experiments [--only E2] [--seeds 5] [--fashion FOLDER]`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks.experiments import e2_bad_batches
from benchmarks.experiments.outcome import Outcome

ON_DIGITS: dict[str, Callable[[int], Iterator[Outcome]]] = {"E2": e2_bad_batches.on_digits}
ON_FASHION: dict[str, Callable[[int, Path], Iterator[Outcome]]] = {"E2": e2_bad_batches.on_fashion}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=sorted(ON_DIGITS), help="an experiment; repeatable")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--fashion", type=Path, help="folder of fashion_mnist_*.npz: run what is done on it, too")
    parser.add_argument("--fashion-seeds", type=int, default=3)
    chosen = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    for code in chosen.only or ON_DIGITS:
        for outcome in ON_DIGITS[code](chosen.seeds):
            print(f"\n{outcome.table()}\n", flush=True)
        if chosen.fashion is not None and code in ON_FASHION:
            for outcome in ON_FASHION[code](chosen.fashion_seeds, chosen.fashion):
                print(f"\n{outcome.table()}\n", flush=True)


if __name__ == "__main__":
    main()
