"""The main job: a model and data in, a report out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bncheck.api.asking import plan_of, request_of, sliced, spelling_arguments
from bncheck.api.opening import by_reference_data, opened_for
from bncheck.api.reporting.running import FINDINGS, report_on
from bncheck.data import DataOptions
from bncheck.measure import ALONE, RankIsDone, Ranks
from bncheck.progress import Progress, begin, foresee, no_progress
from bncheck.results import Report
from bncheck.settings import (
    BATCH_SIZE,
    BATCH_SIZES,
    DEVICE,
    SEED,
    UNTIL,
    By,
    InspectionSettings,
    JudgingSettings,
    Metric,
    ModelSettings,
    ModelSource,
    PredictionSettings,
    SamplingSettings,
    device_name,
    texts,
)
from bncheck.vocabulary import FailOn

if TYPE_CHECKING:
    from bncheck.measure import Part

OPENING = "opening the model and the data"
"""The stage before passes and questions."""


def inspect(
    model: ModelSource,
    data: Any = None,
    *,
    train_data: Any = None,
    batch_size: int = BATCH_SIZE,
    limit: int | None = None,
    until: float = UNTIL,
    by: By | None = None,
    seed: int = SEED,
    device: str = DEVICE,
    amp: str | None = None,
    arch: str | Callable[..., Any] | None = None,
    arch_kwargs: Mapping[str, Any] | None = None,
    key: str | None = None,
    trust_pickle: bool = False,
    allow_ops: Collection[str] = (),
    reference: ModelSource | None = None,
    reference_arch: str | Callable[..., Any] | None = None,
    reference_arch_kwargs: Mapping[str, Any] | None = None,
    reference_key: str | None = None,
    reference_data: Any = None,
    against: str | Path | None = None,
    data_options: DataOptions | None = None,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    exhaustive: bool = False,
    fast: bool = False,
    output: str | None = None,
    metric: Metric | None = None,
    task: str | None = None,
    max_gap: float | None = None,
    deploy_dtype: str | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    fail_on: str = FailOn.WARNING.value,
    strict: bool = False,
    progress: Progress = no_progress,
) -> Report:
    """Whether the statistics in `model`'s normalization layers describe `data`, layer by layer.

    The model is never modified: bncheck works on its own copy, in eval mode.

    Args:
        model: a path, or an `nn.Module` (also scripted, traced, compiled) or exported program.
        data: a path, an array (N, C, ...), a pair (x, y), a dict of named arrays, or an iterable of batches
            that can be read again (a one-shot iterator is kept in memory). Without data the stored values
            alone are audited.
        train_data: the training sampling, in any form that `data` can have, best the training's own loader: it is
            read in its own order and batches, and tells stale statistics from another domain.
        batch_size: samples in a forward of the stored pass.
        limit: draw this many samples at random.
        until: stop reading once every layer's mean is known so well, in standard deviations; 0 reads everything.
        by: what slices the data, for `report.slices`: a column, a key, `"label"`, or a function that is given
            `(inputs, labels)`, or the batch where it takes one argument, and gives a name for each sample.
        seed: of every draw.
        device: where to run the model.
        amp: run it in mixed precision, `float16` or `bfloat16`, by `torch.autocast`.
        arch: what builds the module a state dict belongs to: `FILE.py:CALLABLE`, `package.module:CALLABLE`,
            or the callable itself.
        arch_kwargs: keyword arguments for it.
        key: which nested state dict of a checkpoint.
        trust_pickle: unpickle a file that can run code.
        allow_ops: operators, `NAMESPACE::NAME`, that a program may call besides those that compute.
        reference: the model from before the export: folded layers are measured through it, all are compared with it.
        reference_arch: as `arch`, for a reference that is a state dict; without it only values are compared.
        reference_arch_kwargs: as `arch_kwargs`, for `reference_arch`.
        reference_key: as `key`, for the reference.
        reference_data: good data, for an export without normalization layers: what its convolutions give on them
            stands in for stored statistics. Without `data` they are inspected themselves.
        against: a file that `write_moments`, or `inspect --write-moments`, wrote on other data of the same model:
            `report.drift` has how far each layer's input has moved since (BN614).
        data_options: preprocessing of images, the label column of tables.
        batch_sizes: of the what-if table.
        exhaustive: run every sample by the batch and recalibrated too, however early it is known what that shows, and
            measure large maps whole.
        fast: run every sample as shipped and nothing more: gaps, the score as shipped and what the file shows.
        output: key or index of the output that is the prediction.
        metric: `metric(outputs, labels) -> number` instead of the task's own score; larger is better, unless it has an
            attribute `larger_is_better` that is false.
        task: what predictions are judged by: `classes`, `positions`, `yes-no`, `numbers`, `embeddings`, or `none`;
            without it outputs and labels tell.
        max_gap: a layer above it is finding BN600.
        deploy_dtype: judge the stored values for this precision, `float16` or `bfloat16` (BN204).
        select: only these rules, codes or prefixes.
        ignore: not these rules.
        fail_on: severity from which the exit code is 1: `error`, `warning` or `never`.
        strict: exit code 4 if any layer was skipped or any sample left out.
        progress: called with what is being done, how many samples are done, and of how many (`None`: unknown); with
            what is to be said at once, and 0.

    Raises:
        UsageError: an option is wrong, or data are given for a model that cannot be run.
        ModelError: the model cannot be read.
        DataError: the data cannot be read, or do not fit the model.
    """
    chosen = ModelSettings(
        model, arch, arch_kwargs, key, trust_pickle, device_name("device", device), texts("allow_ops", allow_ops), amp
    )
    settings = InspectionSettings(
        model=chosen,
        data=data,
        train_data=train_data,
        reference=chosen.reference(reference, reference_arch, reference_arch_kwargs, reference_key),
        reading=sliced(data_options, by),
        sampling=SamplingSettings(batch_size, limit, until, seed, tuple(batch_sizes), exhaustive, fast),
        predictions=PredictionSettings(output, metric, task),
        judging=JudgingSettings(
            texts("select", select), texts("ignore", ignore), max_gap, fail_on, strict, deploy_dtype
        ),
        against=against,
        reference_data=reference_data,
    )
    return inspected(settings, progress)


def inspected(
    settings: InspectionSettings,
    progress: Progress = no_progress,
    ranks: Ranks = ALONE,
    keep: Callable[[Part], None] | None = None,
) -> Report:
    """The report that settings ask for; see `inspect`.

    Args:
        settings: what is asked.
        progress: told how far it is.
        ranks: the processes that share the passes over the data; the first judges.
        keep: called with what was seen of all the data, to be written to a file.

    Raises:
        BncheckError: as `inspect`.
        RankIsDone: this process is another than the first.
    """
    if keep is not None:
        from bncheck.api.parts import require_keepable

        require_keepable(settings)
    ranks = ranks.in_step() if settings.sampling.sync else ranks
    progress = spelling_arguments(progress, settings.edge.spelling)
    stages = [] if settings.data is None else plan_of(settings).stages(training=settings.train_data is not None)
    foresee(progress, [OPENING, *stages, FINDINGS], more=settings.data is not None)
    begin(progress, OPENING)
    found = ranks.agreed(lambda: opened_for(settings))
    source, reference, training, settings = found.source, found.reference, found.training, found.settings
    opened = ranks.agreed(lambda: by_reference_data(found, plan_of(settings), progress))
    how = request_of(
        settings,
        reference=None if reference is None else reference.path,
        training=None if training is None else training.name,
    )
    if settings.against is not None:
        from bncheck.measure import earlier_run

        how = replace(how, earlier=ranks.agreed(lambda: earlier_run(str(settings.against), settings, opened)))
    if source is None and ranks.rank:
        raise RankIsDone
    if keep is not None and source is not None:
        from bncheck.api.parts import keeper

        how = replace(how, keep=keeper(opened, source, settings, keep))
    return report_on(
        opened,
        source,
        replace(plan_of(settings), ranks=ranks),
        how,
        progress,
        not_run=opened.refusal if settings.data is not None else None,
        reference=reference,
        training=training,
    )
