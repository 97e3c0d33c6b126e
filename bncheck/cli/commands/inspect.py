"""`bncheck inspect`: the main job."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bncheck.cli.commands.renorm import exit_code_of, print_renormalized, renormalized, settled_repair
from bncheck.cli.configuration import configuration_of, say_configuration
from bncheck.cli.destinations import STDOUT, read_destinations, write_reports
from bncheck.cli.guard import files_of
from bncheck.cli.known import read_known, settle
from bncheck.cli.options import declared as opt
from bncheck.cli.options import tuning
from bncheck.cli.options.arguments import data_settings, open_options, read_kwargs, say_whose_code_runs
from bncheck.cli.options.trusting import AllowOp, TrustPickle, say_what_is_trusted
from bncheck.cli.options.typed import read_integers, split_codes
from bncheck.cli.process import exit_codes, stdout_to_stderr
from bncheck.cli.progress import progress_bar
from bncheck.errors import UsageError

BATCH_SIZES = "1,2,4,8,16,32,64,128,256"
Until = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        help="Stop reading once every layer's mean is known to X standard deviations.",
        rich_help_panel=opt.DATA,
    ),
]


def inspect_command(
    context: typer.Context,
    model: opt.Model,
    data: opt.Data = None,
    train_data: opt.TrainData = None,
    arch: opt.Arch = None,
    arch_kwargs: opt.ArchKwargs = None,
    key: opt.Key = None,
    trust_pickle: TrustPickle = False,
    allow_op: AllowOp = None,
    device: opt.Device = "cpu",
    reference: opt.Reference = None,
    reference_arch: opt.ReferenceArch = None,
    reference_key: opt.ReferenceKey = None,
    output: opt.Output = None,
    label_column: opt.LabelColumn = None,
    batch_size: opt.BatchSize = 64,
    limit: opt.Limit = None,
    until: Until = None,
    batch_sizes: opt.BatchSizes = BATCH_SIZES,
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
    max_gap: opt.MaxGap = None,
    deploy_dtype: opt.DeployDtype = None,
    select: opt.Select = None,
    ignore: opt.Ignore = None,
    fail_on: opt.FailOn = "warning",
    strict: opt.Strict = False,
    baseline: opt.BaselineFile = None,
    write_baseline: opt.WriteBaseline = None,
    renorm: tuning.Renorm = False,
    steps: tuning.Steps = None,
    lr: tuning.LearningRate = None,
    out: tuning.RenormOut = None,
    report: opt.Reports = None,
    quiet: opt.Quiet = False,
    no_config: opt.NoConfig = False,
    debug: opt.Debug = False,
) -> None:
    """Compare the stored statistics of every normalization layer with those of your data.

    Without --data the stored values alone are audited. With --renorm it is a fine-tuned copy that is judged.
    """
    given = {name: value for name, value in locals().items() if value is not None and value is not False}
    del given["context"]
    with exit_codes(debug):
        training = {"steps": steps, "lr": lr, "out": out}
        if not renorm:
            tuning.refuse_without_renorm("--renorm", training)
        if data is None:
            _refuse_without_data(context, "max_gap", "limit", "until")
        destinations = read_destinations(report or [])
        files = files_of(context, destinations)
        known = read_known(baseline, write_baseline, ignores=configuration_of(context).ignores)
        settings: dict[str, Any] = {
            "train_data": train_data,
            "arch": arch,
            "arch_kwargs": None if reference_arch and not arch else read_kwargs(arch_kwargs),
            "key": key,
            "trust_pickle": trust_pickle,
            "allow_ops": allow_op or (),
            "device": device,
            "reference": reference,
            "reference_arch": reference_arch,
            "reference_arch_kwargs": read_kwargs(arch_kwargs) if reference_arch else None,
            "reference_key": reference_key,
            "output": output,
            "batch_size": batch_size,
            "limit": limit,
            "until": until or 0.0,
            "batch_sizes": read_integers(batch_sizes, "--batch-sizes"),
            "seed": seed,
            "max_gap": max_gap,
            "deploy_dtype": deploy_dtype,
            "select": split_codes(select),
            "ignore": split_codes(ignore),
            "fail_on": fail_on,
            "strict": strict,
        }
        image_options = data_settings(
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
            architectures = {"--arch": arch, "--reference-arch": reference_arch}
            sources = {"--data": data, "--train-data": train_data}
            say_whose_code_runs({**architectures, **sources, "--metric": metric})
            say_what_is_trusted(model, trust_pickle, allow_op)
        repair = None
        with stdout_to_stderr():
            if renorm:
                repair = renormalized(model, data, settings, training, image_options, metric, given, quiet)
                result = repair.after or repair.before
            else:
                result = _inspect(model, data, settings, image_options, metric, given, quiet)
        files.require_free()
        result = settle(result, known, quiet=quiet)
        write_reports(result if repair is None else settled_repair(repair, result), destinations)
        if not quiet and all(destination.path != STDOUT for destination in destinations):
            _print(result) if repair is None else print_renormalized(repair, result)
        raise typer.Exit(result.summary.exit_code if repair is None else exit_code_of(repair, result))


def _refuse_without_data(context: typer.Context, *names: str) -> None:
    """Refuse options that were typed and judge nothing without data; in a configuration file they may stand."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is about what layers see, and no --data is given: name that too.")


def _inspect(
    model: str,
    data: str | None,
    settings: dict[str, Any],
    data_options: dict[str, Any],
    metric: str | None,
    given: dict[str, Any],
    quiet: bool,
) -> Any:
    from bncheck.api.inspecting import inspect
    from bncheck.user_code import import_callable

    settings["data_options"] = open_options(data_options)
    settings["metric"] = import_callable(metric, "--metric") if metric else None
    with progress_bar(quiet) as progress:
        return inspect(model, data, command="bncheck inspect", options=given, progress=progress, **settings)


def _print(report: Any) -> None:
    from rich.console import Console

    from bncheck.render.terminal.report import print_report

    print_report(report, Console())
