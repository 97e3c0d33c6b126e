"""Evidence built by hand, for what no small network shows on demand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from bncheck.core import compare
from bncheck.core.layers import BATCH_NORM, NormLayer
from bncheck.evidence import EffectEvidence, Evidence, Improvement, MeasuredLayer, TaskEffect
from bncheck.results.report import Accuracy, DataFacts


def layer(name: str = "bn", **changes: Any) -> NormLayer:
    """Two channels of mean 0 and variance 4, trained."""
    values: dict[str, Any] = {
        "mean": np.zeros(2),
        "var": np.full(2, 4.0),
        "eps": 1e-5,
        "momentum": 0.1,
        "updates": 100,
        "weight": np.ones(2),
        "bias": np.array([0.1, -0.1]),
        "trainable_class": True,
    }
    return NormLayer(name, BATCH_NORM, 2, **(values | changes))


def measured(gap: float, lower: float | None = None, name: str = "bn") -> MeasuredLayer:
    """A layer whose data lie `gap` standard deviations off, known to `lower`."""
    stored = layer(name)
    mean, var = np.full(2, 2 * gap), np.full(2, 4.0)
    return MeasuredLayer(
        layer=stored,
        calls=1,
        call_gaps=None,
        mean=mean,
        var=var,
        inherited=compare(mean, var, np.zeros(2), np.full(2, 4.0), 0.0),
        own=None,
        noise=np.full(2, 0.01),
        lower=gap if lower is None else lower,
        p_value=0.0,
    )


def with_own(one: MeasuredLayer, own: float) -> MeasuredLayer:
    """The layer with that own gap."""
    mean, var = np.full(2, 2 * own), np.full(2, 4.0)
    return replace(one, own=compare(mean, var, np.zeros(2), np.full(2, 4.0), 0.0))


def effect(**changes: Any) -> EffectEvidence:
    """No effect at all, on a thousand predictions; `stored` and `recalibrated` accuracies give a gain."""
    stored, recalibrated = changes.pop("stored", None), changes.pop("recalibrated", None)
    values: dict[str, Any] = {
        "predictions_changed": 0.0,
        "changed_by_noise": 0.0,
        "output_change": 0.0,
        "output_change_by_noise": 0.0,
        "predictions": 1000,
        "accuracy": None,
        "samples": 1000,
    }
    error, lost = changes.pop("gain_error", 0.002), changes.pop("lost", 0.0)
    if stored is not None and "task" not in changes:
        values |= {"accuracy": Accuracy(stored, recalibrated, recalibrated)}
        values |= {"task": task_effect(stored, recalibrated, error, lost)}
    return EffectEvidence(**(values | changes))


def task_effect(stored: float, recalibrated: float, error: float | None = 0.002, lost: float = 0.0) -> TaskEffect:
    """Top-1 accuracy on a thousand samples; a metric of the user's where there is no error."""
    gain = recalibrated - stored
    won = max(0, round(1000 * (gain + lost)))
    sure = math.inf if error is None else error
    score = Improvement(stored, recalibrated, gain, sure, won, round(1000 * lost), 1000, 1.0)
    return TaskEffect(
        "metric" if error is None else "classes",
        "metric" if error is None else "accuracy",
        True,
        error is not None,
        score,
    )


def evidence(*layers: MeasuredLayer, **changes: Any) -> Evidence:
    """What a run over a thousand samples would have collected."""
    values: dict[str, Any] = {
        "data": DataFacts("data.npz", 1000, 64, True),
        "effect": effect(),
        "smallest_detectable_gap": 0.05,
    }
    return Evidence(tuple(one.layer for one in layers), {one.layer.name: one for one in layers}, **(values | changes))
