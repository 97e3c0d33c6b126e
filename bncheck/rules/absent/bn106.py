"""BN106: stored statistics are not those that the weights of the layer before predict."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

from bncheck.core import THRESHOLDS
from bncheck.evidence import Evidence, PredictedLayer
from bncheck.results import Finding
from bncheck.rules.judging.measures import worst
from bncheck.rules.judging.naming import NAMED, SHOWN_CHANNELS, some_names
from bncheck.vocabulary import Severity, argument


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark on single layers, a warning where many are far off; with data the layers are measured instead."""
    if evidence.data is not None or evidence.predicted is None:
        return
    judged = evidence.predicted.layers
    varying = _variances_alone(judged)
    wrong = [layer for layer in judged if _means_off(layer) or layer.name in varying]
    if not wrong:
        return
    farthest = sorted(wrong, key=_how_far, reverse=True)
    severity = Severity.WARNING if _are_many(wrong, judged) else Severity.INFO
    names = tuple(layer.name for layer in farthest)
    yield Finding(
        code="BN106",
        severity=severity,
        layers=names,
        message=(
            f"The stored statistics of {some_names(names)} are not those that the weights predict: "
            f"{_in_words(farthest[0], varying)}. {_rest_in_words(judged, wrong)}"
        ),
        fix=(
            f"Give data ({argument('data')}) to measure these layers. Compare the file with another of the same "
            "training: what wrote it may have mixed up, skipped or overwritten these statistics. If data say the same, "
            "recalibrate them on training data."
        ),
        measure=worst("times what its layer shows of healthy ones", {layer.name: _how_far(layer) for layer in wrong}),
        command="inspect --data DATA",
        evidence={
            "layers": list(names),
            "sources": [layer.source for layer in farthest],
            "weights": [layer.weight for layer in farthest],
            "activation_assumed": [layer.activation for layer in farthest],
            "mean_distances": [layer.distance for layer in farthest],
            "variance_factors": [math.exp(layer.log_factor) for layer in farthest],
            "layers_judged": len(judged),
            "median_distance_of_layers_fed_alike": farthest[0].distance_alike,
            "first_channels": {layer.name: _channels(layer) for layer in farthest[:NAMED]},
        },
    )


def _means_off(layer: PredictedLayer) -> bool:
    """Tell whether the typical channel's mean is off, and the RMS too; or some channels are off by far."""
    if layer.distance < THRESHOLDS.predicted_outlier * layer.distance_alike:
        return False
    summed = THRESHOLDS.predicted_summed if layer.is_summed else 1.0
    if layer.distance >= summed * THRESHOLDS.predicted_far:
        return True
    room = summed * (THRESHOLDS.predicted_at_end if layer.at_end else 1.0)
    off, typical = THRESHOLDS.predicted_off, THRESHOLDS.predicted_typical
    if layer.alike >= THRESHOLDS.predicted_enough:
        off, typical = THRESHOLDS.predicted_off_of_many, THRESHOLDS.predicted_typical_of_many
    return (
        layer.distance >= room * off
        and layer.typical >= room * typical
        and layer.typical >= THRESHOLDS.predicted_outlier * layer.typical_alike
    )


def _variances_off(layer: PredictedLayer) -> bool:
    """Tell whether stored over predicted variance is far from that of layers fed alike, where it is predicted."""
    if layer.is_summed or layer.is_averaged:
        return False
    spread = max(layer.log_spread, THRESHOLDS.predicted_least_spread)
    least, spreads = THRESHOLDS.predicted_factor, THRESHOLDS.predicted_spreads
    if layer.alike < THRESHOLDS.predicted_enough:
        least = THRESHOLDS.predicted_few_above if layer.log_factor > 0 else THRESHOLDS.predicted_few_below
        spreads = THRESHOLDS.predicted_spreads_of_few
    return abs(layer.log_factor) >= max(least, spreads * spread)


def _variances_alone(judged: Sequence[PredictedLayer]) -> frozenset[str]:
    """Give the layers whose variances are off, and not because they change from stage to stage.

    Where a layer of its form within `predicted_places` of it is half as far off in the same direction, it is a stage
    whose channels move together; beyond `predicted_far_factor` nothing excuses.
    """
    forms: dict[str, list[PredictedLayer]] = {}
    for layer in judged:
        forms.setdefault(layer.form, []).append(layer)
    found = set()
    for alike in forms.values():
        for place, layer in enumerate(alike):
            near = alike[max(0, place - THRESHOLDS.predicted_places) : place + THRESHOLDS.predicted_places + 1]
            least = THRESHOLDS.predicted_along * layer.log_factor**2
            along = any(other is not layer and other.log_factor * layer.log_factor >= least for other in near)
            if _variances_off(layer) and (not along or abs(layer.log_factor) >= THRESHOLDS.predicted_far_factor):
                found.add(layer.name)
    return frozenset(found)


def _is_far(layer: PredictedLayer) -> bool:
    return (_means_off(layer) and layer.distance >= THRESHOLDS.predicted_far) or (
        _variances_off(layer) and abs(layer.log_factor) >= THRESHOLDS.predicted_far_factor
    )


def _are_many(wrong: Sequence[PredictedLayer], judged: Sequence[PredictedLayer]) -> bool:
    far = sum(map(_is_far, wrong))
    return far >= THRESHOLDS.predicted_many and far >= THRESHOLDS.predicted_share * len(judged)


def _how_far(layer: PredictedLayer) -> float:
    """Give the larger of both, each in units of what counts as off."""
    return max(layer.distance / THRESHOLDS.predicted_off, abs(layer.log_factor) / THRESHOLDS.predicted_factor)


def _in_words(layer: PredictedLayer, varying: Collection[str]) -> str:
    """Tell what is off in one layer, first what is farther."""
    told = []
    if _means_off(layer):
        told.append(
            f"the means of {layer.name or 'the model itself'} are {layer.distance:.2f} stored deviations (RMS) from "
            f"those that {layer.weight} makes of the output of {layer.source} ({_before(layer)})"
        )
    if layer.name in varying:
        factor = math.exp(abs(layer.log_factor))
        way = "larger" if layer.log_factor > 0 else "smaller"
        told.append(
            f"the variances of {layer.name or 'the model itself'} are {factor:.2g} times {way} than those of layers "
            "fed alike, by the same prediction"
        )
    return ", and ".join(told)


def _before(layer: PredictedLayer) -> str:
    if layer.is_known:
        return f"{layer.activation}, by the graph"
    nothing = layer.activation == "linear"
    return "no activation assumed between" if nothing else f"{layer.activation} assumed between, which fits best"


def _rest_in_words(judged: Sequence[PredictedLayer], wrong: Sequence[PredictedLayer]) -> str:
    rest = [layer.distance for layer in judged if layer not in wrong]
    if not rest:
        return ""
    return (
        f"The means of the other {len(rest)} layers that could be predicted lie within {max(rest):.2f}. What that "
        "costs is not known without data."
    )


def _channels(layer: PredictedLayer) -> list[dict[str, float | int]]:
    """Give stored and predicted values of the first channels."""
    rows = zip(layer.stored_mean, layer.mean, layer.stored_var, layer.var, strict=True)
    return [
        {
            "channel": channel,
            "stored_mean": float(stored_mean),
            "predicted_mean": float(mean),
            "stored_var": float(stored_var),
            "predicted_var": float(var),
        }
        for channel, (stored_mean, mean, stored_var, var) in zip(range(SHOWN_CHANNELS), rows, strict=False)
    ]
