"""BN604: a layer's calls see different distributions, and one set of statistics costs predictions."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.evidence import EffectEvidence, Evidence
from bncheck.results import Finding, score_subject, score_value
from bncheck.rules.judging.cost import UNMEASURED, cost_of, on_fewer
from bncheck.rules.judging.drifting import unlike_calls
from bncheck.rules.judging.harm import margin_of, severity_of
from bncheck.rules.judging.measures import noise_of, worst
from bncheck.vocabulary import Remedy


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield by its cost for each such layer."""
    for name, apart in unlike_calls(evidence).items():
        effect, layer = apart.effect, evidence.measured[name]
        calls = layer.calls
        yield Finding(
            code="BN604",
            severity=severity_of(effect),
            layers=(name,),
            message=(
                f"{name or 'The model'} runs {calls} times in a forward on unlike inputs: a call lies {apart.gap:.2f} "
                f"from the average of all, which is all that it can store. {_in_words(effect, evidence)}"
            ),
            fix=(
                "Give every call its own BatchNorm (weights of the convolutions may stay shared), or normalize the "
                "inputs alike before the shared part."
            ),
            measure=worst("gap", {name: apart.gap}, noise=noise_of([layer]), limit=margin_of(effect)),
            cost=cost_of(effect, evidence, Remedy.CALLS),
            evidence={
                "calls": calls,
                "gap_between_calls": apart.gap,
                "gap_between_calls_lower_bound": apart.lower,
                "call_gaps": list(layer.call_gaps or ()),
                "predictions_changed": effect.predictions_changed if effect else None,
                "accuracy_gain": effect.gain if effect else None,
                "output_change": effect.output_change if effect else None,
            },
        )


def _in_words(effect: EffectEvidence | None, evidence: Evidence) -> str:
    if effect is None:
        return UNMEASURED
    task, accuracy, on = effect.task, effect.accuracy, on_fewer(effect, evidence)
    if task is not None and not task.counts_right:
        average, by_call = (score_value(task.score_name, one) for one in (task.score.shipped, task.score.other))
        return f"{score_subject(task.score_name)} is {average} with the average and {by_call} by each call's own{on}."
    if accuracy is not None and accuracy.stored is not None and accuracy.recalibrated is not None:
        average, by_call = (score_value("accuracy", one) for one in (accuracy.stored, accuracy.recalibrated))
        return f"Accuracy is {average} with the average and {by_call} by each call's own{on}."
    if effect.predictions_changed is not None:
        return f"{effect.predictions_changed:.1%} of the predictions change where each call has its own{on}."
    return f"The outputs move by {effect.output_change or 0.0:.1%} where each call has its own{on}."
