"""What a model answers to some samples: predictions, how many are right, and how much they tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bncheck.data import Labels
from bncheck.measure import Plan
from bncheck.predictions import (
    OutputChange,
    Predictor,
    class_labels,
    correct,
    foremost_head,
    information_of,
    probabilities,
    read_scores,
    recognised,
)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answers to n samples.

    Attributes:
        scores: the output that is the prediction, (n, ...), float32.
        classes: predicted classes, (n, ...); `None` for outputs that are no class scores.
        right: share of each sample's predictions that are right, (n,); `None` without labels.
        information: mutual information of input and predicted class, in nats; `None` without class scores.
        losses: how bad each sample's output is, (n,), where there are labels but no right or wrong by them.
        loss_name: what they are called.
    """

    scores: torch.Tensor
    classes: torch.Tensor | None
    right: torch.Tensor | None
    information: float | None
    losses: torch.Tensor | None = None
    loss_name: str = ""

    @property
    def accuracy(self) -> float | None:
        """Share of right predictions."""
        return None if self.right is None else float(self.right.mean())


class Reader:
    """Reads answers out of what the model returned, the same way every time.

    Args:
        output: key or index of the output that is the prediction.
        labelled: labels may be compared with predictions; not where the user measures by a metric of their own.
    """

    def __init__(self, output: str | None, *, labelled: bool) -> None:
        self._output = output
        self._labelled = labelled
        self._predictor = Predictor()

    @classmethod
    def of(cls, plan: Plan) -> Reader:
        """The reader of what the plan calls the prediction."""
        return cls(plan.output, labelled=plan.metric is None)

    def __call__(self, outputs: Sequence[Any], targets: Labels | None) -> Answers | None:
        """The answers of consecutive batches together; `None` where outputs cannot be told apart by sample.

        Of several outputs with labels of their own the foremost is read.
        """
        selector, labels = foremost_head(outputs[0], targets, self._output) if outputs else (None, None)
        found = [read_scores(output, selector) for output in outputs]
        tensors = [tensor for tensor in found if tensor is not None]
        if not tensors or len(tensors) < len(outputs) or any(one.shape[1:] != tensors[0].shape[1:] for one in tensors):
            return None
        if tensors[0].dim() == 0:
            return None
        scores = torch.cat(tensors)
        wanted = None if labels is None or not self._labelled else class_labels(labels, scores)
        classes = self._predictor.classes(scores, wanted)
        right, information = _right(classes, wanted), information_of(probabilities(scores, wanted))
        if right is not None or labels is None or not self._labelled:
            return Answers(scores, classes, right, information)
        return Answers(scores, classes, None, information, *_losses(scores, labels.to(scores.device)))


def gain(before: Answers, after: Answers) -> tuple[float | None, float | None]:
    """Accuracy won, and its standard error over the samples, which are the same in both."""
    if before.right is None or after.right is None:
        return None, None
    won = (after.right - before.right).double()
    return float(won.mean()), float(won.std(correction=1)) / math.sqrt(len(won)) if len(won) > 1 else math.inf


def change(before: Answers, after: Answers) -> OutputChange:
    """How far the answers to the same samples lie apart."""
    change = OutputChange()
    if before.scores.shape == after.scores.shape:
        change.add(before.scores, after.scores)
    if before.classes is not None and after.classes is not None and before.classes.shape == after.classes.shape:
        change.add_predictions(before.classes, after.classes)
    return change


def _losses(scores: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor | None, str]:
    """The losses of the task that the samples look like, and their name; those of samples without labels are 0."""
    task = recognised(scores, labels)
    if task is None or not task.matches(scores, labels):
        return None, ""
    name = "loss" if task.larger_is_better else task.score_name
    return task.losses(scores, labels).nan_to_num(nan=0.0).cpu(), name


def _right(classes: torch.Tensor | None, labels: torch.Tensor | None) -> torch.Tensor | None:
    found = None if classes is None or labels is None else correct(classes, labels)
    if found is None:
        return None
    hits, counted = (tensor.reshape(len(tensor), -1).sum(1) for tensor in found)
    return (hits / counted.clamp(min=1)).double()
