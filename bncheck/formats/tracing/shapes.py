"""Operators that put channels or positions elsewhere, as steps of a wiring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bncheck.formats.tracing.values import Call, Value
from bncheck.formats.wiring.drawing import Drawing
from bncheck.formats.wiring.steps import Joined, Padded, Part
from bncheck.vocabulary import Unpredicted

_ALL = 2**31


def reshaped(drawing: Drawing, call: Call) -> Value | None:
    """`view`, `reshape`, `flatten`, `squeeze` and `unsqueeze`: positions that become channels, or as it was."""
    source = call.source
    if source is None:
        return None
    before, after = call.shapes
    if before is not None and after is not None:
        return _by_shapes(drawing, source, tuple(before), tuple(after))
    return _by_arguments(drawing, call, source)


def _by_shapes(drawing: Drawing, source: Value, before: Sequence[Any], after: Sequence[Any]) -> Value:
    if len(before) < 2 or len(after) < 2 or before[0] != after[0]:
        return Value(drawing.lost(Unpredicted.REARRANGED))
    if before[1] == after[1] and math.prod(before[2:]) == math.prod(after[2:]):
        return source
    if len(after) == 2 and after[1] == math.prod(before[1:]):
        return Value(drawing.flattened(source.place))
    return Value(drawing.lost(Unpredicted.REARRANGED))


def _by_arguments(drawing: Drawing, call: Call, source: Value) -> Value:
    """Where sizes are not known: as far as the arguments tell."""
    name = call.plain_name
    if name == "flatten" and (call.given.get("start_dim"), call.given.get("end_dim", -1)) == (1, -1):
        return Value(drawing.flattened(source.place))
    if name in ("view", "reshape"):
        size = call.given.get("size", call.given.get("shape"))
        if isinstance(size, list | tuple) and len(size) == 2 and (size[1] == -1 or size[0] == -1):
            return Value(drawing.flattened(source.place))
    if name == "squeeze" and isinstance(call.given.get("dim"), int) and call.given["dim"] not in (0, 1):
        return source
    if name == "unsqueeze" and call.given.get("dim") in (2, 3, 4, -1):
        return source
    return Value(drawing.lost(Unpredicted.REARRANGED))


def rearranged(drawing: Drawing, call: Call) -> Value:
    """Axes that are exchanged."""
    return Value(drawing.lost(Unpredicted.REARRANGED))


def sliced(drawing: Drawing, call: Call) -> Value | None:
    """Some channels, or some positions, of which the others are like."""
    source, step = call.source, call.given.get("step", 1)
    if source is None:
        return None
    if not call.is_channels(call.given.get("dim", 0)):
        return source
    begin, end = call.given.get("start") or 0, call.given.get("end")
    if not isinstance(begin, int) or not (end is None or isinstance(end, int)) or step != 1:
        return Value(drawing.lost(Unpredicted.REARRANGED))
    return Value(drawing.put(Part(source.place, begin, None if end is None or end >= _ALL else end)))


def narrowed(drawing: Drawing, call: Call) -> Value | None:
    """So many channels from one on."""
    source, begin, length = call.source, call.given.get("start"), call.given.get("length")
    if source is None or not call.is_channels(call.given.get("dim")):
        return source
    if not isinstance(begin, int) or not isinstance(length, int):
        return Value(drawing.lost(Unpredicted.REARRANGED))
    return Value(drawing.put(Part(source.place, begin, begin + length)))


def split(drawing: Drawing, call: Call) -> list[Value] | Value | None:
    """The channels in parts."""
    source = call.source
    if source is None:
        return None
    whole = drawing.channels[source.place]
    if not call.is_channels(call.given.get("dim", 0)) or whole is None:
        return Value(drawing.lost(Unpredicted.REARRANGED))
    sizes = _sizes(call, whole)
    if sizes is None:
        return Value(drawing.lost(Unpredicted.REARRANGED))
    return [Value(place) for place in drawing.split(source.place, sizes)]


def _sizes(call: Call, whole: int) -> list[int] | None:
    size = call.given.get("split_size", call.given.get("split_sizes", call.given.get("split_size_or_sections")))
    if isinstance(chunks := call.given.get("chunks"), int) and chunks > 0:
        size = -(-whole // chunks)
    if isinstance(size, int) and size > 0:
        return [min(size, whole - begin) for begin in range(0, whole, size)]
    return list(size) if isinstance(size, list | tuple) and all(isinstance(one, int) for one in size) else None


def joined(drawing: Drawing, call: Call) -> Value:
    """Values beside each other, by their channels or by their positions."""
    parts = call.given.get("tensors")
    if not isinstance(parts, list | tuple) or not all(isinstance(part, Value) for part in parts):
        return Value(drawing.lost())
    axis = call.given.get("dim", 0)
    if axis == 1 or call.is_channels(axis) or (axis == -3 and call.rank is None):
        return Value(drawing.put(Joined(tuple(part.place for part in parts))))
    return parts[0] if len(parts) == 1 else Value(drawing.lost(Unpredicted.REARRANGED))


def padded(drawing: Drawing, call: Call) -> Value | None:
    """A border around positions, or channels of zeros."""
    source, pad = call.source, call.sizes("pad")
    if source is None:
        return None
    if call.plain_name == "pad" and call.given.get("mode") not in (None, "constant"):
        return source
    if pad is None or (call.number("value") or 0.0) != 0.0:
        return Value(drawing.lost())
    axes = len(pad) // 2
    if not any(pad):
        return source
    if call.rank is None and axes > 2 and any(pad[4:]):
        return Value(drawing.lost(Unpredicted.REARRANGED))
    of_channels = None if call.rank is None else 2 * (call.rank - 2)
    if of_channels is not None and any(pad[of_channels + 2 :]):
        return Value(drawing.lost(Unpredicted.REARRANGED))
    place = source.place
    if any(pad[:of_channels]):
        place = drawing.put(Padded(place))
    if of_channels is not None and any(pad[of_channels:]):
        if min(pad[of_channels:]) < 0:
            return Value(drawing.lost(Unpredicted.REARRANGED))
        place = drawing.wider(place, pad[of_channels], pad[of_channels + 1])
    return Value(place)
