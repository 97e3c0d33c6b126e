"""The main job: a model and data in, a report out."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from bncheck import __version__
from bncheck.api.assembling import assemble
from bncheck.api.judging import BATCH_SIZES, Judging, check_options, chosen_codes
from bncheck.core.thresholds import in_force
from bncheck.data import DataOptions, Source, open_data, require_named
from bncheck.errors import UsageError
from bncheck.formats import Model, open_any
from bncheck.formats.folding.referencing import reference_of, with_reference
from bncheck.formats.opening import require_runnable
from bncheck.formats.programs.running import Progress, no_progress
from bncheck.measure.agreement import compare_outputs
from bncheck.measure.collect import measured_evidence, static_evidence
from bncheck.measure.passes import Plan, observe
from bncheck.measure.training import observe_training
from bncheck.predictions.effect import Metric
from bncheck.probes.closer import look_closer
from bncheck.results.report import Report, Run
from bncheck.rules import judge


def inspect(
    model: str | Path | torch.nn.Module | torch.export.ExportedProgram,
    data: Any = None,
    *,
    train_data: Any = None,
    batch_size: int = 64,
    limit: int | None = None,
    until: float = 0.0,
    seed: int = 0,
    device: str = "cpu",
    arch: str | Callable[..., Any] | None = None,
    arch_kwargs: Mapping[str, Any] | None = None,
    key: str | None = None,
    trust_pickle: bool = False,
    reference: str | Path | torch.nn.Module | torch.export.ExportedProgram | None = None,
    reference_arch: str | Callable[..., Any] | None = None,
    reference_arch_kwargs: Mapping[str, Any] | None = None,
    reference_key: str | None = None,
    data_options: DataOptions | None = None,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    output: str | None = None,
    metric: Metric | None = None,
    max_gap: float | None = None,
    deploy_dtype: str | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    fail_on: str = "warning",
    strict: bool = False,
    command: str = "bncheck.inspect",
    options: Mapping[str, Any] | None = None,
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
        until: stop reading once the mean of every layer is known so well, in standard deviations; 0 reads everything.
        seed: of every draw.
        device: where to run the model.
        arch: what builds the module a state dict belongs to: `FILE.py:CALLABLE`, `package.module:CALLABLE`,
            or the callable itself.
        arch_kwargs: keyword arguments for it.
        key: which nested state dict of a checkpoint.
        trust_pickle: unpickle a file that can run code.
        reference: the model from before the export, path or module: layers that were folded away are
            measured through it, and all are compared with it.
        reference_arch: as `arch`, for a reference that is a state dict; without it only values are compared.
        reference_arch_kwargs: as `arch_kwargs`, for `reference_arch`.
        reference_key: as `key`, for the reference.
        data_options: preprocessing of images, the label column of tables.
        batch_sizes: of the what-if table.
        output: key or index of the output that is the prediction.
        metric: `metric(outputs, labels) -> number` instead of top-1 accuracy; larger is better.
        max_gap: a layer above it is finding BN600.
        deploy_dtype: judge the stored values for this precision, `float16` or `bfloat16` (BN204).
        select: only these rules, codes or prefixes.
        ignore: not these rules.
        fail_on: severity from which the exit code is 1: `error`, `warning` or `never`.
        strict: exit code 4 if any layer was skipped or any sample left out.
        command: how the report says it was made.
        options: what the user set, as the report prints it; by default these arguments.
        progress: told how far the passes are.

    Raises:
        UsageError: an option is wrong, or data are given for a model that cannot be run.
        ModelError: the model cannot be read.
        DataError: the data cannot be read, or do not fit the model.
    """
    check_options(batch_size, limit, batch_sizes, fail_on, deploy_dtype, until=until, seed=seed, max_gap=max_gap)
    if data is not None:
        require_named(data)
    _check_train_data(train_data, data)
    chosen = chosen_codes(select, ignore)
    opened = open_any(model, arch=arch, arch_kwargs=arch_kwargs, key=key, trust_pickle=trust_pickle, device=device)
    before = None
    if reference is not None:
        before = open_any(
            reference,
            arch=reference_arch,
            arch_kwargs=reference_arch_kwargs,
            key=reference_key,
            trust_pickle=trust_pickle,
            device=device,
        )
    elif reference_arch is not None or reference_key is not None:
        raise UsageError("--reference-arch and --reference-key say how to read a --reference, and none is given.")
    opened = _beside(opened, before)
    source = sampling = None
    if data is not None and opened.refusal is None:
        require_runnable(opened)
        source = open_data(data, data_options or DataOptions())
        if train_data is not None:
            sampling = open_data(train_data, data_options or DataOptions(), "--train-data")
    if options is None:
        options = {
            "data": _named(data),
            "train_data": None if sampling is None else sampling.name,
            "batch_size": batch_size,
            "limit": limit,
            "until": until or None,
            "device": device,
            "key": key,
            "arch": arch if isinstance(arch, str) else getattr(arch, "__qualname__", None),
            "reference": None if before is None else before.path,
            "batch_sizes": list(batch_sizes),
            "output": output,
            "metric": getattr(metric, "__qualname__", None),
            "max_gap": max_gap,
            "deploy_dtype": deploy_dtype,
            "select": list(select),
            "ignore": list(ignore),
            "fail_on": fail_on,
            "strict": strict,
        }
    how = Judging(tuple(batch_sizes), max_gap, chosen, fail_on, strict, deploy_dtype, command, options)
    not_run = opened.refusal if data is not None else None
    normalization = (data_options or DataOptions()).normalization
    plan = Plan(batch_size, limit, seed, output, metric, normalization, until=until)
    return report_on(opened, source, plan, how, progress, not_run=not_run, reference=before, training=sampling)


