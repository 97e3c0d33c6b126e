"""Which layer feeds which through one convolution, by the order, names and shapes of a file's tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bncheck.core import FloatArray, NormLayer
from bncheck.tensors import torch
from bncheck.vocabulary import Activation, Unpredicted
from bncheck.weights.prediction.moments import Moments
from bncheck.weights.prediction.usable import is_usable

_EARLIER, _LOOKED_AT = 4, 60
"""Layers before the source of which a sum may be made, and in how many steps before they are looked for."""
_DEEP = 4
"""Modules around a layer among which its block is looked for."""
WIDE, MANY = 2**14, 2000
"""Channels of a layer, and pairs of a file, beyond which nothing is predicted: no network has so many."""
_NUMBER = re.compile(r"\d{1,9}")
_NORM_WORDS = re.compile(r"bn|norm", re.IGNORECASE)
_WEIGHTED = re.compile(r"conv|fc|lin|pw|dw", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What a graph tells of what enters a weight.

    Attributes:
        activation: the last one before the weight.
        padded: positions at its border meet zeros.
        entering: moments of what enters it, by the share of positions at the border of weights further before; `None`
            for the output of the source alone through the activation, which goes by the eps that it is taken to have.
        before: of what the activation is given.
        slope: of that, where it has one.
        told: all that stands before the weight, in words.
        summed: branches are added there.
        averaged: the variance is known within a factor alone.
    """

    activation: Activation
    padded: bool
    entering: tuple[Moments, ...] | None = None
    before: Moments | None = None
    slope: FloatArray | None = None
    told: str = ""
    summed: bool = False
    averaged: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A layer whose statistics can be predicted, and what from.

    Attributes:
        source: the layer before.
        target: whose statistics are predicted.
        weight_name: what stands between them.
        weight: shape (O, C / groups, ...).
        bias: shape (O,); `None` without.
        groups: of channels that do not meet.
        slope: of a PReLU between the source and the weight, shape (C,) or (1,); `None` where there is none.
        form: how the three are named and shaped, with the numbers in their names relative: alike in blocks alike.
        earlier: the last layers before the source that have as many channels, the nearest first.
        known: what a graph tells of what stands between; `None` where names and shapes are all there is.
    """

    source: NormLayer
    target: NormLayer
    weight_name: str
    weight: torch.Tensor
    bias: torch.Tensor | None
    groups: int
    slope: torch.Tensor | None
    form: str
    earlier: tuple[NormLayer, ...] = ()
    known: Known | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A layer, a weight, or the slopes of a PReLU, in the order of the file."""

    name: str
    layer: NormLayer | None = None
    weight: torch.Tensor | None = None
    bias: torch.Tensor | None = None

    @property
    def is_slope(self) -> bool:
        return self.weight is not None and self.weight.dim() < 2


def pairs_of(
    layers: Sequence[NormLayer], tensors: Mapping[str, torch.Tensor]
) -> tuple[list[Pair], dict[str, Unpredicted]]:
    """The pairs, and why any other layer is in none.

    Args:
        layers: every normalization layer of the file.
        tensors: all that the file holds, in its order.
    """
    pairs: list[Pair] = []
    reasons: dict[str, Unpredicted] = {}
    steps = list(_steps(layers, tensors))
    stored = [layer for layer in layers if layer.has_statistics]
    below = Counter(above for layer in stored for above in _above(layer.name))
    for position, step in enumerate(steps):
        if step.layer is None or not step.layer.has_statistics:
            continue
        found = _pair(step.layer, steps[max(0, position - _LOOKED_AT) : position])
        if isinstance(found, Pair) and _block(found.source.name, below) != _block(found.target.name, below):
            found = Unpredicted.ACROSS_BLOCKS
        if isinstance(found, Pair) and not (is_usable(found.source) and is_usable(found.target)):
            found = Unpredicted.UNUSABLE
        if isinstance(found, Pair) and (len(pairs) >= MANY or found.source.channels + found.target.channels > WIDE):
            found = Unpredicted.TOO_LARGE
        if isinstance(found, Pair):
            pairs.append(found)
        else:
            reasons[step.name] = found
    return pairs, reasons


def _above(name: str) -> list[str]:
    """What holds the layer, from the nearest on; the model itself is `""`."""
    found: list[str] = []
    while name and len(found) < _DEEP:
        name = name.rpartition(".")[0]
        found.append(name)
    return found


def _block(name: str, below: Mapping[str, int]) -> str:
    """The nearest that holds other layers too: a convolution and its layer in a module of their own are no block."""
    return next((above for above in _above(name) if below[above] > 1), "")


