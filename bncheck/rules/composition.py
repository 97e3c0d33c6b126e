"""BN610: weights that have learned to lean on the company of samples of one kind."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import CONFIDENCE_Z, halfway_from_chance
from bncheck.core.thresholds import COMPOSITION_MARGIN
from bncheck.evidence import Evidence
from bncheck.evidence.probed import Composition
from bncheck.results.finding import Finding
from bncheck.results.report import ERROR


def leans_on_composition(evidence: Evidence) -> Iterator[Finding]:
    """BN610: grouped batches are predicted far better by their own statistics than by any stored ones."""
    found = evidence.probed.composition
    classes = None if evidence.effect is None else evidence.effect.classes
    if found is None or not _leans(found, classes):
        return
    kind = "of one label" if found.by_label else "as the training loader gives them"
    recalibrated = "" if found.recalibrated is None else f", {found.recalibrated:.1%} by recalibrated ones"
    yield Finding(
        code="BN610",
        severity=ERROR,
        layers=(),
        message=(
            f"The model depends on the composition of its batches. Batches of {found.batch_size} {kind}, normalized by "
            f"their own statistics, are predicted with {found.grouped:.1%} accuracy; the same samples with "
            f"{found.mixed:.1%} in mixed batches, and with {found.stored:.1%} by the stored statistics{recalibrated}."
        ),
        fix=(
            "Mix the labels within training batches and train on. Or fine-tune with Batch Renormalization on the "
            "batches there are (`bncheck repair --method renorm`). Recalibrating does not help: it is the weights "
            "that have learned to rely on such batches, not the statistics that are wrong."
        ),
        evidence={
            "grouped_by_label": found.by_label,
            "batch_size": found.batch_size,
            "batches": found.batches,
            "samples": found.samples,
            "accuracy_grouped": found.grouped,
            "accuracy_grouped_error": found.grouped_error,
            "accuracy_mixed": found.mixed,
            "accuracy_stored": found.stored,
            "accuracy_recalibrated": found.recalibrated,
        },
    )


def _leans(found: Composition, classes: int | None) -> bool:
    """Whether nothing comes near the accuracy in grouped batches, with 95 % confidence, and that is one to speak of."""
    if found.grouped <= halfway_from_chance(classes):
        return False  # labels of another model, or an input it was not made for
    others = [found.mixed, found.stored, *([] if found.recalibrated is None else [found.recalibrated])]
    return found.grouped - CONFIDENCE_Z * found.grouped_error - max(others) > COMPOSITION_MARGIN
