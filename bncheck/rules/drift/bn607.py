"""BN607: one or several layers' own gaps stand far out of the others'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bncheck.core import THRESHOLDS
from bncheck.evidence import EffectEvidence, Evidence
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of, in_words, on_fewer
from bncheck.rules.judging.drifting import inherits
from bncheck.rules.judging.harm import (
    harm_of,
    is_harmful,
    is_worse,
    loss_falls,
    speaks_for_recalibrating,
    worse_heads,
)
from bncheck.rules.judging.localised import denoised_gaps, localised
from bncheck.rules.judging.measures import noise_of, worst
from bncheck.rules.judging.naming import some_names
from bncheck.rules.judging.pattern import pattern_of
from bncheck.vocabulary import CHECK, Harm, Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error where it costs predictions, a warning where that is neither shown nor excluded, else a remark."""
    wrong = localised(evidence)
    if not wrong:
        return
    effect, severity = _decisive(evidence)
    shown = {name: layer.own_gap or 0.0 for name, layer in evidence.measured.items() if name in denoised_gaps(evidence)}
    rest = max((gap for name, gap in shown.items() if name not in wrong), default=0.0)
    alone = {name: moved for name in wrong if (moved := evidence.closer.moved_by(name)) is not None}
    ranked = sorted(wrong, key=lambda name: alone.get(name, shown[name]), reverse=True)
    fed = any(name in evidence.closer.fed_by_input for name in wrong)
    beyond = {name: layer for name, layer in evidence.measured.items() if layer.lower > THRESHOLDS.margin}
    heirs = [name for name, layer in beyond.items() if name not in wrong and inherits(layer)]
    near = "fit" if rest < THRESHOLDS.margin else "lie nearer"
    inherit = f"{len(heirs)} {'layer inherits' if len(heirs) == 1 else 'layers inherit'} the error. " if heirs else ""
    yield Finding(
        code="BN607",
        severity=severity,
        layers=tuple(ranked),
        message=(
            f"The statistics of {some_names(ranked)} are wrong by themselves (own gap {shown[ranked[0]]:.2f}), while "
            f"the other layers {near} (own gaps up to {rest:.2f}){_patterns(ranked, evidence)}. {inherit}"
            f"{in_words(effect, '' if effect is None else on_fewer(effect, evidence))}{_loss_in_words(effect)}"
        ),
        fix=(
            (
                "Check first that both data are preprocessed as in training: it is the input that feeds it. "
                if fed
                else ""
            )
            + "Take the layer's running_mean and running_var from a checkpoint of the same training"
            f"{_or_measure(effect, evidence)}; then look at what wrote them (a conversion that mixed up tensors, a "
            "layer that was frozen or copied)."
        ),
        measure=worst(
            "own gap",
            {name: shown[name] for name in ranked},
            noise=noise_of(evidence.measured[name] for name in ranked),
            limit=THRESHOLDS.outlier_gap,
        ),
        cost=cost_of(effect, evidence),
        command="repair" if _or_measure(effect, evidence) else CHECK,
        evidence={
            "layers": ranked,
            "own_gaps": [shown[name] for name in ranked],
            "others_up_to": rest,
            "inherited_by": heirs,
            "patterns": {name: told for name in ranked if (told := pattern_of(name, evidence)) is not None},
            "output_change_alone": alone,
            "gaps_on_training_data": _on_training_data(ranked, evidence),
            "gain": effect.gain if effect else None,
            "predictions_changed": effect.predictions_changed if effect else None,
        },
    )


def _decisive(evidence: Evidence) -> tuple[EffectEvidence | None, Severity]:
    """Give what these layers cost, and how grave that is: by themselves where that was asked, else with all others."""
    for effect in (evidence.closer.together, evidence.effect):
        if is_harmful(effect):
            return effect, Severity.ERROR
    for effect in (evidence.closer.together, evidence.effect):
        if harm_of(effect) is Harm.EXCLUDED:
            return effect, Severity.INFO
    effect = evidence.closer.together or evidence.effect
    together = evidence.closer.together
    return effect, Severity.ERROR if loss_falls(together) and not is_worse(together) else Severity.WARNING


def _loss_in_words(effect: EffectEvidence | None) -> str:
    """Tell what only the loss shows: it moves before a decision does."""
    loss = None if effect is None or effect.task is None else effect.task.loss
    if loss is None or not loss_falls(effect) or is_worse(effect) or harm_of(effect) is not Harm.UNKNOWN:
        return ""
    return f" The training loss falls from {loss.shipped:.3g} to {loss.other:.3g} with them (t = {loss.t:.1f})."


def _patterns(names: Sequence[str], evidence: Evidence) -> str:
    """Tell what the numbers of the first ones show."""
    told = [(name, shown) for name in names[:2] if (shown := pattern_of(name, evidence)) is not None]
    if not told:
        return ""
    if len(names) == 1:
        return f"; {told[0][1]}"
    return "".join(f"; of {name}: {shown}" for name, shown in told)


def _or_measure(effect: EffectEvidence | None, evidence: Evidence) -> str:
    """Name recalibration as the other way, where it was measured to win, or to change what is sure to be wrong.

    A repair measures all layers anew, so it is not advised where that makes the predictions worse, or one of several
    outputs.
    """
    whole = evidence.effect
    if not speaks_for_recalibrating(effect) or (whole is not None and (is_worse(whole) or worse_heads(whole))):
        return ""
    return ", or recalibrate it"


def _on_training_data(names: list[str], evidence: Evidence) -> dict[str, float] | None:
    if evidence.training is None:
        return None
    measured = evidence.training.measured
    return {name: measured[name].gap for name in names if name in measured}
