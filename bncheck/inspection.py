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
from bncheck.assembly import assemble
from bncheck.catalogue import matching
from bncheck.data import DataOptions, open_data, require_named
from bncheck.errors import UsageError
from bncheck.gate import FAIL_ON
from bncheck.models import Model, from_module, open_model
from bncheck.models.referencing import reference_of, stamped_reference, with_reference
from bncheck.observe.agreement import compare_outputs
from bncheck.observe.collect import measured_evidence, static_evidence
from bncheck.observe.effect import Metric
from bncheck.observe.passes import Plan, observe
from bncheck.observe.running import Progress
from bncheck.report import Report, Run
from bncheck.rules import judge
from bncheck.thresholds import in_force

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def no_progress(task: str, done: int, total: int | None) -> None:
    """Say nothing."""


def inspect(
    model: str | Path | torch.nn.Module | torch.export.ExportedProgram,
    data: Any = None,
    *,
    batch_size: int = 64,
    limit: int | None = None,
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
        batch_size: samples in a forward of the stored pass.
        limit: draw this many samples at random.
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
    _check_options(batch_size, limit, batch_sizes, fail_on)
    if data is not None:
        require_named(data)
    chosen = _codes(select, ignore)
    opened = _open(model, arch=arch, arch_kwargs=arch_kwargs, key=key, trust_pickle=trust_pickle, device=device)
    before = None
    if reference is None and (reference_arch is not None or reference_key is not None):
        raise UsageError("--reference-arch and --reference-key say how to read a --reference, and none is given.")
    if reference is not None:
        how = {"arch": reference_arch, "arch_kwargs": reference_arch_kwargs, "key": reference_key}
        before = _open(reference, **how, trust_pickle=trust_pickle, device=device)
        opened = with_reference(opened, reference_of(before))
    elif (stamp := stamped_reference(opened)) is not None:
        opened = with_reference(opened, stamp)
    if data is None:
        evidence = static_evidence(opened, max_gap)
    elif opened.refusal is not None:
        evidence = static_evidence(opened, max_gap, not_run=opened.refusal)
    else:
        _check_runnable(opened)
        source = open_data(data, data_options or DataOptions())
        plan = Plan(batch_size, limit, seed, output, metric)
        seen = observe(opened, source, plan, progress)
        evidence = measured_evidence(opened, seen, plan, source_name=source.name, sizes=batch_sizes, max_gap=max_gap)
        if before is not None:
            agreement, note = compare_outputs(opened, before, source, plan)
            evidence = replace(evidence, agreement=agreement, notes=(*evidence.notes, note))
    findings = judge(evidence, chosen)
    if options is None:
        options = {
            "data": _named(data),
            "batch_size": batch_size,
            "limit": limit,
            "device": device,
            "key": key,
            "arch": arch if isinstance(arch, str) else getattr(arch, "__qualname__", None),
            "reference": None if reference is None else getattr(before, "path", None),
            "batch_sizes": list(batch_sizes),
            "output": output,
            "metric": getattr(metric, "__qualname__", None),
            "max_gap": max_gap,
            "select": list(select),
            "ignore": list(ignore),
            "fail_on": fail_on,
            "strict": strict,
        }
    given = {name: value for name, value in options.items() if value is not None and value != []}
    run = Run(command, given, seed, _versions(opened), in_force(), evidence.notes)
    return assemble(opened, evidence, findings, run, fail_on=fail_on, strict=strict)


def _named(data: Any) -> str | None:
    if data is None:
        return None
    return str(data) if isinstance(data, str | Path) else type(data).__name__


def _check_options(batch_size: int, limit: int | None, batch_sizes: Sequence[int], fail_on: str) -> None:
    if fail_on not in FAIL_ON:
        raise UsageError(f"--fail-on {fail_on}: choose one of {', '.join(FAIL_ON)}.")
    if batch_size < 1:
        raise UsageError(f"--batch-size {batch_size}: it must be at least 1.")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: it must be at least 1.")
    if any(size < 1 for size in batch_sizes):
        raise UsageError("--batch-sizes: sizes are whole numbers from 1.")


def _codes(select: Sequence[str], ignore: Sequence[str]) -> frozenset[str]:
    """The rules that are wanted."""
    selected = matching(tuple(select) or ("BN",), "--select")
    return selected - (matching(tuple(ignore), "--ignore") if ignore else frozenset())


def _open(model: Any, **how: Any) -> Model:
    if isinstance(model, torch.nn.Module | torch.export.ExportedProgram):
        return from_module(model, device=how["device"])
    return open_model(model, **how)


def _check_runnable(model: Model) -> None:
    if not model.runnable:
        raise UsageError(
            f"{model.path} holds tensors only and cannot be run on data: name the architecture with "
            "--arch FILE.py:CALLABLE (a function that returns the nn.Module), or leave out --data to audit the "
            "stored values alone."
        )


def _versions(model: Model) -> dict[str, str]:
    versions = {"bncheck": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy", *(("onnx", "onnxruntime") if model.graph is not None else ())):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    return versions
