"""Numbers and names as characters."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.render.words.cells import count, number, printable, shorten, span

REPEATABLE = settings(derandomize=True, deadline=None)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (0.0, "0.00"),
        (0.0049, "<0.01"),
        (-0.001, "<0.01"),
        (0.005, "0.01"),
        (0.25, "0.25"),
        (-3.14159, "-3.14"),
        (9.994, "9.99"),
        (9.996, "10"),
        (12.34, "12.3"),
        (999.4, "999"),
        (999.6, "1.0e3"),
        (1234.0, "1.2e3"),
        (3.6e-12, "<0.01"),
        (6.02e23, "6.0e23"),
    ],
)
def test_a_number_as_it_is_shown(value: float | None, shown: str) -> None:
    assert number(value) == shown


@REPEATABLE
@given(st.floats(min_value=0.005, max_value=1e300))
def test_a_number_can_be_read_back(value: float) -> None:
    shown = number(value)
    assert len(shown) <= 7
    assert float(shown) == pytest.approx(value, abs=0.00501 if value < 10 else 0, rel=0 if value < 10 else 0.051)


@REPEATABLE
@given(st.floats(min_value=0, max_value=1e6), st.floats(min_value=0, max_value=1e6))
def test_larger_numbers_never_look_smaller(one: float, other: float) -> None:
    low, high = (float(number(value).replace("<0.01", "0.004")) for value in sorted((one, other)))
    assert low <= high


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (0.5, 2.0, "0.50..2.00"),
        (1.0, 1.001, "1.00"),
        (math.nan, math.nan, "nan"),
        (None, None, "-"),
        (0.001, 1500.0, "<0.01..1.5e3"),
    ],
)
def test_a_range(low: float | None, high: float | None, shown: str) -> None:
    assert span(low, high) == shown


@REPEATABLE
@given(st.text(min_size=0, max_size=40), st.integers(1, 45))
def test_a_name_loses_its_beginning_and_only_where_it_must(name: str, width: int) -> None:
    shown = shorten(name, width)
    assert len(shown) <= width
    if len(name) <= width:
        assert shown == name
    else:
        assert len(shown) == width
        assert shown[0] == "…"
        assert name.endswith(shown[1:])


def test_control_characters_never_reach_the_terminal() -> None:
    assert printable("stem\x1b[31m.bn\r\x07\u202eevil") == "stem�[31m.bn��" + "�evil"
    assert printable("line\nbreaks, ümläute and 層 stay") == "line\nbreaks, ümläute and 層 stay"


@pytest.mark.parametrize(("how_many", "said"), [(0, "0 layers"), (1, "1 layer"), (2, "2 layers")])
def test_counting(how_many: int, said: str) -> None:
    assert count(how_many, "layer") == said
