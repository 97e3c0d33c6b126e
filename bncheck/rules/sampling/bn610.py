"""BN610: weights that have learned to lean on batches of samples of one kind."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import THRESHOLDS, poor_accuracy
from bncheck.evidence import Composition, Evidence, Grouping
from bncheck.results import Cost, Finding
from bncheck.rules.judging.measures import single
from bncheck.rules.judging.naming import shown as shown_number
from bncheck.vocabulary import Harm, Remedy, Severity

_RENORM = "fine-tune with Batch Renormalization on the batches there are (`bncheck repair --method renorm`)."
_FIXES = {
    Grouping.LABEL: f"Mix the labels within training batches and train on. Or {_RENORM}",
    Grouping.LOADER: f"Mix the samples within training batches and train on. Or {_RENORM}",
    Grouping.ORDER: f"Mix what lies together in the data (recordings, patients, days) within training batches and "
    f"train on. Or {_RENORM}",
    Grouping.ALONE: f"Train on with batches of several samples. Or {_RENORM} Or keep it as it was trained: normalize "
    "every sample by itself in use too (InstanceNorm's way), one by one or with `track_running_stats=False` at batch "
    "size 1.",
}
_NOT_BY_STATISTICS = (
    "Recalibrating does not help: it is the weights that have learned to rely on such batches, not the statistics "
    "that are wrong."
)


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error where grouped batches are predicted far better by their own statistics than by any stored."""
    found = evidence.probed.composition
    classes = None if evidence.effect is None else evidence.effect.classes
    if found is None or not (_leans(found, classes) if found.by_accuracy else _saves_loss(found)):
        return
    shown = _percent if found.by_accuracy else _number
    yield Finding(
        code="BN610",
        severity=Severity.ERROR,
        layers=(),
        message=(
            f"The model depends on the composition of its batches. Batches of {found.batch_size} {found.of.value}, "
            f"normalized by their own statistics, reach {_called(found)} of {shown(found.grouped)}, and the same "
            f"{found.samples} samples in mixed batches {shown(found.mixed)}. {_otherwise(found, evidence)}"
        ),
        fix=f"{_FIXES[found.of]} {_NOT_BY_STATISTICS}",
        measure=single(
            "accuracy" if found.by_accuracy else "loss",
            abs(found.grouped - found.stored),
            noise=found.grouped_error if found.by_accuracy else found.lead_error,
        ),
        cost=_cost(found, evidence),
        evidence={
            "grouped_by_label": found.of == Grouping.LABEL,
            "grouped_by": found.of.value,
            "score": found.score,
            "batch_size": found.batch_size,
            "batches": found.batches,
            "samples": found.samples,
            "accuracy_grouped": found.grouped if found.by_accuracy else None,
            "accuracy_grouped_error": found.grouped_error if found.by_accuracy else None,
            "accuracy_mixed": found.mixed if found.by_accuracy else None,
            "accuracy_stored": found.stored if found.by_accuracy else None,
            "accuracy_recalibrated": found.recalibrated if found.by_accuracy else None,
            "loss_grouped": None if found.by_accuracy else found.grouped,
            "loss_mixed": None if found.by_accuracy else found.mixed,
            "loss_stored": None if found.by_accuracy else found.stored,
            "loss_recalibrated": None if found.by_accuracy else found.recalibrated,
            "lead": found.lead,
            "lead_error": shown_number(found.lead_error),
        },
    )


def _otherwise(found: Composition, evidence: Evidence) -> str:
    """Tell what stored statistics reach: over all data, where the report has that number, so that it is one."""
    shown = _percent if found.by_accuracy else _number
    stored, recalibrated = _reported(found, evidence)
    whose = "They" if stored == found.stored else "All data"
    more = "" if recalibrated is None else f" and {shown(recalibrated)} by recalibrated ones"
    return f"{whose} reach {shown(stored)} by the stored statistics{more}."


def _reported(found: Composition, evidence: Evidence) -> tuple[float, float | None]:
    """Give what the stored and recalibrated statistics reach as the report prints it, if it is of the same data."""
    accuracy = None if evidence.effect is None else evidence.effect.foremost.accuracy
    if found.by_accuracy and found.of != Grouping.LOADER and accuracy is not None and accuracy.stored is not None:
        return accuracy.stored, accuracy.recalibrated
    return found.stored, found.recalibrated


def _called(found: Composition) -> str:
    return "an accuracy" if found.by_accuracy else f"a {found.score}"


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _number(value: float) -> str:
    return f"{value:.3g}"


def _cost(found: Composition, evidence: Evidence) -> Cost:
    stored, recalibrated = _reported(found, evidence)
    gain = found.grouped - stored if found.by_accuracy else stored - found.grouped
    width = THRESHOLDS.two_sided_z * (found.grouped_error if found.by_accuracy else found.lead_error)
    return Cost(
        score=found.score,
        shipped=stored,
        remedied=found.grouped,
        low=gain - width,
        high=gain + width,
        remedy=Remedy.GROUPED,
        samples=found.samples,
        recalibrated=recalibrated,
        harm=Harm.LARGE,
    )


def _leans(found: Composition, classes: int | None) -> bool:
    """Tell whether nothing comes near the accuracy in grouped batches, beyond their noise, and it is no guess."""
    if found.grouped <= poor_accuracy(classes):
        return False  # labels of another model, or an input it was not made for
    others = [found.mixed, found.stored, *([] if found.recalibrated is None else [found.recalibrated])]
    return found.grouped - max(others) > max(THRESHOLDS.composition_margin, THRESHOLDS.sure_z * found.grouped_error)


def _saves_loss(found: Composition) -> bool:
    """Tell whether grouped batches have a loss below all others', sample by sample and by enough to matter."""
    others = [found.mixed, found.stored, *([] if found.recalibrated is None else [found.recalibrated])]
    least = THRESHOLDS.composition_loss * min(others)
    return found.lead is not None and found.lead > max(least, THRESHOLDS.sure_z * found.lead_error)
