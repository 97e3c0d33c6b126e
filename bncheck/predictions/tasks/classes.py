"""One class for each sample: outputs (N, K), labels (N,), or one-hot or soft rows (N, K)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from bncheck.predictions.class_scores import LEAST_PROBABILITY, largest, sum_to_one
from bncheck.predictions.labels import are_soft_rows, class_labels, counted, highest_class
from bncheck.predictions.tasks.task import per_sample

WORST = -math.log(LEAST_PROBABILITY)
"""The largest loss of a prediction, in nats: one sample must not decide for all, and NaN is no better than wrong."""
_UNIT_NORM = 1e-3
NARROWEST = 4
"""Width of outputs below which labels beyond it are a mistake: nobody embeds samples in so few dimensions."""


@dataclass(frozen=True, slots=True)
class Classes:
    """Classification: the score is whether the largest output is the label's, the loss the cross entropy in nats.

    Attributes:
        are_probabilities: whether outputs are probabilities rather than logits; `None` to look at what is given.
    """

    are_probabilities: bool | None = None
    name: ClassVar[str] = "classes"
    score_name: ClassVar[str] = "accuracy"
    larger_is_better: ClassVar[bool] = True
    unit: ClassVar[float] = 1.0
    has_scale: ClassVar[bool] = True

    def fits(self, outputs: torch.Tensor, labels: torch.Tensor | None) -> bool:
        """See `Task`: class numbers of the model's own, or rows that are distributions over them."""
        if outputs.dim() != 2 or outputs.shape[1] < 2 or look_embedded(outputs, labels):
            return False
        if labels is None:
            return True
        if labels.shape == outputs.shape:
            return are_soft_rows(labels)
        return self.matches(outputs, labels) and not class_labels(labels, outputs).is_floating_point()

    def matches(self, outputs: torch.Tensor, labels: torch.Tensor) -> bool:
        """See `Task`."""
        if outputs.dim() != 2 or len(labels) != len(outputs):
            return False
        return labels.dim() == 1 or labels.shape in (outputs.shape, torch.Size((len(outputs), 1)))

    def settled(self, outputs: torch.Tensor, labels: torch.Tensor | None) -> Classes:
        """See `Task`: outputs that are all positive and sum to one are probabilities."""
        return replace(self, are_probabilities=sum_to_one(outputs))

    def groups(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor | None:
        """See `Task`: every sample counts alike."""
        return None

    def scores(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """See `Task`: 1 where the prediction is right, 0 where it is wrong."""
        wanted, known = _numbers(labels, outputs)
        return per_sample((largest(outputs, 1) == wanted).double(), known)

    def losses(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """See `Task`: cross entropy, with soft rows in full."""
        logs = log_probabilities(outputs, self.are_probabilities)
        if labels.shape == outputs.shape:
            losses = -(labels.double() * logs.double()).sum(1)
            return per_sample(losses, torch.ones_like(losses, dtype=torch.bool))
        wanted, known = _numbers(labels, outputs)
        return per_sample(class_losses(logs, wanted, known), known)

    def predicted(self, outputs: torch.Tensor) -> torch.Tensor | None:
        """See `Task`."""
        return largest(outputs, 1)


def look_embedded(outputs: torch.Tensor, labels: torch.Tensor | None) -> bool:
    """Whether rows are embeddings rather than class scores: labels lie beyond their width, or they have unit norm."""
    if outputs.dim() != 2 or outputs.shape[1] < 2:
        return False
    if labels is not None:
        wanted = class_labels(labels, outputs)
        if wanted.is_floating_point() or labels.numel() != len(outputs):
            return False
        if highest_class(wanted.reshape(-1)) > outputs.shape[1] >= NARROWEST:  # by one: classes counted from 1
            return len(wanted.unique(sorted=False)) > 1  # type: ignore[no-untyped-call]  # torch's own
    norms = outputs.norm(dim=1)
    return torch.allclose(norms, torch.ones_like(norms), atol=_UNIT_NORM) and not sum_to_one(outputs)


def log_probabilities(outputs: torch.Tensor, are_probabilities: bool | None) -> torch.Tensor:
    """Logarithms of the class probabilities on axis 1, bounded below by that of `LEAST_PROBABILITY`."""
    known = sum_to_one(outputs) if are_probabilities is None else are_probabilities
    logs = outputs.clamp(min=LEAST_PROBABILITY).log() if known else outputs.log_softmax(1)
    return logs.clamp(min=-WORST).nan_to_num(nan=-WORST)


def class_losses(logs: torch.Tensor, wanted: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """The negative logarithm at each wanted class, in the shape of `wanted`; a class the model has not is the worst."""
    has = known & (wanted < logs.shape[1])
    at = wanted.long().masked_fill(~has, 0).unsqueeze(1)
    return -logs.gather(1, at).squeeze(1).masked_fill(~has, -WORST)


def _numbers(labels: torch.Tensor, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Class numbers (N,), and which of them count."""
    if labels.shape == outputs.shape:
        wanted = labels.argmax(1)
    else:
        wanted = class_labels(labels, outputs).reshape(-1)
    return wanted, counted(wanted)


TASK = Classes()
