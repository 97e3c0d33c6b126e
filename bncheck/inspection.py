"""The main job: a model and data in, a report out."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from bncheck import __version__
from bncheck.assembly import assemble
from bncheck.catalogue import matching
from bncheck.data import DataOptions, open_data
from bncheck.data.batches import Source
from bncheck.errors import UsageError
from bncheck.evidence import Evidence
from bncheck.models import Model, from_module, open_model
from bncheck.observe.collect import measured_evidence, static_evidence
from bncheck.observe.effect import Metric
from bncheck.observe.passes import Plan, observe
from bncheck.observe.running import Progress
from bncheck.report import Report, Run
from bncheck.rules import judge
from bncheck.thresholds import in_force

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class Settings:
    """What an inspection is asked for; the options of `bncheck inspect` of the same names."""

    batch_size: int = 64
    limit: int | None = None
    seed: int = 0
    device: str = "cpu"
    arch: Any = None
    arch_kwargs: Mapping[str, Any] | None = None
    key: str | None = None
    trust_pickle: bool = False
    data_options: DataOptions = field(default_factory=DataOptions)
    batch_sizes: Sequence[int] = BATCH_SIZES
    output: str | None = None
    metric: Metric | None = None
    max_gap: float | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str = "warning"
    strict: bool = False


def no_progress(task: str, done: int, total: int | None) -> None:
    """Say nothing."""


def inspect(
    model: Any,
    data: Any = None,
    *,
    command: str = "bncheck.inspect",
    options: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
    **settings: Any,
) -> Report:
    """Whether the statistics in `model`'s normalization layers describe `data`, layer by layer.

    The model is never modified: bncheck works on its own copy, in eval mode.

    Args:
        model: a path, or an `nn.Module` (also scripted, traced, compiled, exported).
        data: a path, an array (N, C, ...), a pair (x, y), or an iterable of batches that can be read
            again (a one-shot iterator is kept in memory). Without data the stored values alone are audited.
        command: how the report says it was made.
        options: what the user set, for the report.
        progress: told how far the passes are.
        **settings: the fields of `Settings`.

    Raises:
        UsageError: an option is wrong, or data are given for a model that cannot be run.
        ModelError: the model cannot be read.
        DataError: the data cannot be read, or do not fit the model.
    """
    wanted = _settings(settings)
    chosen = _codes(wanted)
    opened = _open(model, wanted)
    evidence = _evidence(opened, data, wanted, progress)
    findings = tuple(finding for finding in judge(evidence) if finding.code in chosen)
    run = Run(
        command=command,
        options=dict(options or {}),
        seed=wanted.seed,
        versions=_versions(),
        thresholds=in_force(),
        notes=evidence.notes,
    )
    return assemble(opened, evidence, findings, run, fail_on=wanted.fail_on, strict=wanted.strict)


def _settings(given: Mapping[str, Any]) -> Settings:
    unknown = set(given) - set(Settings.__dataclass_fields__)
    if unknown:
        raise UsageError(f"inspect() has no argument {', '.join(sorted(unknown))}.")
    wanted = Settings(**given)
    if wanted.batch_size < 1:
        raise UsageError(f"--batch-size {wanted.batch_size}: it must be at least 1.")
    if wanted.limit is not None and wanted.limit < 1:
        raise UsageError(f"--limit {wanted.limit}: it must be at least 1.")
    if any(size < 1 for size in wanted.batch_sizes):
        raise UsageError("--batch-sizes: sizes are whole numbers from 1.")
    return wanted


def _codes(wanted: Settings) -> frozenset[str]:
    selected = matching(wanted.select, "--select") if wanted.select else matching(("BN",), "--select")
    return selected - (matching(wanted.ignore, "--ignore") if wanted.ignore else frozenset())


def _open(model: Any, wanted: Settings) -> Model:
    if isinstance(model, torch.nn.Module | torch.export.ExportedProgram):
        return from_module(model, device=wanted.device)
    return open_model(
        model,
        arch=wanted.arch,
        arch_kwargs=wanted.arch_kwargs,
        key=wanted.key,
        trust_pickle=wanted.trust_pickle,
        device=wanted.device,
    )


def _evidence(model: Model, data: Any, wanted: Settings, progress: Progress) -> Evidence:
    if data is None:
        return static_evidence(model, wanted.max_gap)
    if model.program is None:
        raise UsageError(
            f"{model.path} holds tensors only and cannot be run on data: name the architecture with "
            "--arch FILE.py:CALLABLE (a function that returns the nn.Module), or leave out --data to audit the "
            "stored values alone."
        )
    source: Source = open_data(data, wanted.data_options)
    plan = Plan(wanted.batch_size, wanted.limit, wanted.seed, wanted.output, wanted.metric)
    seen = observe(model, source, plan, progress)
    return measured_evidence(
        model, seen, plan, source_name=source.name, sizes=wanted.batch_sizes, max_gap=wanted.max_gap
    )


def _versions() -> dict[str, str]:
    versions = {"bncheck": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    return versions
