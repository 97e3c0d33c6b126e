"""`bncheck repair`: new statistics, written into a file like the original, and proved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import typer

from bncheck.cli.configuration import say_configuration
from bncheck.cli.destinations import read_destinations, stdout_is_free, write_reports
from bncheck.cli.guard import files_of
from bncheck.cli.importing import start_torch
from bncheck.cli.options import declared as opt
from bncheck.cli.options import tuning
from bncheck.cli.options.arguments import refuse_without, say_whose_code_runs
from bncheck.cli.options.trusting import AllowOp, say_what_is_trusted
from bncheck.cli.options.typed import (
    as_typed,
    read_callable,
    read_fill,
    read_floats,
    read_kwargs,
    read_names,
    read_size,
)
from bncheck.cli.process import exit_codes, say, stdout_to_stderr
from bncheck.cli.progress import progress_bar, training_told
from bncheck.cli.ranks import refuse_in_job
from bncheck.cli.showing import read_showing
from bncheck.errors import UsageError
from bncheck.results import RepairResult
from bncheck.settings import (
    BATCH_SIZE,
    DEVICE,
    LAYOUTS,
    METHOD,
    OPTIMIZER,
    SAMPLE_MEMORY,
    SEED,
    TRAIN,
    UNTIL_OF_REPAIR,
    Channels,
    DataSettings,
    Edge,
    JudgingSettings,
    Layout,
    ModelSettings,
    PredictionSettings,
    Preset,
    RepairSettings,
    SamplingSettings,
    TrainingSettings,
)
from bncheck.vocabulary import FailOn, Spelling, argument


def repair_command(
    context: typer.Context,
    model: opt.Model,
    out: opt.OutOfRepair,
    data: opt.RepairedFrom = None,
    method: opt.Method = METHOD,
    data_free: opt.DataFree = False,
    train_data: opt.TrainedOn = None,
    heldout: opt.HeldOut = None,
    prior: opt.Prior = None,
    until: opt.UntilOfRepair = UNTIL_OF_REPAIR,
    force: opt.Force = False,
    overwrite: opt.Overwrite = False,
    steps: opt.Steps = None,
    epochs: opt.Epochs = None,
    lr: opt.LearningRate = None,
    optimizer: opt.Optimizer = None,
    loss: opt.Loss = None,
    train: opt.Train = None,
    amp: opt.Amp = False,
    resume: opt.Resume = None,
    patience: opt.Patience = None,
    arch: opt.Arch = None,
    arch_kwargs: opt.ArchKwargs = None,
    key: opt.Key = None,
    trust_pickle: opt.TrustPickle = False,
    allow_op: AllowOp = None,
    device: opt.Device = DEVICE,
    output: opt.Output = None,
    label_column: opt.LabelColumn = None,
    fill: opt.Fill = None,
    input: opt.Input = None,
    label: opt.Label = None,
    skip_bad_samples: opt.SkipBadSamples = False,
    batch_size: opt.BatchSize = BATCH_SIZE,
    limit: opt.Limit = None,
    seed: opt.Seed = SEED,
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
    fail_on: opt.FailOn = FailOn.WARNING.value,
    report: opt.Reports = None,
    verbose: opt.Verbose = False,
    all: opt.Every = False,
    sort: opt.Sort = None,
    quiet: opt.Quiet = False,
    no_config: opt.NoConfig = False,
    debug: opt.Debug = False,
) -> None:
    """Write the model again with statistics that fit your data, if that is measured to be no worse.

    The file keeps its format and everything else that is in it; MODEL is never touched. Reports (--report) are those
    on the repaired file.
    """
    typed = as_typed(locals())
    with exit_codes(debug, context):
        refuse_in_job("bncheck repair")
        showing = read_showing(context)
        destinations = read_destinations(report or [], RepairResult)
        files = files_of(context, destinations)
        if data is None and not data_free:
            raise UsageError("Missing option '--data': what to repair from, like the training data if possible.")
        if method != "renorm":
            refuse_without(
                f"{argument('method', 'renorm')}",
                steps=steps,
                epochs=epochs,
                lr=lr,
                optimizer=optimizer,
                loss=loss,
                train=train,
                amp=amp,
                resume=resume,
                patience=patience,
                train_data=train_data,
            )
        settings = RepairSettings(
            model=ModelSettings(
                model, arch, read_kwargs(arch_kwargs), key, trust_pickle, device, tuple(allow_op or ())
            ),
            out=Path(out),
            data=data,
            train_data=train_data,
            heldout=heldout,
            method=method,
            data_free=data_free,
            prior=prior,
            until=until,
            force=force,
            overwrite=overwrite,
            training=TrainingSettings(
                steps=steps,
                epochs=epochs,
                batch_size=batch_size,
                optimizer=optimizer or OPTIMIZER,
                lr=lr,
                output=output,
                train=train or TRAIN,
                precision=tuning.precision_of(device, mixed=amp),
                device=device,
                seed=seed,
                patience=patience,
                checkpoint=Path(resume) if resume else None,
            ),
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
                sample_memory=sample_memory,
                workers=workers,
            ),
            sampling=SamplingSettings(batch_size, limit, seed=seed),
            judging=JudgingSettings(fail_on=fail_on),
            edge=Edge("bncheck repair", Spelling.COMMAND_LINE, typed),
        )
        if not quiet:
            say_configuration(context)
            sources = {"--data": data, "--train-data": train_data, "--heldout": heldout}
            say_whose_code_runs({"--arch": arch, **sources, "--metric": metric, "--loss": loss})
            say_what_is_trusted(model, trust_pickle, allow_op)
        with stdout_to_stderr(), tuning.kept_when_interrupted(resume):
            settings = replace(
                settings,
                predictions=PredictionSettings(output, read_callable(metric, "metric"), task),
                training=replace(settings.training, loss=tuning.read_loss(loss)),
            )
            result = _repair(settings, quiet)
        files.require_free()
        write_reports(result, destinations)
        if not quiet and stdout_is_free(destinations):
            showing.print_repair(result)
        elif result.refused:
            worse = "the repaired model is measured to be worse" if result.differs else "it is not known to be no worse"
            why = "there are too few samples" if result.exit_code == 4 else worse
            say(f"bncheck: not written: {out}: {why}; --force writes it.")
        raise typer.Exit(result.exit_code)


def _repair(settings: RepairSettings, quiet: bool) -> Any:
    start_torch(quiet)
    from bncheck.api import repaired

    with progress_bar(quiet) as progress:
        return repaired(settings, progress, training_told(progress, quiet))
