"""BN601: one factor or affine map of the input explains what the layers fed by it see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bncheck.core import THRESHOLDS
from bncheck.evidence import AS_READ, AffineMap, Evidence, InputScaling, Mistake, Paired
from bncheck.results import Finding
from bncheck.rules.judging.fed import (
    ahead_of,
    cost_of_change,
    measure_of,
    numbers_of,
    recalibrating_wins_more,
    tried_in_words,
    what_remains,
)
from bncheck.rules.judging.harm import severity_beyond
from bncheck.vocabulary import CHECK, Remedy, Severity, Spelling, argument, spelled


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error where the predictions say so too; a likely map by what the drift costs, or how far it is."""
    found = evidence.probed.scaling
    if found is None:
        return
    is_sure = found.explains or _does_as_well(found, evidence)
    if not (is_sure or found.is_plausible) or _leaves_much(found, evidence) or _is_layers_own(found, evidence):
        return
    yield Finding(
        code="BN601",
        severity=Severity.ERROR if is_sure else severity_beyond(evidence.effect, _sure_gap(found, evidence)),
        layers=tuple(found.seen.layers),
        message=f"{_what(found)} {tried_in_words(found.seen, 'With the input changed so')}",
        fix=(
            f"{_remedy(found)} Recalibrating would only hide it.{_or_the_layer(found, evidence)}"
            f"{what_remains(found.seen)}"
        ),
        measure=measure_of(found.seen, evidence),
        cost=cost_of_change(found.seen, Remedy.INPUT),
        command=_command(found),
        evidence={
            "fed": spelled(found.fed, Spelling.PYTHON),
            "expected": found.expected,
            "slope": list(found.map.slope),
            "intercept": list(found.map.intercept),
            "mistake": None if found.mistake is None else found.mistake.value,
            **numbers_of(found.seen),
        },
    )


def _sure_gap(found: InputScaling, evidence: Evidence) -> float:
    """Give the gap that the layers fed by the input are sure to have."""
    return min((evidence.measured[name].lower for name in found.seen.layers if name in evidence.measured), default=0.0)


def _does_as_well(found: InputScaling, evidence: Evidence) -> bool:
    """Tell whether a map whose numbers are near the right ones leaves a gap, and no more errors than recalibration.

    Numbers that were made to fit must leave less of it, and it must be the input alone that is off.
    """
    seen, ahead = found.seen, ahead_of(found.seen, evidence)
    if ahead is None:
        return False
    if found.expected is None and not (found.is_solved and found.reaches_everywhere and _input_alone(seen, evidence)):
        return False
    share = THRESHOLDS.map_left if found.expected is not None else THRESHOLDS.map_left_near
    falls = seen.before.gap > THRESHOLDS.margin and seen.after.gap <= share * seen.before.gap
    return falls and bool(seen.wins) and ahead < THRESHOLDS.gain_margin


def _input_alone(seen: Paired, evidence: Evidence) -> bool:
    """Tell whether every layer behind the first has statistics of its own that fit."""
    behind = [layer.own_gap for name, layer in evidence.measured.items() if name not in seen.layers]
    return bool(behind) and all(gap is not None and gap <= THRESHOLDS.near_margin for gap in behind)


def _leaves_much(found: InputScaling, evidence: Evidence) -> bool:
    """Tell whether recalibrating would win far more than the map, so that the statistics are wrong.

    A known map that fits is right all the same: another fault accounts for what is left. One taken from the data fits
    initial statistics too, where the network begins with a norm.
    """
    seen, order = found.seen, evidence.probed.order
    if (seen.after.gap <= THRESHOLDS.near_margin and found.constant) or (order is not None and order.explains):
        return False
    return recalibrating_wins_more(seen, evidence)


def _is_layers_own(found: InputScaling, evidence: Evidence) -> bool:
    """Tell whether training data are as far off, under numbers that only happen to fit: the layers store it then."""
    training = evidence.training
    if training is None or not found.is_solved:
        return False
    seen = [training.measured[name].lower for name in found.seen.layers if name in training.measured]
    return bool(seen) and min(seen) > THRESHOLDS.margin


def _or_the_layer(found: InputScaling, evidence: Evidence) -> str:
    if not found.is_solved or evidence.training is not None or len(found.seen.layers) > 1:
        return ""
    name = found.seen.layers[0] or "that layer"
    return f" If the input is as in training, the statistics of {name} are wrong: {argument('train_data')} would tell."


