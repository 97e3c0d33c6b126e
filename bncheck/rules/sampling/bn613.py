"""BN613: InstanceNorm normalizes by stored statistics, and each instance's own predict better."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import INSTANCE_NORM
from bncheck.evidence import Evidence
from bncheck.results import Finding, score_value
from bncheck.rules.judging.cost import cost_of, on_fewer
from bncheck.rules.judging.harm import severity_of, wins
from bncheck.rules.judging.measures import single
from bncheck.rules.judging.naming import name_some
from bncheck.vocabulary import Remedy, argument


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a warning, or an error from a large effect, where labels are sure to be predicted better."""
    effect = evidence.closer.by_instance
    if effect is None or effect.task is None or not wins(effect):
        return
    layers = [layer for layer in evidence.layers if layer.kind == INSTANCE_NORM and layer.has_statistics]
    if not layers:
        return
    task, score = effect.task, effect.task.score
    stored, own = (score_value(task.score_name, value) for value in (score.shipped, score.other))
    names, on = tuple(layer.name for layer in layers), on_fewer(effect, evidence)
    yield Finding(
        code="BN613",
        severity=severity_of(effect),
        layers=names,
        message=(
            f"{name_some(layers)} (InstanceNorm) normalize by stored statistics, and the model predicts better where "
            f"each instance is normalized by its own: {task.score_name} is {stored} as shipped, {own} by instance{on}."
        ),
        fix=(
            "Build these layers with `track_running_stats=False` and leave their running_mean and running_var out of "
            f"the file, as a repair with {argument('method')} instance writes it: they then normalize by instance in "
            "evaluation as they do in training. Weights stay. Recalibrating does not mend this."
        ),
        command="repair --method instance --data DATA",
        measure=single(task.score_name, score.gain, noise=effect.gain_error or 0.0),
        cost=cost_of(effect, evidence, Remedy.INSTANCE),
        evidence={
            "layers": list(names),
            "score": task.score_name,
            "score_stored": score.shipped,
            "score_by_instance": score.other,
            "gain": effect.gain,
            "gain_error": effect.gain_error,
            "predictions_compared": effect.predictions,
        },
    )
