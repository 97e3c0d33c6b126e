"""BN613: InstanceNorm normalizes by stored statistics, and each instance's own predict better."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import INSTANCE_NORM
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of, severity_of, wins_accuracy
from bncheck.rules.judging.measures import single
from bncheck.rules.judging.naming import name_some
from bncheck.vocabulary import Remedy


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a warning, or an error from a large effect, where labels are sure to be predicted better."""
    effect = evidence.closer.by_instance
    if effect is None or not wins_accuracy(effect) or effect.accuracy is None:
        return
    layers = [layer for layer in evidence.layers if layer.kind == INSTANCE_NORM and layer.has_statistics]
    stored, own = effect.accuracy.stored, effect.accuracy.recalibrated
    if not layers or stored is None or own is None:
        return
    names = tuple(layer.name for layer in layers)
    yield Finding(
        code="BN613",
        severity=severity_of(effect),
        layers=names,
        message=(
            f"{name_some(layers)} (InstanceNorm) normalize by stored statistics, and the model predicts better where "
            f"each instance is normalized by its own: {stored:.1%} as shipped, {own:.1%} by instance."
        ),
        fix=(
            "Build these layers with `track_running_stats=False`: they then normalize by instance in evaluation as "
            "they do in training. Leave their running_mean and running_var out of the file; weights stay. "
            "Recalibrating does not mend this."
        ),
        measure=single("accuracy", own - stored, noise=effect.gain_error or 0.0),
        cost=cost_of(effect, evidence, Remedy.INSTANCE),
        evidence={
            "layers": list(names),
            "accuracy_stored": stored,
            "accuracy_by_instance": own,
            "accuracy_gain": effect.gain,
            "accuracy_gain_error": effect.gain_error,
            "predictions_compared": effect.predictions,
        },
    )
