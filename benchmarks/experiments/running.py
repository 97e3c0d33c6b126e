"""Running the seeds of experiments side by side, one thread each: the same numbers on any number of cores."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor

import torch

from benchmarks.experiments.experiment import Experiment, Seen
from benchmarks.experiments.record import Ran


def run(chosen: Mapping[str, Experiment], *, effort: float = 1.0, processes: int = 2) -> Iterator[tuple[str, Ran]]:
    """Every experiment with its seeds 0, 1, ..., as they are done; the same whatever else runs beside it."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn, initializer=_one_thread) as pool:
        waiting = {
            code: [pool.submit(_timed, one, seed, effort) for seed in range(one.seeds)] for code, one in chosen.items()
        }
        for code, futures in waiting.items():
            done = [future.result() for future in futures]
            yield code, Ran([seen for seen, _ in done], sum(seconds for _, seconds in done))


def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def _timed(experiment: Experiment, seed: int, effort: float) -> tuple[Seen, float]:
    start = time.process_time()
    return experiment.one(seed, effort), time.process_time() - start