def _what(found: InputScaling) -> str:
    if found.expected is None and found.map.factor is not None:
        times = 1 / found.map.factor
        return f"The input is {times:.3g} times what the network expects."
    if found.expected is None:
        return _what_was_solved(found)
    if found.map.inverts:
        return "The input is inverted, bright for dark."
    return f"The data are fed as {found.fed}; the network expects {found.expected}."


def _what_was_solved(found: InputScaling) -> str:
    """Tell what a slope and an intercept come from as far as the data say so, and else only what they are."""
    mean, std = _as_normalization(found.map)
    if found.mistake == Mistake.TWICE:
        each, by = _listed(found.map.intercept), _listed(found.map.slope)
        return (
            "The input was normalized once too often: undone once it is what the network expects, and undone twice, by "
            f"mean {each} and standard deviation {by} each time, it is pixels from black to white."
        )
    if found.mistake == Mistake.UNSCALED:
        return (
            f"The input is {1 / found.map.slope[0]:.3g} times as wide as the network expects, with black where it "
            "should be: it was normalized by constants for pixels of another unit, of 0..1 or of 0..255."
        )
    if found.mistake is None and max(found.map.slope) < 1:
        return (
            f"The input reaches the network {1 / max(found.map.slope):.3g} times as wide as it expects: "
            f"{_formula(found.map)} in place of x. Which step of the preprocessing makes it so is not known."
        )
    fed = "The data are pixels as they are stored, and the" if found.mistake == Mistake.RAW else "The"
    return f"{fed} network expects the input normalized, as by mean {mean} and standard deviation {std}."


def _formula(by: AffineMap) -> str:
    return f"{by.slope[0]:.3g} x {by.intercept[0]:+.3g}"


def _remedy(found: InputScaling) -> str:
    factor = found.map.factor
    if found.expected == AS_READ:
        return (
            f"Leave out {argument('mean')} and {argument('std')} (or {argument('preset')}): the data are normalized "
            "already, or the network does it."
        )
    if factor is not None and factor > 0:
        change = f"Multiply the input by {factor:.6g}" if factor > 1 else f"Divide the input by {1 / factor:.6g}"
        return f"{change}, as in training (to try it: {argument('scale')} {factor:.6g})."
    if found.map.inverts:
        constants = sorted(set(found.map.intercept))
        shown = f"{constants[0]:.4g} - x" if len(constants) == 1 else "low + high - x, channel by channel"
        return f"Invert the input: feed {shown}."
    if found.expected is not None and found.mistake == Mistake.TWICE:
        return f"Leave out a step of the preprocessing: feed {found.expected}, not {found.fed}."
    mean, std = _as_normalization(found.map)
    options = f"{argument('mean')} {mean} {argument('std')} {std}"
    if found.expected is None:
        if found.mistake == Mistake.TWICE:
            return f"Look for a normalization that is done twice (to try what fits these data: {options})."
        if found.mistake == Mistake.UNSCALED:
            change = "Divide by 255" if max(found.map.slope) < 1 else "Leave out a division by 255"
            return f"{change} before the normalization (to try what fits these data: {options})."
        if found.mistake is None and max(found.map.slope) < 1:
            return f"Feed the input as in training (to try what fits these data: {options})."
        return f"Normalize as in training (to try what fits these data: {options})."
    roughly = " These constants fit roughly: take those of your training, if you know them."
    return f"Feed {found.expected}: to try it, {options}.{roughly if _fits_roughly(found) else ''}"


def _command(found: InputScaling) -> str:
    """Give the inspection with the input changed by options, where there are some: a deviation is above 0."""
    if found.expected == AS_READ:
        return "inspect --mean= --std= --preset="
    factor = found.map.factor
    if min(slope for slope, _ in found.map.of_each()) <= 0:
        return CHECK
    if factor is not None:
        return f"inspect --scale {factor:.6g}"
    mean, std = _as_normalization(found.map)
    return f"inspect --mean {mean} --std {std}"


def _fits_roughly(found: InputScaling) -> bool:
    """Tell whether constants by which each colour is normalized leave a gap, as those of another data set do."""
    return len(set(found.map.of_each())) > 1 and found.seen.after.gap > THRESHOLDS.near_margin


def _as_normalization(by: AffineMap) -> tuple[str, str]:
    """Give the map as the mean and standard deviation to give, which come after what is done already."""
    pairs = by.of_each()
    return _listed([-intercept / slope for slope, intercept in pairs]), _listed([1 / slope for slope, _ in pairs])


def _listed(values: Sequence[float]) -> str:
    return ",".join(f"{value + 0.0:.4g}" for value in values)
