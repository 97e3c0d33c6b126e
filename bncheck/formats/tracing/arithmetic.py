"""Sums, differences and products of values and constants, as steps of a wiring."""

from __future__ import annotations

from typing import Any

import numpy as np

from bncheck.core import FloatArray
from bncheck.formats.tracing.values import Call, Value, per_channel
from bncheck.formats.wiring.drawing import Drawing


def added(drawing: Drawing, call: Call) -> Value:
    """`add`, `sub` and `rsub`."""
    one, other, alpha = call.given.get("self"), call.given.get("other"), call.number("alpha")
    signs = [1.0, 1.0 if alpha is None else alpha]
    if call.plain_name == "sub":
        signs[1] = -signs[1]
    if call.plain_name == "rsub":
        signs = [-signs[1], 1.0]
    if isinstance(one, Value) and isinstance(other, Value):
        return Value(drawing.added([one.place, other.place], signs))
    value, sign, constant, factor = (one, signs[0], other, signs[1])
    if not isinstance(value, Value):
        value, sign, constant, factor = (other, signs[1], one, signs[0])
    offset = _constant(drawing, value, constant)
    if offset is None or not isinstance(value, Value):
        return Value(drawing.lost())
    return Value(drawing.scaled(value.place, sign, factor * offset))


def multiplied(drawing: Drawing, call: Call) -> Value:
    """`mul`, and `div` by a constant."""
    one, other = call.given.get("self"), call.given.get("other")
    divides = call.plain_name == "div"
    if isinstance(one, Value) and isinstance(other, Value):
        return Value(drawing.lost() if divides else drawing.multiplied(one.place, other.place))
    value, constant = (one, other) if isinstance(one, Value) else (other, one)
    factor = _constant(drawing, value, constant)
    if factor is None or not isinstance(value, Value) or (divides and value is other):
        return Value(drawing.lost())
    if divides:
        with np.errstate(all="ignore"):
            factor = np.asarray(1 / factor)
    return Value(drawing.scaled(value.place, factor))


def negated(drawing: Drawing, call: Call) -> Value | None:
    """A value of the other sign."""
    return None if call.source is None else Value(drawing.scaled(call.source.place, -1.0))


def _constant(drawing: Drawing, value: Any, constant: Any) -> FloatArray | None:
    return per_channel(constant, drawing.channels[value.place]) if isinstance(value, Value) else None
