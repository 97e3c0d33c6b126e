"""BN302: an eps that decides the output, because the variances are smaller or because it is unlike the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bncheck.core import THRESHOLDS, FloatArray, NormLayer
from bncheck.evidence import Evidence, MeasuredLayer, OtherEps
from bncheck.results import Cost, Finding, TrainingEps
from bncheck.rules.judging.cost import cost_of
from bncheck.rules.judging.drifting import drifted_layers, origin_of
from bncheck.rules.judging.fed import cost_of_change, score_in_words
from bncheck.rules.judging.harm import at_least, margin_of, severity_of
from bncheck.rules.judging.measures import worst
from bncheck.rules.judging.naming import name_some
from bncheck.vocabulary import Remedy, Severity, argument

USUAL = (1e-5, 1e-3, 1e-6, 1e-4)
"""Defaults of frameworks: PyTorch and ONNX, Keras and TensorFlow, darknet, and some authors."""


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark; graver where the layers right behind such a layer are those that drift, in its direction."""
    layers = [
        layer
        for layer in evidence.with_statistics()
        if layer.eps is not None and not layer.missing and not layer.is_folded and _alive(layer).size
    ]
    contradicted = list(_contradicted(evidence))
    if contradicted:
        yield from contradicted
        return
    common = _common_eps(layers)
    above = {layer.name: layer for layer in layers if (layer.eps or 0.0) > _typical(layer)}
    above = {name: layer for name, layer in above.items() if not _was_trained_with(evidence, layer.eps or 0.0)}
    unlike = {layer.name: layer for layer in layers if _is_unlike(layer, common) and layer.name not in above}
    found, tried = above | unlike, evidence.probed.eps
    fitting = tried if tried is not None and tried.explains else None
    if fitting is not None:
        found = {layer.name: layer for layer in layers if layer.name in fitting.layers}
    if not found:
        return
    explained = fitting is not None or _explains(evidence, found, common)
    cost = _cost(evidence, tried, explained=explained)
    severity = severity_of(evidence.effect) if explained else Severity.INFO
    named = [layer for layer in layers if layer.name in found]
    yield Finding(
        code="BN302",
        severity=at_least(severity, cost.harm) if fitting is not None and cost is not None else severity,
        layers=tuple(layer.name for layer in named),
        message=_seen_in_words(named, fitting) if fitting else " ".join(_sentences(above, unlike, common, explained)),
        fix=(
            _the_right_one(fitting, unlike, common)
            if explained
            else "Nothing, if the model was trained with it. After a conversion compare with the original's eps."
        ),
        measure=worst(
            "relative change of the output",
            {layer.name: _changed(layer, _other_eps(layer, fitting, unlike, common)) for layer in named},
        ),
        cost=cost,
        evidence={
            "layers": [layer.name for layer in named],
            "eps": {layer.name: layer.eps for layer in named},
            "median_variance": {layer.name: _typical(layer) for layer in named},
            "common_eps": common,
            "explains_the_drift": explained,
            **(_numbers(tried) if tried is not None else {}),
        },
    )


