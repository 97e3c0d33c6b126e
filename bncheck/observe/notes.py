"""What a reader of the report should know of how it was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from bncheck.evidence import EffectEvidence, TrainingEvidence
from bncheck.observe.passes import Observation
from bncheck.report import LEFT_OUT

FEW_GUESSES = 20
"""Right guesses to be expected, below which chance itself may look bad."""


def notes_on(seen: Observation, effect: EffectEvidence | None, training: TrainingEvidence | None) -> Iterator[str]:
    """What the passes noted, what was left out and why, and what the labels cannot tell."""
    yield from seen.notes
    if seen.dropped:
        yield f"{seen.dropped} {LEFT_OUT}: the program takes batches of exactly {seen.fixed_batch}"
    if training is not None:
        batches = f", in its batches of {training.batch_size}" if training.own_batches else ""
        yield f"{training.samples} training samples of {training.source} compared{batches}"
    if depends_on_mates(seen):
        yield "no table of batch sizes: what a sample shows depends on its batch mates, so samples cannot be regrouped"
    if effect is not None and effect.accuracy is None and seen.labelled:
        yield (
            "no accuracy: the labels are no class numbers for these outputs; --output names the prediction, --metric "
            "measures it otherwise"
        )
    if _is_below_chance(effect):
        yield (
            f"of {effect.classes} classes a guess is right more often than these predictions, whatever statistics they "
            "are made by: check that the labels number the classes as the model does"
        )


def depends_on_mates(seen: Observation) -> bool:
    """Whether a sample's output depends on the samples run beside it."""
    return seen.probed.invariance is not None and seen.probed.invariance.depends


def _is_below_chance(effect: EffectEvidence | None) -> TypeGuard[EffectEvidence]:
    """Whether predictions are right less than half as often as guesses would be, whatever normalizes them."""
    if effect is None or effect.accuracy is None or effect.gain_error is None or not effect.classes:
        return False
    accuracy = effect.accuracy
    known = [value for value in (accuracy.stored, accuracy.batch, accuracy.recalibrated) if value is not None]
    return effect.predictions >= FEW_GUESSES * effect.classes and max(known, default=1.0) < 0.5 / effect.classes