def _pair(target: NormLayer, before: Sequence[_Step]) -> Pair | Unpredicted:
    """What feeds `target`, by the steps before it in the file."""
    weights = before[-1] if before else None
    if weights is None or weights.weight is None or weights.is_slope:
        return Unpredicted.NO_WEIGHT
    if len(before) == 1:
        return Unpredicted.FED_BY_INPUT
    slope = before[-2].weight if before[-2].is_slope else None
    source = before[-3 if slope is not None and len(before) > 2 else -2].layer
    if source is None or not source.has_statistics:
        return Unpredicted.FED_BY_ANOTHER
    shape = weights.weight.shape
    if shape[0] != target.channels:
        return Unpredicted.TRANSPOSED if shape[1] == target.channels else Unpredicted.OTHER_SHAPE
    groups = _groups(source.channels, shape)
    if groups is None:
        flat = len(shape) == 2 and shape[1] % source.channels == 0
        return Unpredicted.FLATTENED if flat else Unpredicted.OTHER_SHAPE
    if slope is not None and slope.numel() not in (1, source.channels):
        return Unpredicted.OTHER_SHAPE
    form = _form((source.name, weights.name, target.name), shape, groups, prelu=slope is not None)
    known = (step.layer for step in reversed(before) if step.layer is not None and step.layer is not source)
    alike = [layer for layer in known if layer.channels == source.channels and layer.has_statistics]
    earlier = tuple(layer for layer in alike[:_EARLIER] if is_usable(layer))
    bias = weights.bias if weights.bias is None or weights.bias.numel() == target.channels else None
    return Pair(source, target, weights.name, weights.weight, bias, groups, slope, form, earlier)


def _groups(channels: int, shape: Sequence[int]) -> int | None:
    """In how many groups `channels` enter a weight of that shape; `None` where they cannot."""
    outputs, inner = shape[0], shape[1]
    if not inner or channels % inner:
        return None
    groups = channels // inner
    return groups if outputs % groups == 0 else None


def _steps(layers: Sequence[NormLayer], tensors: Mapping[str, torch.Tensor]) -> Iterator[_Step]:
    """Layers, weights and slopes, in the order of the file; in one like a program's, where it was sorted by name.

    A step that holds nothing stands for what is none of them, and separates what is before from what is behind it.
    """
    by_name = {layer.name: layer for layer in layers}
    names = list(dict.fromkeys(name.rpartition(".")[0] for name in tensors))
    if _is_sorted(list(tensors)):
        names.sort(key=_as_programs_do)
    for name in names:
        prefix = f"{name}." if name else ""
        weight = tensors.get(f"{prefix}weight")
        if name in by_name:
            yield _Step(name, layer=by_name[name])
        elif weight is None or not _is_plain(weight):
            yield _Step(name)
        elif weight.dim() >= 2 or f"{prefix}bias" not in tensors:
            bias = tensors.get(f"{prefix}bias")
            yield _Step(name, weight=weight, bias=bias if bias is not None and _is_plain(bias) else None)
        else:
            yield _Step(name)


def _is_plain(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() and tensor.layout == torch.strided and tensor.numel() > 0


def by_form(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Those that are fed alike together."""
    forms: dict[str, list[Pair]] = {}
    for pair in pairs:
        forms.setdefault(pair.form, []).append(pair)
    return list(forms.values())


def _is_sorted(names: Sequence[str]) -> bool:
    return len(names) > 2 and all(one <= other for one, other in pairwise(names))


def _as_programs_do(name: str) -> list[tuple[int, int, str]]:
    """A key that puts `conv1` before `bn1`, that before `conv2`, 2 before 10, and what has no number last."""
    return [_part(part) for part in name.split(".")]


def _part(part: str) -> tuple[int, int, str]:
    numbers = _NUMBER.findall(part)
    rank = 1 if _NORM_WORDS.search(part) else 0 if _WEIGHTED.search(part) or part.isdigit() else 2
    number = int(numbers[-1]) if numbers else (-1 if rank < 2 else 10**9)
    return number, rank, part


def _form(names: tuple[str, str, str], shape: Sequence[int], groups: int, *, prelu: bool) -> str:
    """The names without what they share, numbers relative to the source's; and what kind of weight it is."""
    parts = [name.split(".") for name in names]
    least = min(map(len, parts)) - 1
    shared = next((place for place in range(least) if len({name[place] for name in parts}) > 1), least)
    parts = [name[shared:] for name in parts]
    first = [int(number) for number in _NUMBER.findall(".".join(parts[0]))]
    named = " > ".join(_relative(".".join(name), first) for name in parts)
    kind = "linear" if len(shape) == 2 else "pointwise" if all(size == 1 for size in shape[2:]) else "spatial"
    grouped = "depthwise " if shape[1] == 1 and groups > 1 else "grouped " if groups > 1 else ""
    return f"{named} ({grouped}{kind}{', PReLU' if prelu else ''})"


def _relative(name: str, first: Sequence[int]) -> str:
    numbers = iter(range(10**6))

    def shifted(match: re.Match[str]) -> str:
        place = next(numbers)
        return f"{int(match.group()) - first[place]:+d}" if place < len(first) else match.group()

    return _NUMBER.sub(shifted, name)
