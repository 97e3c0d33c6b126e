"""Moments of every channel, followed through a model's graph from the layers whose output is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bncheck.core import FloatArray, NormLayer
from bncheck.formats import (
    Activated,
    Added,
    Averaged,
    Constant,
    Fed,
    Flattened,
    Joined,
    Lost,
    Normalized,
    Padded,
    Part,
    Scaled,
    Step,
    Weighted,
    Wiring,
    sources_of,
)
from bncheck.vocabulary import Activation, Unpredicted
from bncheck.weights.prediction.entering import Positions, entering_of, kind_of
from bncheck.weights.prediction.kernels import USUALLY_ALIKE, Border, inside, kernel_of, variance_between
from bncheck.weights.prediction.moments import Moments, after, output_of
from bncheck.weights.prediction.usable import is_usable


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """What is known of a value.

    Attributes:
        now: moments of its channels.
        before: of what its activation was given; the same as `now` where none stands behind a layer or a sum.
        activation: the last, of all its channels alike.
        slope: of that, where it has one.
        told: how it came about, in words, the same for values that are made alike.
        source: name of the layer that it comes from, the nearest.
        weight: name of a weight between, empty where there is none.
        rough: its variance is known within a factor only.
        meets_zeros: a border of zeros was put around it.
        alone: it is this layer's output and nothing else, but for the activation.
        summed: branches were added on the way.
        flattened: positions became channels, and how these are ordered.
    """

    now: Moments
    before: Moments
    activation: Activation
    told: str
    source: str
    slope: FloatArray | None = None
    weight: str = ""
    rough: bool = False
    meets_zeros: bool = False
    alone: str = ""
    summed: bool = False
    flattened: Positions | None = None


Known = Signal | Unpredicted


@dataclass(slots=True)
class Propagation:
    """The signals of a wiring, each computed when it is first asked for or passed.

    Attributes:
        wiring: whose.
        layers: by name.
        border: share of the positions at which taps of padded kernels meet zeros, where nothing tells it.
    """

    wiring: Wiring
    layers: Mapping[str, NormLayer]
    border: float = 0.05
    _found: dict[int, Known] = field(default_factory=dict)

    def at(self, place: int) -> Known:
        """What is known of a step's value, or why nothing is."""
        needed, pending = set[int](), [place]
        while pending:  # by a list of what is pending: residual networks are deeper than calls may be
            one = pending.pop()
            if one in needed or one in self._found:
                continue
            needed.add(one)
            step = self.wiring.steps[one]
            if not isinstance(step, Normalized):
                pending += sources_of(step)
        for one in sorted(needed):
            self._found[one] = self._known(self.wiring.steps[one])
        return self._found[place]

    def _known(self, step: Step) -> Known:
        match step:
            case Fed():
                return Unpredicted.FED_BY_INPUT
            case Lost(reason):
                return reason
            case Constant(values):
                fixed = Moments(values, np.zeros_like(values))
                return Signal(fixed, fixed, Activation.LINEAR, "constants", "")
            case Normalized(name, _):
                return self._normalized(name)
            case Added(sources, signs):
                return _all([self._found[one] for one in sources], lambda parts: _added(parts, signs))
            case Joined(sources):
                return _all([self._found[one] for one in sources], _joined)
        signal = self._found[step.source]
        if isinstance(signal, Unpredicted):
            return signal
        match step:
            case Activated():
                return _activated(step, signal)
            case Weighted():
                return self._weighted(step, signal)
            case Part(_, begin, end):
                return _part(signal, begin, end)
            case Averaged():
                return replace(signal, told=f"average of {signal.told}", rough=True)
            case Padded():
                return replace(signal, meets_zeros=True)
            case Flattened(_, last):
                told = f"flattened {signal.told}"
                return replace(signal, told=told, alone="", flattened=Positions.FIRST if last else Positions.LAST)
            case Scaled():
                return _scaled(step, signal)

    def _normalized(self, name: str) -> Known:
        layer = self.layers.get(name)
        if layer is None or not layer.has_statistics or not is_usable(layer):
            return Unpredicted.UNUSABLE
        gamma, beta = output_of(layer)
        given = Moments(beta, gamma**2)
        return Signal(given, given, Activation.LINEAR, "norm", name, alone=name)

    def _weighted(self, step: Weighted, signal: Signal) -> Known:
        entering = entering_of(step, signal.now.mean.size, signal.flattened)
        if isinstance(entering, Unpredicted):
            return entering
        weight, groups = entering
        kernel = kernel_of(weight, step.bias, groups)
        padded = step.padded or signal.meets_zeros
        border = self.border if padded else 0.0
        mean = kernel.means(signal.now.mean[:, None])[0] @ inside(kernel, Border(border, border))
        var = variance_between(kernel.variances(signal.now.var), USUALLY_ALIKE)
        moments = Moments(mean + (0.0 if kernel.bias is None else kernel.bias), var)
        told = f"{kind_of(step, padded=padded)} of {signal.told}"
        linear = Activation.LINEAR
        return Signal(moments, moments, linear, told, signal.source, weight=step.name, rough=True, summed=signal.summed)


