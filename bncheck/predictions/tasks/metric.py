"""The user's own metric, with the direction in which it is better. It is chosen by giving it, never recognised."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from bncheck.core import THRESHOLDS
from bncheck.errors import DataError
from bncheck.evidence import Improvement, TaskEffect
from bncheck.tensors import torch
from bncheck.user_code import users_code
from bncheck.vocabulary import argument

Metric = Callable[[torch.Tensor, torch.Tensor], float]
"""`metric(outputs, labels) -> number` over all samples at once; larger is better, unless it has an attribute
`larger_is_better` that is false."""


def is_better_when_larger(metric: Metric) -> bool:
    """The metric's direction: its attribute `larger_is_better`, true where it has none."""
    return bool(getattr(metric, "larger_is_better", True))


@dataclass(frozen=True, slots=True)
class ByMetric:
    """A task that a function of the user's judges, over all samples at once.

    How far a difference of two values is chance is told by the jackknife: the metric is taken again with one group of
    samples after the other left out, so that an area under a curve or an intersection over union has an error too.

    Attributes:
        metric: called with outputs and labels of the same samples.

    Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 11.
    """

    metric: Metric
    name: ClassVar[str] = "metric"

    def over_all(self, outputs: torch.Tensor, labels: torch.Tensor) -> float:
        """The metric of these samples.

        Raises:
            DataError: the function raised, or gave no number.
        """
        with users_code(lambda said: DataError(f"{argument('metric')}: {said}")):
            value = float(self.metric(outputs.clone(), labels.clone()))  # it may write to what it is given
        if not math.isfinite(value) and bool(torch.as_tensor(outputs).isfinite().all()):
            raise DataError(f"{argument('metric')}: over {len(outputs)} samples it is {value}, which is no score.")
        return value

    def compared(
        self, before: torch.Tensor, after: torch.Tensor, labels: torch.Tensor, batch: float | None
    ) -> TaskEffect:
        """The metric of two sets of outputs for the same samples, and the error of their difference.

        Args:
            before: outputs, (N, ...).
            after: the others, in the same shape.
            labels: of the same samples.
            batch: the metric under batch statistics.

        Raises:
            DataError: the function raised, or gave no number.
        """
        larger = is_better_when_larger(self.metric)
        sign = 1.0 if larger else -1.0
        shipped, other = (self.over_all(outputs, labels) for outputs in (before, after))
        score = Improvement(
            shipped=shipped,
            other=other,
            gain=sign * (other - shipped),
            error=self._error(before, after, labels),
            better=int(sign * (other - shipped) > 0),
            worse=int(sign * (other - shipped) < 0),
            samples=len(labels),
        )
        return TaskEffect(self.name, "metric", larger, False, score, batch_score=batch)

    def _error(self, before: torch.Tensor, after: torch.Tensor, labels: torch.Tensor) -> float:
        """Standard error of the difference by the delete-a-group jackknife; infinite for too few samples."""
        groups = min(THRESHOLDS.jackknife_groups, len(labels))
        if groups < THRESHOLDS.fewest_groups:
            return math.inf
        numbers = torch.arange(len(labels)) % groups
        differences = []
        for group in range(groups):
            kept = numbers != group
            one, other = (self._without(outputs[kept], labels[kept]) for outputs in (before, after))
            differences.append(other - one)
        values = torch.tensor(differences, dtype=torch.float64)
        if not bool(values.isfinite().all()):
            return math.inf
        return math.sqrt((groups - 1) / groups * float((values - values.mean()).square().sum()))

    def _without(self, outputs: torch.Tensor, labels: torch.Tensor) -> float:
        """The metric of some of the samples; NaN where it has none of them."""
        try:
            return self.over_all(outputs, labels)
        except DataError:
            return math.nan


def over_batches(metric: Metric | None, kept: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> float | None:
    """The metric over the outputs and labels of all batches; `None` without any.

    Raises:
        DataError: their shapes cannot be put together, or the metric raised.
    """
    if not kept:
        return None
    if metric is None:
        raise ValueError("the metric stayed behind when this was pickled: merge it into one that has it")
    try:
        outputs, labels = (torch.cat(column) for column in zip(*kept, strict=True))
    except RuntimeError as error:
        raise DataError(
            f"{argument('metric')} is computed over all samples, and outputs or labels of several batches have "
            "shapes that cannot be put together: give batches of one shape."
        ) from error
    return ByMetric(metric).over_all(outputs, labels)
