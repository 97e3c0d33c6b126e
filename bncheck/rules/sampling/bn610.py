"""BN610: weights that have learned to lean on batches of samples of one kind."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import THRESHOLDS, poor_accuracy
from bncheck.evidence import Composition, Evidence
from bncheck.results import Cost, Finding
from bncheck.rules.judging.measures import single
from bncheck.vocabulary import Remedy, Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error where grouped batches are predicted far better by their own statistics than by any stored."""
    found = evidence.probed.composition
    classes = None if evidence.effect is None else evidence.effect.classes
    if found is None or not _leans(found, classes):
        return
    kind = "of one label" if found.by_label else "as the training loader gives them"
    recalibrated = "" if found.recalibrated is None else f", {found.recalibrated:.1%} by recalibrated ones"
    yield Finding(
        code="BN610",
        severity=Severity.ERROR,
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
        measure=single("accuracy", found.grouped - found.stored, noise=found.grouped_error),
        cost=Cost(
            score="accuracy",
            shipped=found.stored,
            remedied=found.grouped,
            low=found.grouped - found.stored - THRESHOLDS.two_sided_z * found.grouped_error,
            high=found.grouped - found.stored + THRESHOLDS.two_sided_z * found.grouped_error,
            remedy=Remedy.GROUPED,
            samples=found.samples,
            recalibrated=found.recalibrated,
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
    """Tell whether nothing comes near the accuracy in grouped batches, beyond their noise, and it is no guess."""
    if found.grouped <= poor_accuracy(classes):
        return False  # labels of another model, or an input it was not made for
    others = [found.mixed, found.stored, *([] if found.recalibrated is None else [found.recalibrated])]
    return found.grouped - max(others) > max(THRESHOLDS.composition_margin, THRESHOLDS.sure_z * found.grouped_error)
