"""Jobs of a benchmark in processes of their own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def done(
    examine: Callable[[Job], Result], jobs: Sequence[Job], processes: int
) -> Iterator[tuple[Result, list[Result]]]:
    """Each result as it comes, beside all there are by then in the order of the jobs."""
    results: dict[Job, Result] = {}
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(examine, job): job for job in jobs}
        for each in as_completed(running):
            result = results[running[each]] = each.result()
            yield result, [results[job] for job in jobs if job in results]
