"""Many inspections in one process, and several at once: nothing is left of them."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest
import torch

from bncheck.data import same_random_state


def test_blocks_that_overlap_leave_the_random_state_as_it_was() -> None:
    """The first to begin ends first: what the second found is not what was there before."""
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    began, both, ended = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with same_random_state([], seed=1):
            began.set()
            both.wait()
        ended.set()

    def second() -> None:
        began.wait()
        with same_random_state([], seed=2):
            both.set()
            ended.wait()

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), str(np.random.get_state())) == before[1:]


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 4])
def test_inspections_leave_nothing_behind(threads: int) -> None:
    from fuzz.soak import soak

    soaked = soak(12, threads)
    assert soaked.left == ()
    assert soaked.python_bytes < 2**20
    assert soaked.process_bytes < 2**25  # twelve are too few to tell the allocator's own room: `make soak` runs 500