def _contradicted(evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding without data where the statistics stored behind are those of another eps than is declared."""
    eps = evidence.eps
    if eps is None or evidence.data is not None:
        return
    by_name = {layer.name: layer for layer in evidence.with_statistics() if layer.eps is not None}
    telling = [by_name[name] for name in eps.layers if name in by_name]
    fitting = next((usual for usual in USUAL if not eps.excludes(usual)), None)
    declared = Counter(layer.eps for layer in telling)
    if fitting is None or len(declared) != 1 or len(telling) < len(eps.layers):
        return  # no eps that anybody sets, or layers of several: the fit took one for all
    own = next(iter(declared)) or 0.0
    changed = {layer.name: _changed_by(layer, fitting) for layer in telling}
    seen = [layer for layer in telling if changed[layer.name] > THRESHOLDS.eps_seen]
    if not seen or not eps.excludes(own):
        return
    distance = eps.distance_at(own)
    yield Finding(
        code="BN302",
        severity=Severity.WARNING if distance >= THRESHOLDS.eps_far_off else Severity.INFO,
        layers=tuple(layer.name for layer in seen),
        message=(
            f"eps is {own:g} in {name_some(seen)}, but the statistics stored behind them are those of an eps "
            f"{_interval(eps)}: with {own:g} the means that the weights predict lie {distance:.2f} stored deviations "
            f"(RMS) from those stored, with {eps.best:g} {eps.distance_at(eps.best):.2f}. What that costs is not known "
            "without data."
        ),
        fix=(
            f"Build the layers with the eps they were trained with, probably {fitting:g} (Keras 0.001, PyTorch 1e-05, "
            f"darknet 1e-06), and compare both with data ({argument('data')}). The statistics are right as they are."
        ),
        measure=worst("relative change of the output", {layer.name: changed[layer.name] for layer in seen}),
        evidence={
            "layers": [layer.name for layer in seen],
            "eps": {layer.name: layer.eps for layer in seen},
            "median_variance": {layer.name: float(np.median(layer.statistics[1])) for layer in seen},
            "eps_from": eps.low,
            "eps_to": eps.high,
            "eps_best": eps.best,
            "distances": {f"{tried:g}": found for tried, found in zip(eps.tried, eps.distances, strict=True)},
            "layers_that_tell": len(telling),
        },
        command="inspect --data DATA",
    )


def _was_trained_with(evidence: Evidence, eps: float) -> bool:
    """Tell whether what is stored says so itself: a smaller one is excluded, and this is not."""
    told = evidence.eps
    return told is not None and told.low is not None and not told.excludes(eps)


def _changed_by(layer: NormLayer, fitting: float) -> float:
    """Give what `_changed` does, over the channels that are alive with the fitting eps: beside a larger none may be."""
    alive = _alive(replace(layer, eps=fitting))
    return _changed(layer, fitting, alive) if alive.size else 0.0


def _interval(eps: TrainingEps) -> str:
    if eps.low is None:
        return f"of at most {eps.high:g}"
    return f"of at least {eps.low:g}" if eps.high is None else f"between {eps.low:g} and {eps.high:g}"


def _the_right_one(fitting: OtherEps | None, unlike: Mapping[str, NormLayer], common: float | None) -> str:
    """Name the eps that fits, where that was seen, or the other layers'; else how to find it."""
    if fitting is not None:
        return f"Build these layers with eps={fitting.eps:g}, by which they fit. The statistics are right as they are."
    if unlike and common is not None:
        return f"Build these layers with eps={common:g}, as the others have it, and inspect again."
    return (
        "Build the layers with the eps they were trained with: the original framework's default (Keras 0.001, "
        "PyTorch 1e-05)."
    )


def _changed(layer: NormLayer, other: float, alive: FloatArray | None = None) -> float:
    """Give the relative change of a typical channel's output, of those `alive`, from that eps to the layer's own."""
    var, eps = _alive(layer) if alive is None else alive, layer.eps or 0.0
    return float(np.median(np.abs(np.sqrt((var + other) / (var + eps)) - 1)))


def _other_eps(
    layer: NormLayer, fitting: OtherEps | None, unlike: Mapping[str, NormLayer], common: float | None
) -> float:
    """Give the eps to measure by: the one that was seen to fit, the other layers', or none at all."""
    if fitting is not None:
        return fitting.eps
    return common if layer.name in unlike and common is not None else 0.0


def _seen_in_words(layers: Sequence[NormLayer], tried: OtherEps) -> str:
    """Tell what another eps was seen to do."""
    values = ", ".join(f"{value:g}" for value in sorted({layer.eps or 0.0 for layer in layers}))
    seen = tried.seen
    text = (
        f"eps is {values} in {name_some(list(layers))}. With {tried.eps:g} in its place, the gap over all layers falls "
        f"from {seen.before.model_gap:.2g} to {seen.after.model_gap:.2g}"
    )
    if told := score_in_words(seen):
        text += f", and {told}"
    return f"{text} ({seen.samples} samples)."


def _cost(evidence: Evidence, tried: OtherEps | None, *, explained: bool) -> Cost | None:
    """Give the cost by what another eps wins, where that was tried; else that of the drift which it explains."""
    if tried is not None:
        return cost_of_change(tried.seen, Remedy.EPS)
    return cost_of(evidence.effect, evidence) if explained else None


def _numbers(tried: OtherEps) -> dict[str, object]:
    seen = tried.seen
    return {
        "eps_tried": tried.eps,
        "samples": seen.samples,
        "model_gap_before": seen.before.model_gap,
        "model_gap_after": seen.after.model_gap,
        "accuracy_before": seen.before.accuracy,
        "accuracy_after": seen.after.accuracy,
        "predictions_changed": seen.predictions_changed,
    }


def _sentences(
    above: Mapping[str, NormLayer], unlike: Mapping[str, NormLayer], common: float | None, explained: bool
) -> Iterator[str]:
    if above:
        yield f"eps is larger than the typical variance of {name_some(list(above.values()))} and decides the scale."
    if unlike:
        values = ", ".join(f"{value:g}" for value in sorted({layer.eps or 0.0 for layer in unlike.values()}))
        yield f"eps is {values} in {name_some(list(unlike.values()))} and {common:g} elsewhere: outputs show it."
    if explained:
        yield "The layers right behind drift as a wrong eps would make them."


def _alive(layer: NormLayer) -> FloatArray:
    """Give the variances of the channels that vary at all; what the others do is BN203."""
    var = layer.statistics[1]
    return var[np.isfinite(var) & (var > 0.0) & (var > THRESHOLDS.no_variance * (layer.eps or 0.0))]


def _typical(layer: NormLayer) -> float:
    return float(np.median(_alive(layer)))


def _common_eps(layers: Sequence[NormLayer]) -> float | None:
    """Give the eps of more than half of the layers; `None` where there is no such."""
    counts = Counter(layer.eps for layer in layers)
    value, number = counts.most_common(1)[0] if counts else (None, 0)
    return value if 2 * number > len(layers) else None


def _is_unlike(layer: NormLayer, common: float | None) -> bool:
    eps = layer.eps or 0.0
    if common is None or eps == common or max(eps, common) < THRESHOLDS.eps_far * min(eps, common):
        return False
    return _changed(layer, common) > THRESHOLDS.eps_seen


def _explains(evidence: Evidence, found: Mapping[str, NormLayer], common: float | None) -> bool:
    """Tell whether the drift starts right behind such a layer, and all of it goes where that eps would push it.

    An eps that is too large makes the layer's output, and the variance behind it, too small. The layer's own gap does
    not show it, for the data are normalized with the same eps; a residual stream carries it past the next layers.
    """
    margin, drifted = margin_of(evidence.effect), drifted_layers(evidence)
    if not drifted or any(layer.layer.name in found and (layer.own_gap or layer.gap) > margin for layer in drifted):
        return False
    sources = origin_of(drifted, margin)
    order = [layer.name for layer in evidence.layers]
    worst = max(sources, key=lambda source: source.gap if source.own_gap is None else source.own_gap)
    place = order.index(worst.layer.name)
    return any(name in found for name in order[max(0, place - THRESHOLDS.eps_behind) : place]) and all(
        any(_pushes(found[name], source, common) for name in order[: order.index(source.layer.name)] if name in found)
        for source in sources
    )


def _pushes(layer: NormLayer, source: MeasuredLayer, common: float | None) -> bool:
    scale = float(np.median((source.own or source.inherited).scale))
    too_small = common is not None and (layer.eps or 0.0) < common
    return scale > 1 if too_small else scale < 1
