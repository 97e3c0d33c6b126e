"""BN603: stored statistics that do not describe the data, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bncheck.core import THRESHOLDS, rms
from bncheck.evidence import CloserLook, Evidence, MeasuredLayer, TrainingEvidence
from bncheck.results import Finding, compared_with
from bncheck.rules.judging.causes import FileCause, causes_in_file
from bncheck.rules.judging.cost import cost_of, in_words, what_helps
from bncheck.rules.judging.drifting import drifted_layers, inherits, off_by_themselves, origin_of, unlike_calls
from bncheck.rules.judging.fed import gaps_fed_by_input, is_fed_from_afar, is_fed_wrongly
from bncheck.rules.judging.harm import is_better, is_sure_to_err, margin_of, severity_beyond, wins
from bncheck.rules.judging.measures import noise_of, single, worst
from bncheck.rules.judging.naming import shown, some_names
from bncheck.vocabulary import CHECK, Severity

NAMED = 3
STALE, OTHER_DOMAIN = "stale", "other domain"
_TAKE_EARLIER = "Go back to a checkpoint from before those values appeared: nothing measured here can repair weights."
_LOOK_BEFORE = "The data are finite: look for overflow in the layers before (half precision), or a division by 0."


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield gaps above the margin with confidence; a warning or an error only where predictions suffer."""
    yield from _not_finite(evidence)
    margin = margin_of(evidence.effect)
    drifted = drifted_layers(evidence) or _farthest_by_cost(evidence)
    if not drifted:
        return
    origin = _ranked(_sources(drifted, margin, evidence), evidence.closer)
    farthest = max(origin, key=lambda layer: layer.lower)
    severity = _severity(farthest, evidence)
    if _of_unlike_calls(origin, evidence):
        return  # that one set of statistics cannot describe them all explains it, and recalibrating would not mend it
    cause = _cause(origin, margin, evidence.training)
    in_file = () if cause == OTHER_DOMAIN else causes_in_file(evidence, origin)
    yield Finding(
        code="BN603",
        severity=severity,
        layers=tuple(layer.layer.name for layer in origin),
        message=(
            f"The {compared_with(evidence.notes)} statistics of {_named(origin)} do not describe these data "
            f"({_largest(origin, farthest)}){_heirs(drifted, origin)}{_foremost(origin, evidence.closer)}. "
            f"{in_words(evidence.effect)}{_told(cause, farthest, evidence.training)}"
            f"{_why(cause, in_file, severity, evidence)}"
        ),
        fix=(
            _by_the_file(in_file, severity)
            or _repair(cause, severity)
            or _fed_wrongly(severity, evidence)
            or what_helps(evidence.effect)
        ),
        measure=worst("gap", {layer.layer.name: layer.gap for layer in origin}, noise=noise_of(origin), limit=margin),
        cost=cost_of(evidence.effect, evidence),
        command=_command(cause, in_file, evidence),
        evidence=_evidence(drifted, origin, farthest, margin, evidence)
        | _beside_training(cause, origin, evidence)
        | {"causes_in_file": [{"cause": one.key, **one.numbers} for one in in_file]},
    )


def _farthest_by_cost(evidence: Evidence) -> list[MeasuredLayer]:
    """Give the layer with the largest gap of its own where no gap is sure, but the cost of all of them is."""
    beyond = [layer for layer in evidence.measured.values() if _own(layer) > rms(layer.noise[layer.visible])]
    return [max(beyond, key=_own)] if beyond and is_sure_to_err(evidence.effect) else []


def _own(layer: MeasuredLayer) -> float:
    return layer.gap if layer.own_gap is None else layer.own_gap


def _of_unlike_calls(origin: list[MeasuredLayer], evidence: Evidence) -> bool:
    """Tell whether unlike calls explain it: recalibrating wins nothing, or less than each call's own statistics."""
    unlike = {name: apart.effect.gain if apart.effect else None for name, apart in unlike_calls(evidence).items()}
    if not unlike or not wins(evidence.effect):
        return bool(unlike)
    gain = evidence.effect.gain if evidence.effect is not None else None
    by_call = max((each for each in unlike.values() if each is not None), default=0.0)
    return by_call > (gain or 0.0) and all(layer.layer.name in unlike for layer in origin)


