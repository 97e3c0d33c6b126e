"""What a monitor does where measuring fails: before a training, in it, and after that."""

from __future__ import annotations

import warnings

import pytest

from bncheck.integrations.tolerance import Tolerance


def failing() -> float:
    raise RuntimeError("out of memory")


def test_before_training_a_failure_is_raised():
    tolerance = Tolerance()
    with pytest.raises(RuntimeError, match="out of memory"):
        tolerance(failing, before_training=True)
    assert tolerance(lambda: 1.0) == 1.0


def test_in_training_any_failure_is_warned_of_once_and_ends_the_measuring():
    tolerance, asked = Tolerance(), []
    with pytest.warns(RuntimeWarning, match="from here on training goes on without: out of memory"):
        assert tolerance(failing) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tolerance(failing) is None
        assert tolerance(lambda: asked.append(1)) is None
    assert asked == []
