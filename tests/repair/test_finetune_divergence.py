"""A run that has gone wrong is stopped where it goes wrong; one that is only being opened is not."""

from __future__ import annotations

import pytest

from bncheck.errors import RefusedError
from bncheck.repair.training.divergence import WINDOW, DivergenceGuard


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_ends_it_at_once(loss):
    guard = DivergenceGuard(1.0, 0.1)
    guard.check(1, 1.0)
    with pytest.raises(RefusedError, match=r"diverged at step 2: the loss is -?(nan|inf).*it was 0\.1"):
        guard.check(2, loss)


def test_an_explosion_ends_it_after_a_window():
    guard = DivergenceGuard(0.5, 0.1)
    for step in range(1, WINDOW):
        guard.check(step, 128.0)
    with pytest.raises(RefusedError, match=r"step 20: the loss rose from 0\.5 to 128"):
        guard.check(WINDOW, 128.0)


@pytest.mark.parametrize(
    ("first", "losses"), [(0.01, [2.5] * 100), (3.0, [200.0, *[2.0] * 100]), (1e6, [1e7] * 100), (-5.0, [3.0] * 100)]
)
def test_opening_single_peaks_and_large_units_are_no_divergence(first, losses):
    guard = DivergenceGuard(first, 0.1)
    for step, loss in enumerate(losses, 1):
        guard.check(step, loss)
    assert guard.recent == losses[-WINDOW:]