def _not_finite(evidence: Evidence) -> Iterator[Finding]:
    """Yield the first layer whose input on these data is not finite; those behind it inherit the values."""
    for name, layer in evidence.measured.items():
        if not math.isfinite(layer.gap):
            broken = evidence.closer.broken
            yield Finding(
                code="BN603",
                severity=Severity.ERROR,
                layers=(name,),
                message=(
                    f"On these data the input of {name} is not finite, so nothing can be compared from there on."
                    f"{_held(broken)}"
                ),
                command=CHECK,
                fix=_TAKE_EARLIER if broken else _LOOK_BEFORE,
                measure=single("tensor", len(broken)) if broken else single("layer", 1),
                evidence={
                    "gap": shown(layer.gap),
                    "measured_mean": str(layer.mean.sum()),
                    "measured_var": str(layer.var.sum()),
                    "tensors_not_finite": list(broken),
                },
            )
            return


def _held(tensors: Sequence[str]) -> str:
    """Tell where the values come from, where it is the model: samples that are not finite are never run."""
    return f" {some_names(tensors)} {'holds' if len(tensors) == 1 else 'hold'} NaN or infinity." if tensors else ""


def _sources(drifted: list[MeasuredLayer], margin: float, evidence: Evidence) -> list[MeasuredLayer]:
    """Give the layers that the drift comes from: where there was no batch pass, those found off in their turn."""
    return off_by_themselves(drifted, evidence.closer.in_turn, margin) or origin_of(drifted, margin)


def _severity(farthest: MeasuredLayer, evidence: Evidence) -> Severity:
    """Give the severity by cost, and by how far the layer is sure to lie off by itself."""
    name, own = farthest.layer.name, farthest.own_gap
    sure = min(farthest.lower, evidence.closer.in_turn.get(name, farthest.lower if own is None else own))
    return severity_beyond(evidence.effect, sure)


def _ranked(layers: list[MeasuredLayer], closer: CloserLook) -> list[MeasuredLayer]:
    """Rank by how far each moves the outputs by itself, where that was asked, and then by its gap."""
    moved = {layer.layer.name: closer.moved_by(layer.layer.name) for layer in layers}
    asked = {name: -1.0 if change is None else change for name, change in moved.items()}
    return sorted(layers, key=lambda layer: (asked[layer.layer.name], layer.lower), reverse=True)


def _foremost(origin: list[MeasuredLayer], closer: CloserLook) -> str:
    name = origin[0].layer.name
    moved = closer.moved_by(name)
    if len(origin) == 1 or moved is None:
        return ""
    return f"; by itself {name} moves the outputs most, by {moved:.0%}"


def _cause(origin: list[MeasuredLayer], margin: float, training: TrainingEvidence | None) -> str | None:
    """Tell whether the training data see the gap too; `None` where they were not given, or cannot tell."""
    if training is None:
        return None
    seen = [training.measured[layer.layer.name] for layer in origin if layer.layer.name in training.measured]
    if any(layer.lower > margin for layer in seen):
        return STALE
    smallest = training.smallest_detectable_gap
    sharp = smallest is not None and smallest <= margin and len(seen) == len(origin)
    return OTHER_DOMAIN if sharp and all(layer.gap <= margin for layer in seen) else None


def _told(cause: str | None, worst: MeasuredLayer, training: TrainingEvidence | None) -> str:
    if cause is None or training is None or worst.layer.name not in training.measured:
        return ""
    gap = f"{training.measured[worst.layer.name].gap:.2f}"
    if cause == STALE:
        return f" They do not describe the training data either (gap {gap} there): they are stale."
    return f" They do describe the training data (gap {gap} there): these data are of another kind."


def _why(cause: str | None, in_file: Sequence[FileCause], severity: Severity, evidence: Evidence) -> str:
    """Tell what the file says of the cause, and where nothing does that it is not known."""
    if in_file:
        return "".join(f" {one.told}" for one in in_file)
    if cause is not None or severity == Severity.INFO:
        return ""
    fed = gaps_fed_by_input(evidence)
    is_scaled_right = bool(fed) and max(fed) <= THRESHOLDS.near_margin
    likely = _likely(is_scaled_right=is_scaled_right, can_be_stale=compared_with(evidence.notes) == "stored")
    seen = ""
    if is_scaled_right:
        seen = "the layers that the input feeds fit, so its scale is right, and "
    elif is_fed_from_afar(evidence) and not is_fed_wrongly(evidence):
        seen = "most layers lie far off by themselves, as under the statistics of other weights, and "
    return f" The cause is not known: {seen}the file tells nothing; it may be {likely}."


