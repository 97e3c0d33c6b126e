"""What counts: which output is the prediction, which rules judge, and what fails a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bncheck.settings.checks import (
    require_at_least,
    require_callable,
    require_flag,
    require_one_of,
    require_text,
    texts,
)
from bncheck.vocabulary import FailOn

DEPLOY_DTYPES = ("float16", "bfloat16")

Metric = Callable[[Any, Any], float]
"""`metric(outputs, labels) -> number` over all samples at once, called with tensors; larger is better, unless it has an
attribute `larger_is_better` that is false."""

TASKS = ("classes", "positions", "yes-no", "numbers", "embeddings", "none")
"""Kinds of task that predictions are judged by; with `none` labels judge nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class PredictionSettings:
    """Says what the model predicts, and by what that is scored.

    Attributes:
        output: key or index of the output that is the prediction.
        metric: the user's own score, instead of that of the task.
        task: kind of task; without it outputs and labels tell.

    Raises:
        UsageError: there is no such task.
    """

    output: str | None = None
    metric: Metric | None = None
    task: str | None = None

    def __post_init__(self) -> None:
        require_text("output", self.output)
        require_callable("metric", self.metric)
        require_one_of("task", self.task, TASKS)


@dataclass(frozen=True, slots=True)
class JudgingSettings:
    """Says which rules judge, and what fails a run.

    Attributes:
        select: only these rules, codes or prefixes; empty for all.
        ignore: not these rules.
        max_gap: a layer above it is finding BN600.
        fail_on: severity from which the exit code is 1: `error`, `warning` or `never`.
        strict: exit code 4 if any layer was skipped or any sample left out.
        deploy_dtype: judge the stored values for this precision (BN204).

    Raises:
        UsageError: a value means nothing.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    max_gap: float | None = None
    fail_on: str = FailOn.WARNING.value
    strict: bool = False
    deploy_dtype: str | None = None

    def __post_init__(self) -> None:
        texts("select", self.select)
        texts("ignore", self.ignore)
        require_flag("strict", self.strict)
        require_one_of("fail_on", self.fail_on, tuple(FailOn))
        require_one_of("deploy_dtype", self.deploy_dtype, DEPLOY_DTYPES)
        require_at_least("max_gap", self.max_gap, 0, whole=False)
