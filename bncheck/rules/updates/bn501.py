"""BN501: statistics that were updated a whole number of times as often as the others, or as the weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from bncheck.core import THRESHOLDS, NormLayer
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of
from bncheck.rules.judging.drifting import drifted_layers, origin_of
from bncheck.rules.judging.harm import margin_of, severity_of
from bncheck.rules.judging.measures import worst
from bncheck.rules.judging.naming import name_some
from bncheck.vocabulary import Severity


@dataclass(frozen=True, slots=True, eq=False)
class Excess:
    """Layers that were counted a whole number of times as often as the base, calls per forward taken into account.

    Attributes:
        layers: in the order of the model.
        times: by name, how many times as often.
        base: how often the others were counted.
    """

    layers: list[NormLayer]
    times: dict[str, int]
    base: int

    @property
    def factors(self) -> list[int]:
        """The different numbers, the smallest first."""
        return sorted(set(self.times.values()))


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark; a warning where data contradict the factor and these layers are where the drift comes from."""
    layers = [
        layer
        for layer in evidence.with_statistics()
        if layer.updates and layer.trainable_class is not False and not layer.is_folded and not layer.missing
    ]
    per_forward = {layer.name: Fraction(layer.updates or 0, _calls(layer, evidence)) for layer in layers}
    excess = _excess(layers, per_forward)
    if excess is not None:
        yield _finding(excess, evidence)
    elif len(set(per_forward.values())) == 1:
        yield from _against_steps(next(iter(per_forward.values())), layers, evidence)


def _excess(layers: list[NormLayer], per_forward: dict[str, Fraction]) -> Excess | None:
    """Find which layers have whole multiples of the smallest count; `None` where there are none, or others do not."""
    base = min(per_forward.values(), default=Fraction(0))
    if base < THRESHOLDS.fewest_updates:
        return None
    factors = {name: count / base for name, count in per_forward.items()}
    if any(factor.denominator != 1 or factor > THRESHOLDS.largest_factor for factor in factors.values()):
        return None
    found = [layer for layer in layers if factors[layer.name] > 1]
    if not found:
        return None
    return Excess(found, {layer.name: int(factors[layer.name]) for layer in found}, int(base))


def _finding(excess: Excess, evidence: Evidence) -> Finding:
    measured = all(layer.name in evidence.measured for layer in excess.layers)
    severity = severity_of(evidence.effect) if measured and _come_from(excess, evidence) else Severity.INFO
    times = " and ".join(map(str, excess.factors))
    return Finding(
        code="BN501",
        severity=severity,
        layers=tuple(layer.name for layer in excess.layers),
        message=(
            f"The statistics of {name_some(excess.layers)} were updated {times} times as often as the others "
            f"({excess.base} updates)"
            + (
                ", but one forward does not call them so often."
                if measured
                else ", as if a forward called them so often."
            )
            + (" They are where the drift comes from." if severity != Severity.INFO else "")
        ),
        fix=(
            "Nothing, if they are called so often, or were trained so much longer. Activation checkpointing and extra "
            "forwards in training mode update them twice: take those out, or use the momentum 1 - sqrt(1 - momentum)."
        ),
        measure=worst("factor", excess.times),
        cost=cost_of(evidence.effect, evidence) if severity != Severity.INFO else None,
        evidence={
            "layers": [layer.name for layer in excess.layers],
            "factors": excess.factors,
            "update_counts": sorted({layer.updates or 0 for layer in excess.layers}),
            "updates_of_the_others": excess.base,
            "calls_by_layer": {
                name: evidence.measured[name].calls for name in excess.times if name in evidence.measured
            },
        },
    )


def _come_from(excess: Excess, evidence: Evidence) -> bool:
    """Tell whether it costs something: drift that matters, and has its source in these layers alone."""
    sources = {source.layer.name for source in origin_of(drifted_layers(evidence), margin_of(evidence.effect))}
    return bool(sources) and sources <= excess.times.keys() and severity_of(evidence.effect) != Severity.INFO


def _against_steps(count: Fraction, layers: list[NormLayer], evidence: Evidence) -> Iterator[Finding]:
    """Judge all layers alike, but counted more often than the optimizer stepped."""
    steps = evidence.optimizer_steps
    if steps is None or steps < THRESHOLDS.fewest_updates:
        return
    factor = count / steps
    if factor.denominator != 1 or not 1 < factor <= THRESHOLDS.largest_factor:
        return
    yield Finding(
        code="BN501",
        severity=Severity.INFO,
        layers=tuple(layer.name for layer in layers),
        message=(
            f"The statistics were updated {int(factor)} times for every step of the optimizer ({steps} steps): "
            "gradients were accumulated over as many batches, or there were extra forwards in training mode."
        ),
        fix=(
            "Nothing for accumulated gradients. Otherwise run forwards that are not trained on in eval mode, and mind "
            "activation checkpointing, which updates twice."
        ),
        measure=worst("factor", {layer.name: int(factor) for layer in layers}),
        evidence={
            "layers": [layer.name for layer in layers],
            "factors": [int(factor)],
            "updates": int(count),
            "optimizer_steps": steps,
        },
    )


def _calls(layer: NormLayer, evidence: Evidence) -> int:
    """Tell how often one forward calls it, as far as data have shown."""
    measured = evidence.measured.get(layer.name)
    return measured.calls if measured is not None else 1
