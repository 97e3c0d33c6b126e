"""Numbers: labels that are measurements in the shape of the outputs: regression, keypoints, depth, images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from bncheck.predictions.labels import are_soft_rows
from bncheck.predictions.tasks.task import per_sample, squeezed
from bncheck.predictions.tasks.yes_no import TASK as YES_NO


@dataclass(frozen=True, slots=True)
class Numbers:
    """Regression: score and loss are the relative squared error.

    That is the sample's mean squared error over the variance of the labels: 1 is as good as always saying their mean,
    and it does not depend on the unit that they are measured in. Labels that are NaN are left out.

    Attributes:
        unit: the variance of the labels of the first batch; 1 until it is settled, so losses are squared errors then.
    """

    unit: float = 1.0
    name: ClassVar[str] = "numbers"
    score_name: ClassVar[str] = "relative squared error"
    larger_is_better: ClassVar[bool] = False
    has_scale: ClassVar[bool] = True

    def fits(self, outputs: torch.Tensor, labels: torch.Tensor | None) -> bool:
        """See `Task`: in the shape of the outputs, and neither yes or no nor a distribution over classes."""
        if labels is None or not self.matches(outputs, labels) or YES_NO.fits(outputs, labels):
            return False
        return not (labels.shape == outputs.shape and are_soft_rows(labels))

    def matches(self, outputs: torch.Tensor, labels: torch.Tensor) -> bool:
        """See `Task`."""
        return outputs.dim() > 0 and labels.dim() > 0 and squeezed(labels, outputs.shape) is not None

    def settled(self, outputs: torch.Tensor, labels: torch.Tensor | None) -> Numbers:
        """See `Task`: the variance of these labels, or their mean square where all are equal."""
        if labels is None:
            return self
        values = labels.double()
        values = values[values.isfinite()]
        spread = float(values.var(correction=0)) if values.numel() else 0.0
        size = float(values.square().mean()) if values.numel() else 0.0
        return replace(self, unit=spread or size or 1.0)

    def groups(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor | None:
        """See `Task`: every sample counts alike."""
        return None

    def scores(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """See `Task`: the same as the loss; smaller is better."""
        return self.losses(outputs, labels)

    def losses(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """See `Task`: the mean over the sample's values; one that is not finite makes it the largest number."""
        wanted = labels.reshape(outputs.shape).double()
        squares = (outputs.double() - wanted).square() / self.unit
        largest = torch.finfo(torch.float32).max
        return per_sample(squares.nan_to_num(nan=largest, posinf=largest), wanted.isfinite())

    def predicted(self, outputs: torch.Tensor) -> torch.Tensor | None:
        """See `Task`: numbers are no decisions, and nearly all of them change."""
        return None


TASK = Numbers()
