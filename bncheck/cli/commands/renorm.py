"""`bncheck inspect --renorm`: convert, fine-tune, inspect again, and judge that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bncheck.cli.progress import progress_bar, training_told
from bncheck.errors import UsageError
from bncheck.results import RepairResult, Report
from bncheck.settings import InspectionSettings, RepairSettings, TrainingSettings
from bncheck.vocabulary import argument


def renormalized(
    settings: InspectionSettings, *, steps: int | None, lr: float | None, out: str | None, quiet: bool
) -> RepairResult:
    """The model as it came and fine-tuned, both on the data; without these a fifth of the training data judges.

    Args:
        settings: of the inspection.
        steps: of the training.
        lr: its highest learning rate.
        out: where to keep the repaired model.
        quiet: show no progress.

    Raises:
        UsageError: there are no training data, or an option asks for what the fine-tuned weights cannot answer.
    """
    _require_trainable(settings)
    from bncheck.api import repaired

    model, sampling = settings.model, settings.sampling
    training = TrainingSettings(
        steps=steps,
        lr=lr,
        batch_size=sampling.batch_size,
        output=settings.predictions.output,
        device=model.device,
        seed=sampling.seed,
    )
    wanted = RepairSettings(
        model=model,
        out=None if out is None else Path(out),
        data=settings.data,
        train_data=settings.train_data,
        method="renorm",
        training=training,
        reading=settings.reading,
        sampling=sampling,
        predictions=settings.predictions,
        judging=settings.judging,
        edge=replace(settings.edge, command="bncheck inspect --renorm"),
    )
    with progress_bar(quiet) as progress:
        return repaired(wanted, progress, training_told(progress, quiet))


def _require_trainable(settings: InspectionSettings) -> None:
    """Refuse what a training cannot do, or what its weights cannot be asked."""
    renorm, reference = argument("renorm"), argument("reference")
    if settings.train_data is None:
        raise UsageError(
            f"{renorm} trains on {argument('train_data')}, and none are given: name the training's own loader, "
            "FILE.py:CALLABLE, or a file of training data."
        )
    if settings.reference is not None:
        raise UsageError(
            f"{renorm} changes the weights, so there is no {reference} to compare them with: leave it out."
        )
    if settings.sampling.until:
        raise UsageError(
            f"{argument('until')} ends the reading of an inspection; with {renorm} choose {argument('limit')} or "
            f"{argument('steps')} instead."
        )


def exit_code_of(repair: RepairResult, judged: Report) -> int:
    """That of the repair, with known findings accepted.

    Args:
        repair: what came of it.
        judged: the report on the repaired model, after the baseline.
    """
    return settled_repair(repair, judged).exit_code


def settled_repair(repair: RepairResult, judged: Report) -> RepairResult:
    """The repair with known findings accepted in the report it is judged by."""
    return replace(repair, before=judged) if repair.after is None else replace(repair, after=judged)