def _likely(*, is_scaled_right: bool, can_be_stale: bool) -> str:
    """Name what it may be."""
    causes = [*([] if is_scaled_right else ["the preprocessing"]), "other data"]
    causes += ["stale statistics"] if can_be_stale else []
    return causes[0] if len(causes) == 1 else f"{', '.join(causes[:-1])} or {causes[-1]}"


def _command(cause: str | None, in_file: Sequence[FileCause], evidence: Evidence) -> str:
    """Give the command that does what the fix says."""
    if in_file:
        return in_file[0].command
    if cause == STALE:
        return "repair"
    if is_better(evidence.effect) and not is_fed_wrongly(evidence):
        return "repair --data DATA"
    return CHECK if evidence.training is not None else "inspect --train-data TRAIN"


def _fed_wrongly(severity: Severity, evidence: Evidence) -> str | None:
    """Tell what to look for first where the input itself is wrong."""
    if severity == Severity.INFO or not is_fed_wrongly(evidence):
        return None
    return (
        "Find out how the data of the training were preprocessed (0..255 or 0..1, mean and standard deviation), and "
        "feed these so: what the input feeds directly lies farther off than other data bring it. Recalibrating on "
        "them would only hide that, and spoil the model for data fed rightly."
    )


def _by_the_file(in_file: Sequence[FileCause], severity: Severity) -> str | None:
    """Tell what mends the surest cause that the file supports; nothing where nothing has to be done."""
    return None if severity == Severity.INFO or not in_file else in_file[0].remedy


def _repair(cause: str | None, severity: Severity) -> str | None:
    """Tell what the cause adds to what was measured to help; nothing where nothing has to be done."""
    if severity == Severity.INFO or cause is None:
        return None
    if cause == STALE:
        return (
            "Recalibrate the statistics on the training data. They were saved too early, averaged over too few steps, "
            "or belong to other weights; if the training data are read differently here, check that first."
        )
    return (
        "Keep the statistics for data like those of the training. Check that these are preprocessed as those were; if "
        "they are another domain, recalibrate on samples of it where labels show a gain, else fine-tune."
    )


def _beside_training(cause: str | None, origin: list[MeasuredLayer], evidence: Evidence) -> dict[str, object]:
    training = evidence.training
    if training is None:
        return {}
    names = [layer.layer.name for layer in origin if layer.layer.name in training.measured]
    return {"cause": cause, "gaps_on_training_data": {name: training.measured[name].gap for name in names}}


def _largest(origin: list[MeasuredLayer], worst: MeasuredLayer) -> str:
    return f"gap {worst.gap:.2f}" + (f" in {worst.layer.name}" if len(origin) > 1 else "")


def _heirs(drifted: list[MeasuredLayer], origin: list[MeasuredLayer]) -> str:
    named = {layer.layer.name for layer in origin}
    number = sum(layer.layer.name not in named and inherits(layer) for layer in drifted)
    if number == 0:
        return ""
    return f", and {number} {'layer inherits' if number == 1 else 'layers inherit'} the error"


def _named(drifted: list[MeasuredLayer]) -> str:
    if len(drifted) > NAMED:
        return f"{len(drifted)} layers"
    return ", ".join(layer.layer.name for layer in drifted)


def _evidence(
    drifted: list[MeasuredLayer], origin: list[MeasuredLayer], worst: MeasuredLayer, margin: float, evidence: Evidence
) -> dict[str, object]:
    effect = evidence.effect
    names = [layer.layer.name for layer in origin]
    return {
        "layers": names,
        "inherited_by": [layer.layer.name for layer in drifted if layer.layer.name not in names and inherits(layer)],
        "measured": len(evidence.measured),
        "worst_layer": worst.layer.name,
        "gap": worst.gap,
        "gap_lower_bound": worst.lower,
        "gap_p_value": worst.p_value,
        "own_gap": worst.own_gap,
        "margin": margin,
        "output_change_alone": {name: moved for name in names if (moved := evidence.closer.moved_by(name)) is not None},
        "predictions_changed": effect.predictions_changed if effect else None,
        "changed_by_noise": effect.changed_by_noise if effect else None,
        "output_change": effect.output_change if effect else None,
        "accuracy_gain": effect.gain if effect else None,
        "accuracy_gain_error": effect.gain_error if effect else None,
        "accuracy_lost": effect.lost if effect else None,
    }
