"""BN105: after so few updates much of the initial mean 0 and variance 1 is left, and the values show it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bncheck.core import THRESHOLDS, compare, rms
from bncheck.evidence import Evidence, MeasuredLayer
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of, or_leave, repair_or_check
from bncheck.rules.judging.counters import Short, short_trainings
from bncheck.rules.judging.drifting import own_statistics
from bncheck.rules.judging.harm import weighed
from bncheck.rules.judging.initial import was_trained
from bncheck.rules.judging.measures import worst
from bncheck.rules.judging.naming import name_some
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a warning for all layers of one counter and momentum; with data, by what it costs."""
    if not _weights_were_trained(evidence):
        return
    for short in short_trainings(evidence):
        if not short.contradicted and _shows(short, evidence):
            yield _finding(short, evidence)


def _finding(short: Short, evidence: Evidence) -> Finding:
    enough = math.ceil(math.log(0.01) / math.log(1 - short.momentum))
    severity = weighed(evidence, Severity.WARNING)
    names = tuple(layer.name for layer in short.layers)
    times = "1 update" if short.updates == 1 else f"{short.updates} updates"
    return Finding(
        code="BN105",
        severity=severity,
        layers=names,
        message=(
            f"The statistics of {name_some(short.layers)} have seen {times}: at momentum {short.momentum:g}"
            f"{' (assumed)' if short.assumed else ''}, {short.share:.0%} of every value is still the initial one, "
            "mean 0 and variance 1."
        ),
        fix=or_leave(
            evidence,
            severity,
            "Recalibrate the statistics on training data, or go on training "
            f"(1 % is left after {enough} updates at this momentum).",
        ),
        measure=worst("share of the initial statistics", dict.fromkeys(names, short.share), limit=THRESHOLDS.burn_in),
        cost=cost_of(evidence.effect, evidence),
        command=repair_or_check(evidence),
        evidence={
            "layers": list(names),
            "updates": short.updates,
            "momentum": short.momentum,
            "momentum_assumed": short.assumed,
            "initial_share": short.share,
            "lowest_variance": float(short.variances.min()),
            "channels_near_it": short.on_the_floor,
        },
    )


def _shows(short: Short, evidence: Evidence) -> bool:
    """Tell whether more than the counter says so: the data do not fit, or variances crowd just above the share.

    A counter that was reset over good statistics, as in a fine-tune, is no evidence by itself.
    """
    measured = [evidence.measured[layer.name] for layer in short.layers if layer.name in evidence.measured]
    if measured:
        return any(layer.lower > THRESHOLDS.near_margin for layer in measured) and _unmixes(measured, short.share)
    return short.on_the_floor >= THRESHOLDS.initial_crowd


def _unmixes(measured: Sequence[MeasuredLayer], share: float) -> bool:
    """Tell whether the data's own statistics, with that share of the initial ones in them, are what is stored.

    A lag behind the weights blurs it, so only half the gap has to go.
    """
    plain, mixed = [], []
    for layer in measured:
        mean, var = own_statistics(layer)
        stored, eps = layer.layer.statistics, layer.layer.eps or 0.0
        plain.append(rms(compare(mean, var, *stored, eps).gap))
        mixed.append(rms(compare((1 - share) * mean, share + (1 - share) * var, *stored, eps).gap))
    return rms(mixed) < THRESHOLDS.initial_left * rms(plain)


def _weights_were_trained(evidence: Evidence) -> bool:
    """Tell whether any layer shows it; layers without gamma and beta cannot."""
    layers = evidence.with_statistics()
    return any(was_trained(layer) for layer in layers) or all(
        layer.weight is None and layer.bias is None for layer in layers
    )
