"""Moments as files: what one process sees of its shard of the data is written, to be merged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bncheck.api.asking import plan_of, printed_options, sliced, spelling_arguments
from bncheck.api.assembling import versions_of
from bncheck.api.opening import opened_for
from bncheck.data import DataOptions, Source
from bncheck.errors import UsageError
from bncheck.files import InputFiles, OutputFile, require_free, written_whole
from bncheck.formats import Backend
from bncheck.measure import (
    WHOLE,
    Apart,
    DataIdentity,
    MeasuringOptions,
    Observation,
    Part,
    RememberedModel,
    Seen,
    Shard,
    observe_shard,
    write_part,
)
from bncheck.progress import Progress, no_progress
from bncheck.results import RunCost, encoded
from bncheck.settings import (
    BATCH_SIZE,
    DEVICE,
    SEED,
    UNTIL,
    By,
    Edge,
    InspectionSettings,
    ModelSettings,
    ModelSource,
    PredictionSettings,
    SamplingSettings,
    device_name,
    require_shard,
    texts,
)
from bncheck.vocabulary import argument
from bncheck.watch import CountedSession, Ledger

_OF_FILES = frozenset({"shard", "write_moments", "report", "quiet", "debug", "no_config", "model"})
"""Options that say nothing of what was measured."""


def write_moments(
    model: ModelSource,
    data: Any,
    out: str | Path,
    *,
    shard: tuple[int, int] | None = None,
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
    data_options: DataOptions | None = None,
    exhaustive: bool = False,
    fast: bool = False,
    output: str | None = None,
    task: str | None = None,
    progress: Progress = no_progress,
) -> int:
    """Write what `model`'s layers see of a shard of `data` to a file, for `bncheck.merge`; no sample is in it.

    The data are read in the order that `seed` draws, in portions of up to 512 samples; shard i of k takes the
    portions i, i + k, i + 2k and so on, so that every sample belongs to one shard, and none to two.

    Args:
        model: as for `bncheck.inspect`.
        data: all of them, in every process; a source with random access is read for the shard alone.
        out: the file to write, safetensors.
        shard: (i, k) for shard i of k, from 1; without it all the data are one.
        batch_size: samples in a forward of the stored pass.
        limit: draw this many samples at random, of all the data.
        until: stop reading once the mean of every layer is known so well.
        by: what slices the data; see `bncheck.inspect`.
        seed: of every draw, the same in every process.
        device: where to run the model.
        amp: run it in mixed precision, `float16` or `bfloat16`, by `torch.autocast`.
        arch: what builds the module a state dict belongs to.
        arch_kwargs: keyword arguments for it.
        key: which nested state dict of a checkpoint.
        trust_pickle: unpickle a file that can run code.
        allow_ops: operators that a program may call besides those that compute.
        data_options: preprocessing of images, the label column of tables.
        exhaustive: run every sample by the batch and recalibrated too, and measure large maps whole.
        fast: run every sample as shipped and nothing more.
        output: key or index of the output that is the prediction.
        task: what predictions are judged by; without it outputs and labels tell.
        progress: as for `bncheck.inspect`.

    Returns:
        How many samples the shard has.

    Raises:
        BncheckError: as `bncheck.inspect`.
    """
    path = Path(out)
    settings = InspectionSettings(
        model=ModelSettings(
            model,
            arch,
            arch_kwargs,
            key,
            trust_pickle,
            device_name("device", device),
            texts("allow_ops", allow_ops),
            amp,
        ),
        data=data,
        reading=sliced(data_options, by),
        sampling=SamplingSettings(batch_size, limit, until, seed, exhaustive=exhaustive, fast=fast),
        predictions=PredictionSettings(output, None, task),
        edge=Edge("bncheck.write_moments"),
    )
    inputs = InputFiles.named({"model": model}) + InputFiles.of_data({"data": data})
    require_free((OutputFile(argument("out"), path),), inputs)
    part = part_of_shard(settings, shard, progress)
    with written_whole(path) as temporary:
        write_part(part, temporary)
    return part.seen.samples


def part_of_shard(
    settings: InspectionSettings, shard: tuple[int, int] | None, progress: Progress = no_progress
) -> Part:
    """What one process sees of its shard of the data; nothing is judged.

    Args:
        settings: of the inspection.
        shard: (i, k), from 1; without it all the data.
        progress: told how far it is.

    Raises:
        BncheckError: as `inspect`.
    """
    require_keepable(settings)
    if settings.sampling.sync:
        raise UsageError(
            f"{argument('sync')} is of processes that meet at every layer, and those of shards never do: leave it out."
        )
    index, count = (1, 1) if shard is None else require_shard("shard", shard)
    own = Shard(index - 1, count, apart=True)
    progress = spelling_arguments(progress, settings.edge.spelling)
    found = opened_for(settings)
    opened, source, settings = found.model, found.source, found.settings
    if source is None:
        raise UsageError(opened.refusal or f"{argument('shard')} is of {argument('data')}: name them.")
    plan, ledger = replace(plan_of(settings), ranks=Apart(own)), Ledger()
    with opened.session(source.name, plan.seed) as watched:
        seen = observe_shard(CountedSession(watched, ledger), source, plan, progress, ledger)
    return part_of(opened, source, settings, seen, ledger.total(), own)


def keeper(
    opened: Backend, source: Source, settings: InspectionSettings, keep: Callable[[Part], None]
) -> Callable[[Observation, RunCost], None]:
    """Keeps what was seen of all the data, as a part that is the whole."""
    return lambda seen, cost: keep(part_of(opened, source, settings, seen, cost, WHOLE))


def part_of(
    opened: Backend, source: Source, settings: InspectionSettings, seen: Observation, cost: RunCost, shard: Shard
) -> Part:
    """What was seen, with all that says what it may be put together with."""
    typed = {name: value for name, value in printed_options(settings).items() if name not in _OF_FILES}
    return Part(
        shard=shard,
        model=RememberedModel.of(opened),
        data=DataIdentity.of(source, settings.sampling.seed),
        options=MeasuringOptions.of(settings),
        typed=encoded(typed),
        seen=Seen.of(seen, source, shard),
        cost=cost,
        versions=versions_of(opened),
    )


def require_keepable(settings: InspectionSettings) -> None:
    """Refuse what cannot be kept in a file, or asked of one shard.

    Raises:
        UsageError: there is a metric of the user's, or training data.
    """
    if settings.predictions.metric is not None:
        raise UsageError(
            f"{argument('metric')} judges the outputs of all samples at once, and {argument('write_moments')} keeps no "
            f"output: leave it out, or choose a {argument('task')}, whose scores add up."
        )
