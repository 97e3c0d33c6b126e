"""`bncheck repair`: new statistics, written into a file like the original, and proved."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bncheck.cli.configuration import say_configuration
from bncheck.cli.destinations import STDOUT, read_destinations, write_reports
from bncheck.cli.guard import files_of
from bncheck.cli.options import declared as opt
from bncheck.cli.options import tuning
from bncheck.cli.options.arguments import data_settings, open_options, read_kwargs, say_whose_code_runs
from bncheck.cli.options.completing import words
from bncheck.cli.options.trusting import AllowOp, TrustPickle, say_what_is_trusted
from bncheck.cli.process import exit_codes, say, stdout_to_stderr
from bncheck.cli.progress import progress_bar, training_told
from bncheck.results.repair import RepairResult

REPAIR = "The repair"

Out = Annotated[
    str,
    typer.Option(
        metavar="FILE",
        help="The file to write; for a sharded model its index, or the folder for both. Never the input.",
        rich_help_panel=REPAIR,
    ),
]
Method = Annotated[
    str,
    typer.Option(
        metavar="recalibrate|blend|renorm",
        autocompletion=words("recalibrate|blend|renorm"),
        help=(
            "recalibrate: the statistics of the data; blend: mixed with the stored ones (Schneider et al. 2020); "
            "renorm: fine-tune with Batch Renormalization."
        ),
        rich_help_panel=REPAIR,
    ),
]
RepairData = Annotated[
    str,
    typer.Option(
        metavar="D",
        help="What to repair from, like the training data if possible; see inspect.",
        rich_help_panel="The data",
    ),
]
HeldOut = Annotated[
    str | None,
    typer.Option(
        "--heldout",
        metavar="D",
        help="What to judge on. Without it each half of --data judges what the other gave; renorm: see --train-data.",
        rich_help_panel="The data",
    ),
]
Prior = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        help="blend: what the stored statistics are worth, in samples; without it the labels choose.",
        rich_help_panel=REPAIR,
    ),
]
Until = Annotated[
    float,
    typer.Option(
        metavar="X",
        help="Stop reading once every layer's mean is known to X standard deviations; 0 reads all.",
        rich_help_panel=REPAIR,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Write although the result is measured to be worse, or the samples are too few.",
        rich_help_panel=REPAIR,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write over an existing --out.", rich_help_panel=REPAIR)]


def repair_command(
    context: typer.Context,
    model: opt.Model,
    data: RepairData,
    out: Out,
    method: Method = "recalibrate",
    train_data: tuning.TrainData = None,
    heldout: HeldOut = None,
    prior: Prior = None,
    until: Until = 0.01,
    force: Force = False,
    overwrite: Overwrite = False,
    steps: tuning.Steps = None,
    epochs: tuning.Epochs = None,
    lr: tuning.LearningRate = None,
    optimizer: tuning.Optimizer = None,
    loss: tuning.Loss = None,
    train: tuning.Train = None,
    amp: tuning.Amp = False,
    resume: tuning.Resume = None,
    patience: tuning.Patience = None,
    arch: opt.Arch = None,
    arch_kwargs: opt.ArchKwargs = None,
    key: opt.Key = None,
    trust_pickle: TrustPickle = False,
    allow_op: AllowOp = None,
    device: opt.Device = "cpu",
    output: opt.Output = None,
    label_column: opt.LabelColumn = None,
    batch_size: opt.BatchSize = 64,
    limit: opt.Limit = None,
    seed: opt.Seed = 0,
    layout: opt.Layout = "auto",
    mean: opt.Mean = None,
    std: opt.Std = None,
    resize: opt.Resize = None,
    crop: opt.Crop = None,
    channels: opt.Channels = None,
    scale: opt.Scale = None,
    preset: opt.Preset = None,
    metric: opt.Metric = None,
    fail_on: opt.FailOn = "warning",
    report: opt.Reports = None,
    quiet: opt.Quiet = False,
    no_config: opt.NoConfig = False,
    debug: opt.Debug = False,
) -> None:
    """Write the model again with statistics that fit your data, if that is measured to be no worse.

    The file keeps its format and everything else that is in it; MODEL is never touched. Reports (--report) are on the
    repaired file, and tell what the repair did and is worth.
    """
    given = {name: value for name, value in locals().items() if value is not None and value is not False}
    del given["context"]
    with exit_codes(debug):
        destinations = read_destinations(report or [], RepairResult)
        files = files_of(context, destinations)
        training: dict[str, Any] = {
            "steps": steps,
            "epochs": epochs,
            "lr": lr,
            "optimizer": optimizer,
            "loss": loss,
            "train": train,
            "amp": amp,
            "resume": resume,
            "patience": patience,
        }
        if method != "renorm":
            tuning.refuse_without_renorm("--method renorm", {**training, "train_data": train_data})
        settings: dict[str, Any] = {
            "out": out,
            "method": method,
            "train_data": train_data,
            "heldout": heldout,
            "prior": prior,
            "until": until,
            "force": force,
            "overwrite": overwrite,
            "arch": arch,
            "arch_kwargs": read_kwargs(arch_kwargs),
            "key": key,
            "trust_pickle": trust_pickle,
            "allow_ops": allow_op or (),
            "device": device,
            "output": output,
            "batch_size": batch_size,
            "limit": limit,
            "seed": seed,
            "fail_on": fail_on,
        }
        preprocessing = data_settings(
            label_column=label_column,
            layout=layout,
            mean=mean,
            std=std,
            resize=resize,
            crop=crop,
            channels=channels,
            scale=scale,
            preset=preset,
        )
        if not quiet:
            say_configuration(context)
            sources = {"--data": data, "--train-data": train_data, "--heldout": heldout}
            say_whose_code_runs({"--arch": arch, **sources, "--metric": metric, "--loss": loss})
            say_what_is_trusted(model, trust_pickle, allow_op)
        with stdout_to_stderr(), tuning.kept_when_interrupted(resume):
            result = _repair(model, data, settings, training, preprocessing, metric, given, quiet)
        files.require_free()
        write_reports(result, destinations)
        if not quiet and all(destination.path != STDOUT for destination in destinations):
            print_result(result)
        elif result.refused:
            why = "there are too few samples" if result.exit_code == 4 else "the repaired model is measured to be worse"
            say(f"bncheck: not written: {out}: {why}; --force writes it.")
        raise typer.Exit(result.exit_code)


def _repair(
    model: str,
    data: str,
    settings: dict[str, Any],
    training: dict[str, Any],
    preprocessing: dict[str, Any],
    metric: str | None,
    given: dict[str, Any],
    quiet: bool,
) -> Any:
    from bncheck.api.repairing import repair_file
    from bncheck.user_code import import_callable

    settings["data_options"] = open_options(preprocessing)
    settings["metric"] = import_callable(metric, "--metric") if metric else None
    shared = {name: settings[name] for name in ("batch_size", "device", "output", "seed")}
    settings["fine_tuning"] = tuning.fine_tune_options(training | shared)
    with progress_bar(quiet) as progress:
        settings["training_progress"] = training_told(progress, quiet)
        return repair_file(model, data, command="bncheck repair", options=given, progress=progress, **settings)


def print_result(result: Any) -> None:
    """Before and after, on stdout."""
    from rich.console import Console

    from bncheck.render.terminal.repair_table import print_repair

    print_repair(result, Console())
