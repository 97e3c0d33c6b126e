"""The user's own metric, with the direction in which it is better. It is chosen by giving it, never recognised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch

from bncheck.errors import DataError
from bncheck.user_code import user_output_to_stderr
from bncheck.vocabulary import argument

Metric = Callable[[torch.Tensor, torch.Tensor], float]
"""`metric(outputs, labels) -> number`, larger is better, over all samples at once."""


@dataclass(frozen=True, slots=True)
class ByMetric:
    """A task that a function of the user's judges: the score of a sample is the metric of it alone.

    A metric that has no value for a single sample (a rank correlation, an area under a curve) gives NaN there, so that
    samples count nothing and only the value over all of them is left. The loss is the score, turned so that less is
    better.

    Attributes:
        metric: called with outputs and labels of the same samples.
        larger_is_better: its direction.
    """

    metric: Metric
    larger_is_better: bool = True
    name: ClassVar[str] = "metric"
    score_name: ClassVar[str] = "metric"
    unit: ClassVar[float] = 1.0

    def fits(self, outputs: torch.Tensor, labels: torch.Tensor | None) -> bool:
        """See `Task`: it is chosen, not recognised."""
        return False

    def matches(self, outputs: torch.Tensor, labels: torch.Tensor) -> bool:
        """See `Task`: what it takes only the metric knows."""
        return outputs.dim() > 0 and labels.dim() > 0 and len(outputs) == len(labels)

    def settled(self, outputs: torch.Tensor, labels: torch.Tensor | None) -> ByMetric:
        """See `Task`: nothing is to be settled."""
        return self

    def scores(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """See `Task`: the metric of each sample alone."""
        values = [self._alone(outputs[at : at + 1], labels[at : at + 1]) for at in range(len(outputs))]
        return torch.tensor(values, dtype=torch.float64)

    def losses(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """See `Task`: the score, its sign turned where larger is better."""
        scores = self.scores(outputs, labels)
        return -scores if self.larger_is_better else scores

    def predicted(self, outputs: torch.Tensor) -> torch.Tensor | None:
        """See `Task`: what a decision is only the metric knows."""
        return None

    def over_all(self, outputs: torch.Tensor, labels: torch.Tensor) -> float:
        """The metric over all samples at once, which is what is printed.

        Raises:
            DataError: the function raised, or gave no number.
        """
        try:
            with user_output_to_stderr():
                return float(self.metric(outputs, labels))
        except (Exception, SystemExit) as error:
            raise DataError(f"{argument('metric')}: {type(error).__name__}: {error}") from error

    def _alone(self, output: torch.Tensor, label: torch.Tensor) -> float:
        try:
            return self.over_all(output, label)
        except DataError:
            return float("nan")