def report_on(
    opened: Model,
    source: Source | None,
    plan: Plan,
    how: Judging,
    progress: Progress,
    *,
    not_run: str | None = None,
    reference: Model | None = None,
    training: Source | None = None,
) -> Report:
    """The report on a model and data that are open already.

    Args:
        opened: the model.
        source: the data; `None` to audit the file alone.
        plan: how the data are read.
        how: what is judged.
        progress: told how far the passes are.
        not_run: why the model cannot be run on the data that were given.
        reference: whose outputs are to be compared with the model's.
        training: the training sampling, to tell stale statistics from other data.

    Raises:
        DataError: the data cannot be read, or do not fit the model.
    """
    if source is None:
        evidence = static_evidence(opened, how.max_gap, not_run=not_run)
    else:
        seen = observe(opened, source, plan, progress, training)
        evidence = measured_evidence(
            opened,
            seen,
            plan,
            source_name=source.name,
            sizes=how.batch_sizes,
            max_gap=how.max_gap,
            training=None if training is None else observe_training(opened, training, plan, progress),
        )
        evidence = replace(evidence, closer=look_closer(opened, source, seen, evidence, plan, progress))
        if reference is not None:
            agreement, note = compare_outputs(opened, reference, source, plan)
            evidence = replace(evidence, agreement=agreement, notes=(*evidence.notes, note))
    evidence = replace(evidence, deploy_dtype=how.deploy_dtype, training_planned=training is not None)
    given = {name: value for name, value in how.options.items() if value is not None and value != []}
    run = Run(how.command, given, plan.seed, _versions(opened), in_force(), evidence.notes)
    findings = judge(evidence, how.codes)
    return assemble(opened, evidence, findings, run, fail_on=how.fail_on, strict=how.strict)


def _check_train_data(train_data: Any, data: Any) -> None:
    if train_data is None:
        return
    require_named(train_data, "--train-data")
    if data is None:
        raise UsageError(
            "--train-data is compared with what the model is run on, and no --data is given: name that too (held-out "
            "data, or the training data once more)."
        )


def _named(data: Any) -> str | None:
    if data is None:
        return None
    return str(data) if isinstance(data, str | Path) else type(data).__name__


def _beside(model: Model, reference: Model | None) -> Model:
    """The model compared with its reference, or else with the stamp in its own file, if it has one."""
    known = model.provenance() if reference is None else reference_of(reference)
    return model if known is None else with_reference(model, known)


def _versions(model: Model) -> dict[str, str]:
    versions = {"bncheck": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy", *model.packages):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    return versions
