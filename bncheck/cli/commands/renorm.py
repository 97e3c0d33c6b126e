"""`bncheck inspect --renorm`: convert, fine-tune, inspect again, and judge that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bncheck.cli.options import tuning
from bncheck.cli.options.arguments import open_options
from bncheck.cli.progress import progress_bar, training_told
from bncheck.errors import UsageError
from bncheck.results.repair import RepairResult
from bncheck.results.report import Report

_JUDGING = ("batch_sizes", "max_gap", "fail_on", "strict", "deploy_dtype")
_CHECKED = ("batch_size", "limit", "batch_sizes", "fail_on", "deploy_dtype", "seed", "max_gap")
_READING = (
    "arch",
    "arch_kwargs",
    "key",
    "trust_pickle",
    "allow_ops",
    "device",
    "output",
    "batch_size",
    "limit",
    "seed",
)


def renormalized(
    model: str,
    data: str | None,
    settings: dict[str, Any],
    training: dict[str, Any],
    preprocessing: dict[str, Any],
    metric: str | None,
    given: dict[str, Any],
    quiet: bool,
) -> RepairResult:
    """The model as it came and fine-tuned, both on `data`; without these a fifth of the training data judges.

    Args:
        model: as typed.
        data: what judges.
        settings: the options of `inspect`.
        training: `--steps`, `--lr` and `--out`.
        preprocessing: of all data.
        metric: as typed.
        given: what the user set, for the reports.
        quiet: show no progress.

    Raises:
        UsageError: there are no training data, or an option asks for what the fine-tuned weights cannot answer.
    """
    train_data = settings["train_data"]
    if train_data is None:
        raise UsageError(
            "--renorm trains on --train-data, and none are given: name the training's own loader, FILE.py:CALLABLE, or "
            "a file of training data."
        )
    if any(settings[name] is not None for name in ("reference", "reference_arch", "reference_key")):
        raise UsageError("--renorm changes the weights, so there is no --reference to compare them with: leave it out.")

    if settings["until"]:
        raise UsageError("--until ends the reading of an inspection; with --renorm choose --limit or --steps instead.")

    from bncheck.api.judging import Judging, check_options, chosen_codes
    from bncheck.api.repairing import repair_file
    from bncheck.user_code import import_callable

    judged = {name: settings[name] for name in _JUDGING}
    reading = {name: settings[name] for name in _READING}
    check_options(**{name: settings[name] for name in _CHECKED})
    codes = chosen_codes(settings["select"], settings["ignore"])
    shared = {name: settings[name] for name in ("batch_size", "device", "output", "seed")}
    with progress_bar(quiet) as progress:
        return repair_file(
            model,
            data,
            train_data=train_data,
            out=training["out"],
            method="renorm",
            fine_tuning=tuning.fine_tune_options({"steps": training["steps"], "lr": training["lr"], **shared}),
            judging=Judging(codes=codes, command="bncheck inspect --renorm", options=given, **judged),
            data_options=open_options(preprocessing),
            metric=import_callable(metric, "--metric") if metric else None,
            progress=progress,
            training_progress=training_told(progress, quiet),
            **reading,
        )


def exit_code_of(repair: RepairResult, judged: Report) -> int:
    """That of the repair, with known findings accepted.

    Args:
        repair: what came of it.
        judged: the report on the repaired model, after the baseline.
    """
    return settled_repair(repair, judged).exit_code


def print_renormalized(repair: RepairResult, judged: Report) -> None:
    """Before and after, on stdout."""
    from rich.console import Console

    from bncheck.render.terminal.repair_table import print_repair

    print_repair(settled_repair(repair, judged), Console())


def settled_repair(repair: RepairResult, judged: Report) -> RepairResult:
    """The repair with known findings accepted in the report it is judged by."""
    return replace(repair, before=judged) if repair.after is None else replace(repair, after=judged)
