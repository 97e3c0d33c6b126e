"""Timing several ways of doing a thing so that the machine's moods cancel."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round; every round runs all of them, one after the other."""
    for run in ways.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratios(seconds: Mapping[str, list[float]], baseline: str) -> dict[str, float]:
    """Median over rounds of each way's time by the baseline's in the same round."""
    base = seconds[baseline]
    return {name: statistics.median(a / b for a, b in zip(times, base, strict=True)) for name, times in seconds.items()}
