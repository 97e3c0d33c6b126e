"""BN607: one or few layers' own gaps stand far out of the others'."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bncheck.core import THRESHOLDS, rms
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of, in_words, margin_of, severity_of, wins_accuracy
from bncheck.rules.judging.measures import noise_of, worst
from bncheck.rules.judging.naming import some_names
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error where the predictions suffer, and data of another kind are no explanation."""
    own = _own_gaps(evidence)
    margin = margin_of(evidence.effect)
    wrong = _outliers(own, margin)
    if (
        not wrong
        or severity_of(evidence.effect) == Severity.INFO
        or not all(_is_sure(name, margin, evidence) for name in wrong)
    ):
        return
    shown = {name: evidence.measured[name].own_gap or 0.0 for name in own}
    rest = max((gap for name, gap in shown.items() if name not in wrong), default=0.0)
    alone = {name: evidence.closer.alone[name] for name in wrong if name in evidence.closer.alone}
    ranked = sorted(wrong, key=lambda name: alone.get(name, own[name]), reverse=True)
    fed = any(name in evidence.closer.fed_by_input for name in wrong)
    heirs = [name for name, layer in evidence.measured.items() if layer.lower > THRESHOLDS.margin and name not in wrong]
    inherit = f"{len(heirs)} {'layer inherits' if len(heirs) == 1 else 'layers inherit'} the error. " if heirs else ""
    yield Finding(
        code="BN607",
        severity=Severity.ERROR,
        layers=tuple(ranked),
        message=(
            f"The statistics of {some_names(ranked)} are wrong by themselves (own gap {shown[ranked[0]]:.2f}), while "
            f"the other layers fit (own gaps up to {rest:.2f}). {inherit}{in_words(evidence.effect)}"
        ),
        fix=(
            (
                "Check first that both data are preprocessed as in training: it is the input that feeds it. "
                if fed
                else ""
            )
            + "Take the layer's running_mean and running_var from a checkpoint of the same training"
            f"{_or_measure(evidence)}; then look at what wrote them (a conversion that mixed up tensors, a layer that "
            "was frozen or copied)."
        ),
        measure=worst(
            "own gap",
            {name: shown[name] for name in ranked},
            noise=noise_of(evidence.measured[name] for name in ranked),
            limit=margin,
        ),
        cost=cost_of(evidence.effect, evidence),
        evidence={
            "layers": ranked,
            "own_gaps": [shown[name] for name in ranked],
            "others_up_to": rest,
            "inherited_by": heirs,
            "output_change_alone": alone,
            "gaps_on_training_data": _on_training_data(ranked, evidence),
            "accuracy_gain": evidence.effect.gain if evidence.effect else None,
            "predictions_changed": evidence.effect.predictions_changed if evidence.effect else None,
        },
    )


def _or_measure(evidence: Evidence) -> str:
    """Name recalibration as the other way, where it was not measured to fail."""
    has_labels = evidence.effect is not None and evidence.effect.gain is not None
    return "" if has_labels and not wins_accuracy(evidence.effect) else ", or recalibrate it"


def _own_gaps(evidence: Evidence) -> dict[str, float]:
    """Give own gaps, sampling noise taken off."""
    gaps = {}
    for name, layer in evidence.measured.items():
        own = layer.own_gap
        if own is not None and math.isfinite(own):
            gaps[name] = math.sqrt(max(0.0, own**2 - rms(layer.noise[layer.visible]) ** 2))
    return gaps


def _outliers(own: dict[str, float], margin: float) -> list[str]:
    """Find the few layers that the widest step separates from all others, if it is wide enough; at most a quarter."""
    ranked = sorted(own, key=own.__getitem__, reverse=True)
    fits = THRESHOLDS.near_margin if len(ranked) <= THRESHOLDS.few_layers else margin
    most = max(1, int(len(ranked) * THRESHOLDS.outlier_layers))
    for number in range(1, min(most, len(ranked) - 1) + 1):
        smallest, next_one = own[ranked[number - 1]], own[ranked[number]]
        if smallest > margin and smallest > THRESHOLDS.outlier * next_one and next_one < fits:
            return ranked[:number]
    return []


def _is_sure(name: str, margin: float, evidence: Evidence) -> bool:
    """Tell whether it is so with confidence, and where training data are there, on them too.

    Other data may look just so to the layer that the input feeds, and where feature maps are flattened: the layers
    before do not feel that images were turned or moved, and that one does. Both need training data.
    """
    if not evidence.measured[name].lower > margin:
        return False
    if evidence.training is None:
        return name not in evidence.closer.fed_by_input and not _flattens(name, evidence)
    layer = evidence.training.measured.get(name)
    return layer is not None and layer.lower > margin


def _flattens(name: str, evidence: Evidence) -> bool:
    """Tell whether the layer is the first that sees one value of a channel in a sample, behind some that see more."""
    first = next((other for other, layer in evidence.measured.items() if layer.positions <= 1), None)
    return name == first and name != next(iter(evidence.measured))


def _on_training_data(names: list[str], evidence: Evidence) -> dict[str, float] | None:
    if evidence.training is None:
        return None
    measured = evidence.training.measured
    return {name: measured[name].gap for name in names if name in measured}
