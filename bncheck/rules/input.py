"""Group 6, before the first layer: the input is not what the network was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bncheck.core import above_chance
from bncheck.core.thresholds import GAIN_MARGIN, MARGIN, NEAR_MARGIN
from bncheck.evidence import Evidence
from bncheck.evidence.inputs import NEAR_SHARE, SHARE
from bncheck.evidence.probed import AS_READ, AffineMap, ChannelOrder, InputScaling, Paired
from bncheck.results.finding import Finding
from bncheck.results.report import ERROR, WARNING
from bncheck.rules.absent import some_names
from bncheck.rules.cost import severity_of

LEAST_SKILL = 0.25
"""Share of the way from guessing to perfect that predictions must reach in the right order."""
LEFT_OVER = 0.1
"""Accuracy below that of recalibrated statistics that the right map, or the right order, of the input may leave."""


def scaled(evidence: Evidence) -> Iterator[Finding]:
    """BN601: one factor or affine map of the input explains what the layers fed by it see."""
    found = evidence.probed.scaling
    if found is None:
        return
    is_sure = found.explains or _does_as_well(found, evidence)
    if not (is_sure or found.is_plausible) or _leaves_much(found, evidence) or _is_layers_own(found, evidence):
        return
    yield Finding(
        code="BN601",
        severity=ERROR if is_sure else severity_of(evidence.effect),
        layers=tuple(found.seen.layers),
        message=f"{_what(found)} {_tried(found.seen, 'With the input changed so')}",
        fix=(
            f"{_remedy(found)} Recalibrating would only hide it.{_or_the_layer(found, evidence)}"
            f"{_what_remains(found.seen)}"
        ),
        evidence={
            "fed": found.fed,
            "expected": found.expected,
            "slope": list(found.map.slope),
            "intercept": list(found.map.intercept),
            **_numbers(found.seen),
        },
    )


def _does_as_well(found: InputScaling, evidence: Evidence) -> bool:
    """Whether a map leaves a gap, as where its numbers are near the right ones, and no more errors than recalibration.

    Numbers that were made to fit must leave less of it, and it must be the input alone that is off.
    """
    seen, accuracy = found.seen, None if evidence.effect is None else evidence.effect.accuracy
    if accuracy is None or accuracy.recalibrated is None or seen.after.accuracy is None:
        return False
    if found.expected is None and not (found.is_solved and found.reaches_everywhere and _input_alone(seen, evidence)):
        return False
    share = SHARE if found.expected is not None else NEAR_SHARE
    falls = seen.before.gap > MARGIN and seen.after.gap <= share * seen.before.gap
    return falls and bool(seen.wins_accuracy) and accuracy.recalibrated - seen.after.accuracy < GAIN_MARGIN


def _input_alone(seen: Paired, evidence: Evidence) -> bool:
    """Whether every layer behind the first has statistics of its own that fit."""
    behind = [layer.own_gap for name, layer in evidence.measured.items() if name not in seen.layers]
    return bool(behind) and all(gap is not None and gap <= NEAR_MARGIN for gap in behind)


def _leaves_much(found: InputScaling, evidence: Evidence) -> bool:
    """Whether recalibrating would win far more than the map, so that the statistics are wrong.

    A known map that fits is right all the same: another fault accounts for what is left. One taken from the data fits
    initial statistics too, where the network begins with a norm.
    """
    seen, order = found.seen, evidence.probed.order
    if (seen.after.gap <= NEAR_MARGIN and found.constant) or (order is not None and order.explains):
        return False
    return _recalibrating_wins_more(seen, evidence)


def _is_layers_own(found: InputScaling, evidence: Evidence) -> bool:
    """Whether training data are as far off, under numbers that only happen to fit: then it is what the layers store."""
    training = evidence.training
    if training is None or not found.is_solved:
        return False
    seen = [training.measured[name].lower for name in found.seen.layers if name in training.measured]
    return bool(seen) and min(seen) > MARGIN


def _or_the_layer(found: InputScaling, evidence: Evidence) -> str:
    if not found.is_solved or evidence.training is not None or len(found.seen.layers) > 1:
        return ""
    name = found.seen.layers[0] or "that layer"
    return f" If the input is as in training, the statistics of {name} are wrong: --train-data would tell."


def _is_guessing(seen: Paired, evidence: Evidence) -> bool:
    """Whether the predictions are near to chance with the input changed too."""
    classes = None if evidence.effect is None else evidence.effect.classes
    return seen.after.accuracy is not None and seen.after.accuracy < above_chance(LEAST_SKILL, classes)


def _recalibrating_wins_more(seen: Paired, evidence: Evidence) -> bool:
    accuracy = None if evidence.effect is None else evidence.effect.accuracy
    if accuracy is None or accuracy.recalibrated is None or seen.after.accuracy is None:
        return False
    return accuracy.recalibrated - seen.after.accuracy > LEFT_OVER


def permuted(evidence: Evidence) -> Iterator[Finding]:
    """BN602: with the input's channels in another order the gap falls and the predictions are clearly better.

    Where recalibrating would win far more, or predictions are hardly better than guesses in any order, the order is
    not what is wrong: among the guesses of a broken network one order is always best.
    """
    found = evidence.probed.order
    if found is None or not found.explains or _recalibrating_wins_more(found.seen, evidence):
        return
    if _is_guessing(found.seen, evidence):
        return
    yield Finding(
        code="BN602",
        severity=WARNING,
        layers=tuple(found.seen.layers),
        message=f"{_order_in_words(found)} {_tried(found.seen, 'With the channels reordered')}",
        fix=f"{_reorder(found)} Recalibrating would only hide it.{_what_remains(found.seen)}",
        evidence={
            "order": list(found.order),
            "orders_tried": found.tried,
            "normalized": found.normalized,
            **_numbers(found.seen),
        },
    )


def _what(found: InputScaling) -> str:
    if found.expected is None and found.map.factor is not None:
        times = 1 / found.map.factor
        return f"The input is {times:.3g} times what the network expects."
    if found.expected is None and max(found.map.slope) < 1:
        return (
            "The input reaches the network spread too wide, as where it was normalized once too often: it expects "
            f"{found.map.slope[0]:.3g} x {found.map.intercept[0]:+.3g} in place of x."
        )
    if found.expected is None:
        mean, std = _as_normalization(found.map)
        return f"The network expects the input normalized, as by mean {mean} and standard deviation {std}."
    if found.map.inverts:
        return "The input is inverted, bright for dark."
    return f"The data are fed as {found.fed}; the network expects {found.expected}."


def _remedy(found: InputScaling) -> str:
    factor = found.map.factor
    if found.expected == AS_READ:
        return "Leave out --mean and --std (or --preset): the data are normalized already, or the network does it."
    if factor is not None and factor > 0:
        change = f"Multiply the input by {factor:.6g}" if factor > 1 else f"Divide the input by {1 / factor:.6g}"
        return f"{change}, as in training (to try it: --scale {factor:.6g})."
    if found.map.inverts:
        constants = sorted(set(found.map.intercept))
        shown = f"{constants[0]:.4g} - x" if len(constants) == 1 else "low + high - x, channel by channel"
        return f"Invert the input: feed {shown}."
    if found.expected is not None and found.expected in found.fed:
        return f"Leave out a step of the preprocessing: feed {found.expected}, not {found.fed}."
    mean, std = _as_normalization(found.map)
    if found.expected is None:
        if max(found.map.slope) < 1:
            return (
                f"Look for a normalization that is done twice (to try what fits these data: --mean {mean} --std {std})."
            )
        return f"Normalize as in training (to try what fits these data: --mean {mean} --std {std})."
    roughly = " These constants fit roughly: take those of your training, if you know them."
    return f"Feed {found.expected}: to try it, --mean {mean} --std {std}.{roughly if _fits_roughly(found) else ''}"


def _fits_roughly(found: InputScaling) -> bool:
    """Whether constants by which each colour is normalized leave a gap, as those of another data set do."""
    return len(set(found.map.of_each())) > 1 and found.seen.after.gap > NEAR_MARGIN


def _as_normalization(by: AffineMap) -> tuple[str, str]:
    """The map as the mean and standard deviation to give, which come after what is done already."""
    pairs = by.of_each()
    return _listed([-intercept / slope for slope, intercept in pairs]), _listed([1 / slope for slope, _ in pairs])


def _listed(values: Sequence[float]) -> str:
    return ",".join(f"{value + 0.0:.4g}" for value in values)


def _order_in_words(found: ChannelOrder) -> str:
    places = ", ".join(map(str, found.order))
    if not found.fits:
        return (
            f"The input's channels are in another order than in training: of {found.tried} others {places} does best, "
            "but does not fit, as where they were swapped before each was normalized by a mean and standard deviation."
        )
    before = "" if found.normalized is None else f", and were so before they became {found.normalized}"
    if list(found.order) == [2, 1, 0]:
        return f"The input's channels are in the opposite order of training: BGR for RGB, or RGB for BGR{before}."
    return f"The input's channels are in another order than in training, which takes them as {places}{before}."


def _reorder(found: ChannelOrder) -> str:
    order = list(found.order)
    if not found.fits:
        return "Check the order (RGB or BGR) in which the images are read, and swap them before they are normalized."
    if found.normalized is not None:
        return f"Put the channels in the order of training, `x[:, {order}]`, before they are normalized."
    if order == [2, 1, 0]:
        return "Swap the first and the third channel (`x[:, [2, 1, 0]]`; images: --channels bgr, or rgb without it)."
    return f"Put the channels in the order of training: `x[:, {order}]`."


def _tried(seen: Paired, how: str) -> str:
    where = f"{'layer' if len(seen.layers) == 1 else 'layers'} {some_names(seen.layers)}"
    text = f"{how}, the gap of {where} falls from {_gap(seen.before.gap)} to {_gap(seen.after.gap)}"
    if seen.before.accuracy is not None and seen.after.accuracy is not None and seen.gain is not None:
        verb = "rises" if seen.gain > 0 else "goes"
        text += f", and accuracy {verb} from {seen.before.accuracy:.1%} to {seen.after.accuracy:.1%}"
    elif seen.predictions_changed is not None:
        text += f", and {seen.predictions_changed:.1%} of the predictions change"
    else:
        text += f", and the outputs move by {seen.output_change:.1%}"
    return f"{text} ({seen.samples} samples)."


def _gap(gap: float) -> str:
    return f"{gap:.0f}" if gap >= 100 else f"{gap:.2g}"


def _what_remains(seen: Paired) -> str:
    left = seen.after.model_gap
    return f" Then inspect again: a gap of {left:.2g} over all layers is left." if left > MARGIN else ""


def _numbers(seen: Paired) -> dict[str, Any]:
    return {
        "layers": list(seen.layers),
        "samples": seen.samples,
        "gap_before": seen.before.gap,
        "gap_after": seen.after.gap,
        "model_gap_before": seen.before.model_gap,
        "model_gap_after": seen.after.model_gap,
        "accuracy_before": seen.before.accuracy,
        "accuracy_after": seen.after.accuracy,
        "accuracy_gain": seen.gain,
        "accuracy_gain_error": seen.gain_error,
        "information_before": seen.before.information,
        "information_after": seen.after.information,
        "predictions_changed": seen.predictions_changed,
        "output_change": seen.output_change,
    }
