"""What a reader of the report should know of how it was measured."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import above_guessing
from bncheck.evidence import EffectEvidence, Evidence, Probed
from bncheck.measure.observation import Observation
from bncheck.measure.parts.model import KnownModel
from bncheck.measure.plan import READ_WHOLE
from bncheck.results import (
    BareConvolutions,
    LabelsUnfit,
    MapsReadInPart,
    NoBatchSizes,
    NoBetterThanGuessing,
    Note,
    SamplesLeftOut,
    SlicesTogether,
    SomeCompared,
    TrainingSamplesCompared,
    WorseThanGuessing,
)

FEW_GUESSES = 20
"""Right guesses to be expected, below which guessing itself may look bad."""
BELOW, HARDLY = 0.5, 0.1
"""Accuracy far below the guessing baseline, as a share of it; and hardly above, as a share of the way to perfect."""


def notes_on(seen: Observation, evidence: Evidence) -> Iterator[Note]:
    """What the passes noted, what was left out and why, and what the labels cannot tell."""
    training, effect = evidence.training, evidence.effect
    yield from seen.notes
    if seen.dropped and seen.session.fixed_batch is not None:
        yield SamplesLeftOut(seen.dropped, seen.session.fixed_batch)
    if seen.compared is not None:
        yield SomeCompared(seen.compared, seen.samples)
    if seen.stored.in_part:
        yield MapsReadInPart(READ_WHOLE)
    if seen.slices is not None and (seen.slices.left_out or seen.slices.overflowed):
        yield SlicesTogether(len(seen.slices.names) - 1, seen.slices.left_out or None)
    if training is not None:
        own = training.batch_size if training.own_batches else None
        yield TrainingSamplesCompared(training.samples, training.source, own)
    if depends_on_composition(evidence):
        yield NoBatchSizes()
    if effect is not None:
        yield from effect.notes
    if effect is not None and effect.accuracy is None and effect.task is None and seen.labelled:
        yield LabelsUnfit()
    if _names_no_cause(evidence.probed):
        yield from _near_guessing(effect, evidence.probed)


def notes_on_file(model: KnownModel) -> Iterator[Note]:
    """What the file's reader noted, and that layers may be missing which nothing in it names."""
    yield from model.notes
    kept = sum(layer.has_statistics for layer in model.layers)
    if model.comparison is not None or not kept:
        return
    bare = model.bare_convolutions()
    if bare > kept:
        yield BareConvolutions(bare)


def depends_on_composition(evidence: Evidence) -> bool:
    """Whether a sample's output depends on the samples run beside it."""
    return evidence.probed.invariance is not None and evidence.probed.invariance.depends


def _names_no_cause(probed: Probed) -> bool:
    """Whether no probe has found what makes predictions bad whatever normalizes them."""
    scaling, order = probed.scaling, probed.order
    return not (scaling is not None and scaling.explains) and not (order is not None and order.explains)


def _near_guessing(effect: EffectEvidence | None, probed: Probed) -> Iterator[Note]:
    """Where predictions are no better than guesses in any way they were made, the statistics are not to blame."""
    effect = None if effect is None else effect.foremost
    if effect is None or effect.accuracy is None or effect.gain_error is None or not effect.classes:
        return
    if effect.predictions < FEW_GUESSES * effect.classes:
        return
    accuracy, composition = effect.accuracy, probed.composition
    grouped = None if composition is None else max(composition.grouped, composition.mixed)
    values = (accuracy.stored, accuracy.batch, accuracy.recalibrated)
    best = max((value for value in values if value is not None), default=1.0)
    if best < BELOW / effect.classes:
        yield WorseThanGuessing(effect.classes)
    elif max(best, grouped or 0.0) < above_guessing(HARDLY, effect.classes):
        yield NoBetterThanGuessing(effect.classes)
