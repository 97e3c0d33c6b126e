"""A model whose statistics do not describe its data fails the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bncheck.errors import UsageError
from bncheck.results import Report

if TYPE_CHECKING:
    import torch


def assert_statistics_match(
    model: str | Path | torch.nn.Module | torch.export.ExportedProgram,
    data: Any,
    *,
    max_gap: float | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    fail_on: str = "warning",
    strict: bool = False,
    **options: Any,
) -> Report:
    """Assert that the statistics stored in `model` describe `data`, as `bncheck inspect` judges it.

    It fails where the command would end with exit code 1, and also where it would end with 4: a test in which nothing
    was checked, or too few samples to tell, does not pass.

    Args:
        model: a path, an `nn.Module` or an exported program; it is left as it is.
        data: what `bncheck.inspect` takes: a path, an array, a pair (x, y), an iterable of batches.
        max_gap: a layer above it fails (BN600).
        select: only these rules, codes or prefixes (`BN6`).
        ignore: not these rules.
        fail_on: severity that fails: `error` or `warning`.
        strict: fail if any layer was skipped or any sample left out.
        options: other arguments of `bncheck.inspect` (`arch`, `reference`, `train_data`, `limit`, ...).

    Returns:
        The report, for assertions of your own.

    Raises:
        AssertionError: they do not match; the message begins with the answer.
        UsageError: an option is wrong, or there are no data to compare with.
        ModelError: the model cannot be read.
        DataError: the data cannot be read, or do not fit the model.

    >>> import torch
    >>> from bncheck.testing import assert_statistics_match
    >>> model = torch.nn.Sequential(torch.nn.BatchNorm1d(3))
    >>> assert_statistics_match(model, torch.randn(400, 3), max_gap=0.5).summary.exit_code
    0
    """
    __tracebackhide__ = True  # pytest then shows the line of the test
    from bncheck.api import inspect
    from bncheck.render import failure_message

    if data is None:
        raise UsageError(
            "assert_statistics_match compares a model with data: pass some. To audit alone: inspect(model)."
        )
    if fail_on == "never":
        raise UsageError(
            'fail_on="never": then nothing could fail; use bncheck.inspect for a report without a verdict.'
        )
    report = inspect(
        model,
        data,
        max_gap=max_gap,
        select=select,
        ignore=ignore,
        fail_on=fail_on,
        strict=strict,
        **options,
    )
    report = replace(report, run=replace(report.run, command="assert_statistics_match"))
    if report.summary.exit_code:
        raise AssertionError(failure_message(report))
    return report
