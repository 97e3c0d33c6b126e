"""The numbers that decide, as a report tells them."""

from __future__ import annotations

from dataclasses import fields

from bncheck.core import THRESHOLDS, Thresholds, in_force


def test_every_number_in_force_is_told_by_its_name() -> None:
    told = in_force()
    assert set(told) == {field.name for field in fields(Thresholds)}
    assert told == {name: getattr(THRESHOLDS, name) for name in told}
