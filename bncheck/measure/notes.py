"""What a reader of the report should know of how it was measured."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import above_chance
from bncheck.evidence import EffectEvidence, TrainingEvidence
from bncheck.formats.model import Model
from bncheck.measure.passes import Observation
from bncheck.results.report import LEFT_OUT

FEW_GUESSES = 20
"""Right guesses to be expected, below which chance itself may look bad."""
BELOW, HARDLY = 0.5, 0.1
"""Accuracy far below chance, as a share of it; and hardly above, as a share of the way to perfect."""


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
    if _names_no_cause(seen):
        yield from _near_chance(seen, effect)


def notes_on_file(model: Model) -> Iterator[str]:
    """What the file's reader noted, and that layers may be missing which nothing in it names."""
    yield from model.notes
    kept = sum(layer.has_statistics for layer in model.layers)
    if model.comparison is not None or not kept:
        return
    bare = model.bare_convolutions()
    if bare > kept:
        yield (
            f"{bare} convolutions have a bias and no normalization behind them: if the export folded BatchNorm into "
            "them, --reference MODEL checks and measures it there"
        )


def depends_on_mates(seen: Observation) -> bool:
    """Whether a sample's output depends on the samples run beside it."""
    return seen.probed.invariance is not None and seen.probed.invariance.depends


def _names_no_cause(seen: Observation) -> bool:
    """Whether no probe has found what makes predictions bad whatever normalizes them."""
    scaling, order = seen.probed.scaling, seen.probed.order
    return not (scaling is not None and scaling.explains) and not (order is not None and order.explains)


def _near_chance(seen: Observation, effect: EffectEvidence | None) -> Iterator[str]:
    """Where predictions are no better than guesses in any way they were made, the statistics are not to blame."""
    if effect is None or effect.accuracy is None or effect.gain_error is None or not effect.classes:
        return
    if effect.predictions < FEW_GUESSES * effect.classes:
        return
    accuracy, company = effect.accuracy, seen.probed.composition
    grouped = None if company is None else max(company.grouped, company.mixed)
    values = (accuracy.stored, accuracy.batch, accuracy.recalibrated)
    best = max((value for value in values if value is not None), default=1.0)
    if best < BELOW / effect.classes:
        yield (
            f"of {effect.classes} classes a guess is right more often than these predictions, whatever statistics they "
            "are made by: check that the labels number the classes as the model does"
        )
    elif max(best, grouped or 0.0) < above_chance(HARDLY, effect.classes):
        yield (
            f"of {effect.classes} classes a guess is right hardly less often than these predictions, whatever "
            "statistics they are made by: look for the cause in the weights, the labels and the preprocessing"
        )
