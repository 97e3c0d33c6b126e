"""`bncheck inspect`: the main job."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, cast

import typer

from bncheck.cli.commands.merge import keep_part, write_shard
from bncheck.cli.commands.renorm import exit_code_of, renormalized, settled_repair
from bncheck.cli.configuration import configuration_of, say_configuration
from bncheck.cli.destinations import read_destinations, stdout_is_free, write_reports
from bncheck.cli.guard import files_of
from bncheck.cli.importing import start_torch
from bncheck.cli.known import read_known, settle
from bncheck.cli.options import declared as opt
from bncheck.cli.options.arguments import code_of, refuse_typed, refuse_without, say_whose_code_runs
from bncheck.cli.options.trusting import AllowOp, say_what_is_trusted
from bncheck.cli.options.typed import (
    as_typed,
    read_callable,
    read_fill,
    read_floats,
    read_integers,
    read_kwargs,
    read_names,
    read_size,
    split_codes,
)
from bncheck.cli.process import exit_codes, stdout_to_stderr
from bncheck.cli.progress import progress_bar
from bncheck.cli.ranks import job_ranks, own_device, refuse_in_job
from bncheck.cli.showing import OF_REPORT, read_showing
from bncheck.cli.spelling import is_typed
from bncheck.errors import UsageError
from bncheck.results import RepairResult, Report
from bncheck.settings import (
    BATCH_SIZE,
    BATCH_SIZES,
    DEVICE,
    LAYOUTS,
    SAMPLE_MEMORY,
    SEED,
    UNTIL,
    Channels,
    DataSettings,
    Edge,
    InspectionSettings,
    JudgingSettings,
    Layout,
    ModelSettings,
    PredictionSettings,
    Preset,
    SamplingSettings,
)
from bncheck.vocabulary import FailOn, Spelling, argument

_OF_DATA = (
    *(
        "max_gap",
        "limit",
        "until",
        "exhaustive",
        "fast",
        "sync",
        "amp",
        "batch_sizes",
        "label_column",
        "layout",
        "skip_bad_samples",
    ),
    *("input", "label", "fill", "by", "sample_memory", "workers", "shard", "write_moments"),
    *("against", "channels", "mean", "std", "scale", "resize", "crop", "preset", "output", "metric", "task"),
)
"""Options that judge nothing where no data are given."""
_BATCH_SIZES = ",".join(map(str, BATCH_SIZES))


def inspect_command(
    context: typer.Context,
    model: opt.Model,
    data: opt.Data = None,
    train_data: opt.TrainData = None,
    arch: opt.Arch = None,
    arch_kwargs: opt.ArchKwargs = None,
    key: opt.Key = None,
    trust_pickle: opt.TrustPickle = False,
    allow_op: AllowOp = None,
    device: opt.Device = DEVICE,
    amp: opt.Autocast = None,
    reference: opt.Reference = None,
    reference_arch: opt.ReferenceArch = None,
    reference_key: opt.ReferenceKey = None,
    reference_data: opt.ReferenceData = None,
    output: opt.Output = None,
    label_column: opt.LabelColumn = None,
    fill: opt.Fill = None,
    input: opt.Input = None,
    label: opt.Label = None,
    skip_bad_samples: opt.SkipBadSamples = False,
    batch_size: opt.BatchSize = BATCH_SIZE,
    limit: opt.Limit = None,
    until: opt.Until = None,
    by: opt.By = None,
    batch_sizes: opt.BatchSizes = _BATCH_SIZES,
    exhaustive: opt.Exhaustive = False,
    fast: opt.Fast = False,
    sync: opt.Sync = False,
    seed: opt.Seed = SEED,
    shard: opt.Shard = None,
    max_memory: opt.MaxMemory = None,
    sample_memory: opt.SampleMemory = SAMPLE_MEMORY,
    workers: opt.Workers = 0,
    layout: opt.Layout = LAYOUTS[0],
    mean: opt.Mean = None,
    std: opt.Std = None,
    resize: opt.Resize = None,
    crop: opt.Crop = None,
    channels: opt.Channels = None,
    scale: opt.Scale = None,
    preset: opt.Preset = None,
    metric: opt.Metric = None,
    task: opt.Task = None,
    max_gap: opt.MaxGap = None,
    deploy_dtype: opt.DeployDtype = None,
    select: opt.Select = None,
    ignore: opt.Ignore = None,
    fail_on: opt.FailOn = FailOn.WARNING.value,
    strict: opt.Strict = False,
    against: opt.Against = None,
    baseline: opt.BaselineFile = None,
    write_baseline: opt.WriteBaseline = None,
    renorm: opt.Renorm = False,
    steps: opt.Steps = None,
    lr: opt.LearningRate = None,
    out: opt.OutOfRenorm = None,
    report: opt.Reports = None,
    write_moments: opt.WriteMoments = None,
    verbose: opt.Verbose = False,
    all: opt.Every = False,
    sort: opt.Sort = None,
    format: opt.Form = None,
    statistics: opt.Statistics = False,
    quiet: opt.Quiet = False,
    no_config: opt.NoConfig = False,
    debug: opt.Debug = False,
) -> None:
    """Compare the stored statistics of every normalization layer with those of your data.

    Without --data the stored values alone are audited. With --renorm it is a fine-tuned copy that is judged.
    """
    typed = as_typed(locals())
    with exit_codes(debug, context):
        showing = read_showing(context)
        if renorm:
            refuse_typed(context, f"{argument('renorm')} prints before and after: leave it out.", *OF_REPORT)
            refuse_in_job(f"{argument('renorm')}, which trains,")
            if write_moments is not None:
                raise UsageError(
                    f"{argument('write_moments')} keeps what a model shows as it is: leave {argument('renorm')} out."
                )
            shown = {"by": by, "against": against, "reference_data": reference_data, "amp": amp, "sync": sync}
            for name, value in shown.items():
                if value:
                    raise UsageError(
                        f"{argument(name)} is of what a model shows as it is: leave {argument('renorm')} out."
                    )
        else:
            refuse_without(argument("renorm"), steps=steps, lr=lr, out=out)
        destinations = read_destinations(report or [], RepairResult if renorm else Report)
        files = files_of(context, destinations)
        known = read_known(baseline, write_baseline, ignores=configuration_of(context).ignores)
        kwargs = read_kwargs(arch_kwargs)
        chosen = ModelSettings(
            model,
            arch,
            None if reference_arch and not arch else kwargs,
            key,
            trust_pickle,
            device,
            tuple(allow_op or ()),
            amp,
        )
        settings = InspectionSettings(
            model=chosen,
            data=data,
            train_data=train_data,
            reference=chosen.reference(reference, reference_arch, kwargs if reference_arch else None, reference_key),
            reading=DataSettings(
                label_column=label_column,
                fill=read_fill(fill),
                input=read_names(input),
                label=label,
                layout=cast("Layout", layout),
                mean=read_floats(mean, "mean"),
                std=read_floats(std, "std"),
                resize=read_size(resize, "resize"),
                crop=read_size(crop, "crop"),
                channels=cast("Channels | None", channels),
                scale=scale,
                preset=cast("Preset | None", preset),
                skip_bad_samples=skip_bad_samples,
                by=by,
                sample_memory=sample_memory,
                workers=workers,
            ),
            sampling=SamplingSettings(
                batch_size,
                limit,
                until or UNTIL,
                seed,
                read_integers(batch_sizes, "batch_sizes"),
                exhaustive,
                fast,
                sync,
            ),
            judging=JudgingSettings(split_codes(select), split_codes(ignore), max_gap, fail_on, strict, deploy_dtype),
            edge=Edge("bncheck inspect", Spelling.COMMAND_LINE, typed),
            against=against,
            reference_data=reference_data,
        )
        if data is None and reference_data is None:
            _refuse_without_data(context, *_OF_DATA, *(() if renorm else ("batch_size",)))
        if not quiet:
            say_configuration(context)
            architectures = {"--arch": arch, "--reference-arch": reference_arch}
            sources = {"--data": data, "--train-data": train_data, "--reference-data": reference_data}
            say_whose_code_runs({**architectures, **sources, "--metric": metric, "--by": code_of(by)})
            say_what_is_trusted(model, trust_pickle, allow_op)
        repair = None
        with stdout_to_stderr():
            start_torch(quiet or os.environ.get("RANK", "0") != "0")
        kept: list[Any] = []
        with stdout_to_stderr(), job_ranks() as ranks:
            if ranks.count > 1:
                settings = settings.on_device(own_device(device))
            settings = replace(settings, predictions=PredictionSettings(output, read_callable(metric, "metric"), task))
            if shard is not None:
                _refuse_in_job(ranks)
                write_shard(context, settings, shard=shard, out=write_moments, files=files, quiet=quiet)
                raise typer.Exit(0)
            if renorm:
                repair = renormalized(settings, steps=steps, lr=lr, out=out, quiet=quiet)
                result = repair.after or repair.before
            else:
                result = _inspect(settings, quiet or ranks.rank > 0, ranks, kept.append if write_moments else None)
        files.require_free()
        for part in kept:
            keep_part(part, write_moments or "", quiet=quiet)
        result = settle(result, known, quiet=quiet)
        write_reports(result if repair is None else settled_repair(repair, result), destinations)
        if not quiet and stdout_is_free(destinations):
            showing.print(result) if repair is None else showing.print_repair(settled_repair(repair, result))
        raise typer.Exit(result.summary.exit_code if repair is None else exit_code_of(repair, result))


def _refuse_without_data(context: typer.Context, *names: str) -> None:
    """Refuse options that were typed and judge nothing without data; in a configuration file they may stand."""
    for name in names:
        if is_typed(context, name):
            raise UsageError(
                f"{argument(name)} is about what layers see, and no {argument('data')} is given: name that too."
            )


def _refuse_in_job(ranks: Any) -> None:
    """The processes of a job share the data by themselves."""
    if ranks.count > 1:
        raise UsageError(
            f"{argument('shard')}: the processes of this job share the data by themselves; leave it out, and write "
            f"what they see together with {argument('write_moments')}."
        )


def _inspect(settings: InspectionSettings, quiet: bool, ranks: Any, keep: Any) -> Any:
    from bncheck.api import inspected

    with progress_bar(quiet) as progress:
        return inspected(settings, progress, ranks, keep)
