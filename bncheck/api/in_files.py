"""Repairing a model in its file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from bncheck.api.repairing import repaired
from bncheck.data import DataOptions
from bncheck.progress import Progress, no_progress
from bncheck.repair import FineTuneOptions, TrainingProgress, quiet
from bncheck.results import RepairResult
from bncheck.settings import (
    BATCH_SIZE,
    DEVICE,
    METHOD,
    SEED,
    UNTIL_OF_REPAIR,
    DataSettings,
    JudgingSettings,
    Metric,
    ModelSettings,
    PredictionSettings,
    RepairSettings,
    SamplingSettings,
    TrainingSettings,
    device_name,
    texts,
)
from bncheck.vocabulary import FailOn


def repair_file(
    model: str | Path,
    data: Any = None,
    *,
    out: str | Path | None,
    method: str = METHOD,
    train_data: Any = None,
    heldout: Any = None,
    fine_tuning: FineTuneOptions | None = None,
    data_free: bool = False,
    prior: float | None = None,
    until: float = UNTIL_OF_REPAIR,
    force: bool = False,
    overwrite: bool = False,
    batch_size: int = BATCH_SIZE,
    limit: int | None = None,
    seed: int = SEED,
    device: str = DEVICE,
    arch: str | Callable[..., Any] | None = None,
    arch_kwargs: Mapping[str, Any] | None = None,
    key: str | None = None,
    trust_pickle: bool = False,
    allow_ops: Collection[str] = (),
    data_options: DataOptions | None = None,
    output: str | None = None,
    metric: Metric | None = None,
    task: str | None = None,
    fail_on: str = FailOn.WARNING.value,
    progress: Progress = no_progress,
    training_progress: TrainingProgress = quiet,
) -> RepairResult:
    """Write a model again with statistics (or weights) that fit the data, if that is measured to be no worse.

    The file keeps its container, its names, its dtypes and everything else that is in it; the original is never
    touched. What is judged is the file that was written, before it gets its name.

    Args:
        model: a path, as for `bncheck.inspect`.
        data: what to repair from: a path, an array, a pair (x, y) or an iterable of batches. With `train_data`, what
            to judge on.
        out: the file to write; for a sharded model its index, or the folder that takes both; `None` to see what the
            repair would come to.
        method: `recalibrate`, `blend`, `instance` or `renorm`.
        train_data: what `renorm` trains on, in its own order and batches; without it `data`, drawn at random.
        heldout: what to judge on. Without it each half of `data` judges what the other half gave; for `renorm` a
            fifth of the data is kept from training. With all three `data` choose the best state of the training.
        fine_tuning: how `renorm` trains; by default `FineTuneOptions` with the batch size, output, device and seed
            given here. Its checkpoint is deleted once the model is written.
        data_free: there are no data: give layers that have lost their statistics those of generated pictures, a last
            resort that nothing can judge. `data_options` say how large pictures are (`resize`), and how they are fed
            where the first layer has lost its statistics too.
        prior: what the stored statistics are worth, in samples (`blend`); by default chosen by the labels.
        until: stop reading once every layer's mean is known so well, in standard deviations; 0 reads everything.
        force: write although the result is worse, of too few samples, or without need (`data_free`).
        overwrite: write over an existing `out`.
        batch_size: samples in a forward.
        limit: draw so many samples at random, of either data; what is trained on is limited by the steps alone.
        seed: of every draw.
        device: where to run the model.
        arch: what builds the module a state dict belongs to.
        arch_kwargs: keyword arguments for it.
        key: which nested state dict of a checkpoint; the others stay as they are.
        trust_pickle: unpickle a file that can run code.
        allow_ops: operators, `NAMESPACE::NAME`, that a program may call besides those that compute.
        data_options: preprocessing, of either data.
        output: key or index of the output that is the prediction.
        metric: `metric(outputs, labels) -> number` instead of the task's own score; larger is better, unless it has an
            attribute `larger_is_better` that is false.
        task: what predictions are judged by: `classes`, `positions`, `yes-no`, `numbers`, `embeddings`, or `none`;
            without it outputs and labels tell.
        fail_on: severity of findings on the repaired file from which the exit code is 1.
        progress: called with what is being done, how many samples are done, and of how many; see `bncheck.inspect`.
        training_progress: called with every step of `renorm`.

    Raises:
        RefusedError: the training diverged, or led to nothing better; nothing was written.
        UsageError: an option is wrong, `out` is an input, exists already or cannot be written.
        ModelError: the model cannot be read, or its file cannot hold the new values.
        DataError: the data cannot be read, do not fit the model, or are not finite.
    """
    where = device_name("device", device)
    settings = RepairSettings(
        model=ModelSettings(model, arch, arch_kwargs, key, trust_pickle, where, texts("allow_ops", allow_ops)),
        out=None if out is None else Path(out),
        data=data,
        train_data=train_data,
        heldout=heldout,
        method=method,
        data_free=data_free,
        prior=prior,
        until=until,
        force=force,
        overwrite=overwrite,
        training=fine_tuning or TrainingSettings(batch_size=batch_size, output=output, device=where, seed=seed),
        reading=data_options or DataSettings(),
        sampling=SamplingSettings(batch_size, limit, seed=seed),
        predictions=PredictionSettings(output, metric, task),
        judging=JudgingSettings(fail_on=fail_on),
    )
    return repaired(settings, progress, training_progress)