def _all(signals: Sequence[Known], then: Callable[[Sequence[Signal]], Known]) -> Known:
    parts = [one for one in signals if isinstance(one, Signal)]
    lost = next((one for one in signals if isinstance(one, Unpredicted)), None)
    return then(parts) if lost is None else lost


def _added(parts: Sequence[Signal], signs: Sequence[float]) -> Known:
    """Means add; so do variances, of branches that are taken to be independent."""
    if len({part.now.mean.size for part in parts}) != 1:
        return Unpredicted.OTHER_SHAPE
    mean = np.sum([sign * part.now.mean for sign, part in zip(signs, parts, strict=True)], axis=0)
    var = np.sum([sign**2 * part.now.var for sign, part in zip(signs, parts, strict=True)], axis=0)
    moments = Moments(mean, var)
    return Signal(
        moments,
        moments,
        Activation.LINEAR,
        "sum",
        _nearest(parts),
        weight=next((part.weight for part in parts if part.weight), ""),
        rough=any(part.rough for part in parts),
        meets_zeros=any(part.meets_zeros for part in parts),
        summed=True,
    )


def _joined(parts: Sequence[Signal]) -> Known:
    def beside(values: Callable[[Signal], FloatArray]) -> FloatArray:
        return np.concatenate([values(part) for part in parts])

    now = Moments(beside(lambda one: one.now.mean), beside(lambda one: one.now.var))
    before = Moments(beside(lambda one: one.before.mean), beside(lambda one: one.before.var))
    last = {(part.activation, None if part.slope is None else tuple(part.slope)) for part in parts}
    alike = len(last) == 1
    return Signal(
        now,
        before if alike else now,
        parts[0].activation if alike else Activation.LINEAR,
        "joined",
        _nearest(parts),
        slope=parts[0].slope if alike and (parts[0].slope is None or parts[0].slope.size == 1) else None,
        weight=next((part.weight for part in parts if part.weight), ""),
        rough=any(part.rough for part in parts),
        meets_zeros=any(part.meets_zeros for part in parts),
        summed=any(part.summed for part in parts),
    )


def _nearest(parts: Sequence[Signal]) -> str:
    return next((part.source for part in parts if part.source), "")


def _activated(step: Activated, signal: Signal) -> Known:
    """Of what is normal, by its mean and variance; a weight's own output is not known well enough."""
    if step.function is Activation.LINEAR:
        return signal
    if signal.rough:
        return Unpredicted.WITHOUT_NORM
    slope = step.slope
    if slope is not None and slope.size not in (1, signal.now.mean.size):
        return Unpredicted.OTHER_SHAPE
    now = after(step.function, np.sqrt(signal.now.var), signal.now.mean, 0.0 if slope is None else slope)
    plain = signal.activation is Activation.LINEAR
    return replace(
        signal,
        now=now,
        before=signal.now,
        activation=step.function,
        slope=slope,
        told=f"{step.function} of {signal.told}",
        alone=signal.alone if plain else "",
    )


def _part(signal: Signal, begin: int, end: int | None) -> Known:
    cut = slice(begin, end)

    def of(moments: Moments) -> Moments:
        return Moments(moments.mean[cut], moments.var[cut])

    slope = signal.slope if signal.slope is None or signal.slope.size == 1 else signal.slope[cut]
    now = of(signal.now)
    if not now.mean.size:
        return Unpredicted.OTHER_SHAPE
    told = f"part of {signal.told}"
    return replace(signal, now=now, before=of(signal.before), slope=slope, told=told, alone="")


def _scaled(step: Scaled, signal: Signal) -> Known:
    if any(one.size not in (1, signal.now.mean.size) for one in (step.factor, step.offset)):
        return Unpredicted.OTHER_SHAPE
    moments = Moments(step.factor * signal.now.mean + step.offset, step.factor**2 * signal.now.var)
    told = f"scaled {signal.told}"
    linear = Activation.LINEAR
    return replace(signal, now=moments, before=moments, activation=linear, slope=None, told=told, alone="")
