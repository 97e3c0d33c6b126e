"""Causes that lie in single layers: wrong by itself (BN607), shared by unlike calls (BN604), padded (BN606)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bncheck.core import rms
from bncheck.core.thresholds import FLAT, LOPSIDED, MARGIN, NEAR_MARGIN, OUTLIER
from bncheck.evidence import Evidence
from bncheck.results.finding import Finding
from bncheck.results.report import ERROR, INFO, WARNING
from bncheck.rules.absent import some_names
from bncheck.rules.cost import in_words, margin_of, severity_of, wins_accuracy

FEW_LAYERS = 2
"""So many leave one neighbour alone to fit: it must fit closely."""


def wrong_alone(evidence: Evidence) -> Iterator[Finding]:
    """BN607: one or few layers' own gaps stand far out of the others', and the predictions suffer."""
    own = _own_gaps(evidence)
    margin = margin_of(evidence.effect)
    wrong = _outliers(own, margin)
    if not wrong or severity_of(evidence.effect) == INFO or not all(_is_sure(name, margin, evidence) for name in wrong):
        return
    shown = {name: evidence.measured[name].own_gap or 0.0 for name in own}
    rest = max((gap for name, gap in shown.items() if name not in wrong), default=0.0)
    alone = {name: evidence.closer.alone[name] for name in wrong if name in evidence.closer.alone}
    ranked = sorted(wrong, key=lambda name: alone.get(name, own[name]), reverse=True)
    fed = any(name in evidence.closer.fed_by_input for name in wrong)
    heirs = [name for name, layer in evidence.measured.items() if layer.lower > MARGIN and name not in wrong]
    inherit = f"{len(heirs)} {'layer inherits' if len(heirs) == 1 else 'layers inherit'} the error. " if heirs else ""
    yield Finding(
        code="BN607",
        severity=ERROR,
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
    """Recalibration as the other way, where it was not measured to fail."""
    has_labels = evidence.effect is not None and evidence.effect.gain is not None
    return "" if has_labels and not wins_accuracy(evidence.effect) else ", or recalibrate it"


def _own_gaps(evidence: Evidence) -> dict[str, float]:
    """Own gaps, sampling noise taken off."""
    gaps = {}
    for name, layer in evidence.measured.items():
        own = layer.own_gap
        if own is not None and math.isfinite(own):
            gaps[name] = math.sqrt(max(0.0, own**2 - rms(layer.noise[layer.visible]) ** 2))
    return gaps


def _outliers(own: dict[str, float], margin: float) -> list[str]:
    """The few layers that the widest step separates from all others, if it is wide enough; at most a quarter."""
    ranked = sorted(own, key=own.__getitem__, reverse=True)
    fits = NEAR_MARGIN if len(ranked) <= FEW_LAYERS else margin
    for number in range(1, min(max(1, len(ranked) // 4), len(ranked) - 1) + 1):
        smallest, next_one = own[ranked[number - 1]], own[ranked[number]]
        if smallest > margin and smallest > OUTLIER * next_one and next_one < fits:
            return ranked[:number]
    return []


def _is_sure(name: str, margin: float, evidence: Evidence) -> bool:
    """With confidence, and where training data are there, on them too.

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
    """Whether the layer is the first that sees one value of a channel in a sample, behind some that see more."""
    first = next((other for other, layer in evidence.measured.items() if layer.positions <= 1), None)
    return name == first and name != next(iter(evidence.measured))


def _on_training_data(names: list[str], evidence: Evidence) -> dict[str, float] | None:
    if evidence.training is None:
        return None
    measured = evidence.training.measured
    return {name: measured[name].gap for name in names if name in measured}


def unlike_calls(evidence: Evidence) -> Iterator[Finding]:
    """BN604: a layer's calls see different distributions, and one set of statistics costs predictions."""
    for name, apart in evidence.closer.calls.items():
        if apart.lower <= margin_of(apart.effect) or severity_of(apart.effect) == INFO:
            continue
        effect = apart.effect
        calls = evidence.measured[name].calls
        yield Finding(
            code="BN604",
            severity=WARNING,
            layers=(name,),
            message=(
                f"{name or 'The model'} runs {calls} times in a forward on unlike inputs: a call lies {apart.gap:.2f} "
                f"from the average of all, which is all that it can store. {_call_cost(evidence, name)}"
            ),
            fix=(
                "Give every call its own BatchNorm (weights of the convolutions may stay shared), or normalize the "
                "inputs alike before the shared part."
            ),
            evidence={
                "calls": calls,
                "gap_between_calls": apart.gap,
                "gap_between_calls_lower_bound": apart.lower,
                "call_gaps": list(evidence.measured[name].call_gaps or ()),
                "predictions_changed": effect.predictions_changed if effect else None,
                "accuracy_gain": effect.gain if effect else None,
                "output_change": effect.output_change if effect else None,
            },
        )


def _call_cost(evidence: Evidence, name: str) -> str:
    effect = evidence.closer.calls[name].effect
    if effect is None:
        return "What it costs could not be measured."
    accuracy = effect.accuracy
    if accuracy is not None and accuracy.stored is not None and accuracy.recalibrated is not None:
        return f"Accuracy is {accuracy.stored:.1%} with the average and {accuracy.recalibrated:.1%} by each call's own."
    if effect.predictions_changed is not None:
        return f"{effect.predictions_changed:.1%} of the predictions change where each call has its own."
    return f"The outputs move by {effect.output_change or 0.0:.1%} where each call has its own."


def padded(evidence: Evidence) -> Iterator[Finding]:
    """BN606: most of a layer's input repeats its neighbour in every channel, and the rest lies to one side."""
    shares = {
        name: flat.share
        for name, flat in evidence.closer.flat.items()
        if flat.share > FLAT and flat.lopsided > LOPSIDED and name in evidence.measured
    }
    if not shares:
        return
    names = list(shares)
    worst = max(shares, key=shares.__getitem__)
    yield Finding(
        code="BN606",
        severity=INFO,
        layers=tuple(names),
        message=(
            f"Padding dominates the statistics of {some_names(names)}: {shares[worst]:.0%} of the positions of "
            f"{worst or 'the model'} repeat their neighbour in every channel, and what varies lies to one side."
        ),
        fix=(
            "Normalize over the true positions only (a masked BatchNorm, or select them before it), or pad always to "
            "the same length; batches padded to another length have other statistics."
        ),
        evidence={"layers": names, "flat_shares": [shares[name] for name in names]},
    )
