"""What the rule tests share: the digits, and a healthy network trained on them."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from digit_nets import SAMPLES, Data, build_digits_net
from torch import nn


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small run faster on one thread, and to the same last digit on every machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _digits(part: str) -> Data:
    with np.load(SAMPLES / f"digits_{part}.npz") as arrays:
        return torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])


@pytest.fixture(scope="session")
def training() -> Data:
    """1,200 images and labels."""
    return _digits("train")


@pytest.fixture(scope="session")
def all_held_out() -> Data:
    """597 others of the same distribution."""
    return _digits("eval")


@pytest.fixture(scope="session")
def held_out(all_held_out: Data) -> Data:
    """400 of them: 256 are the most that a probe runs, and 32 of each label the most that it groups."""
    x, y = all_held_out
    return x[:400], y[:400]


@pytest.fixture(scope="session")
def _healthy() -> nn.Module:
    net = build_digits_net()
    net.load_state_dict(torch.load(SAMPLES / "healthy.pt"))
    return net.eval()


@pytest.fixture
def healthy(_healthy: nn.Module) -> nn.Module:
    """The healthy sample, the test's own copy."""
    return copy.deepcopy(_healthy)
