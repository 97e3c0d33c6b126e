"""What a model answers to some samples: predictions, how many are right, and how much they tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bncheck.data import Labels
from bncheck.errors import DataError
from bncheck.evidence import TaskEffect
from bncheck.measure import Plan
from bncheck.predictions import (
    EMBEDDINGS,
    Metric,
    OutputChange,
    PredictionEffect,
    Predictor,
    class_labels,
    correct,
    foremost_head,
    information_of,
    probabilities,
    read_scores,
    recognised,
)
from bncheck.tensors import torch


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
        labels: of the samples, as they were given; `None` without.
    """

    scores: torch.Tensor
    classes: torch.Tensor | None
    right: torch.Tensor | None
    information: float | None
    losses: torch.Tensor | None = None
    loss_name: str = ""
    labels: torch.Tensor | None = None

    @property
    def accuracy(self) -> float | None:
        """Share of right predictions."""
        return None if self.right is None else float(self.right.mean())


class Reader:
    """Reads answers out of what the model returned, the same way every time.

    Args:
        output: key or index of the output that is the prediction.
        labelled: labels may be compared with predictions; not where the user measures by a metric of their own.
        metric: that metric.
        task: the kind of task, where it was chosen.
    """

    def __init__(
        self, output: str | None, *, labelled: bool, metric: Metric | None = None, task: str | None = None
    ) -> None:
        self._output = output
        self._labelled = labelled
        self._metric = metric
        self._task = task
        self._predictor = Predictor()

    @classmethod
    def of(cls, plan: Plan) -> Reader:
        """The reader of what the plan calls the prediction."""
        return cls(plan.output, labelled=plan.metric is None, metric=plan.metric, task=plan.task)

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
        if labels is not None:
            labels = labels.to(scores.device)
        wanted = None if labels is None or not self._labelled else class_labels(labels, scores)
        if wanted is not None and self._are_embeddings(scores, labels):
            return Answers(scores, None, None, None, *_losses(scores, labels), labels)
        classes = self._predictor.classes(scores, wanted)
        right, information = _right(classes, wanted), information_of(probabilities(scores, wanted))
        if right is not None or labels is None or not self._labelled:
            return Answers(scores, classes, right, information, labels=labels)
        return Answers(scores, classes, None, information, *_losses(scores, labels), labels)

    def compared(self, before: Answers, after: Answers, size: int) -> TaskEffect | None:
        """How well the task is done by answers to the same samples, `size` of them at a time as in the passes."""
        labels = before.labels
        if labels is None or before.scores.shape != after.scores.shape or len(labels) != len(before.scores):
            return None
        meter = PredictionEffect(None, self._metric, self._task)
        columns = (torch.split(one, size) for one in (before.scores, after.scores, labels))
        try:
            for one, other, wanted in zip(*columns, strict=True):
                meter.add_recalibrated(one, other, wanted)
            effect = meter.result()
        except DataError:
            return None  # a metric that has no value for such outputs, or a task that does not take them
        return None if effect is None else effect.task

    def _are_embeddings(self, scores: torch.Tensor, labels: torch.Tensor | None) -> bool:
        """Whether outputs decide nothing by themselves, though they look like scores of classes."""
        if self._task is not None:
            return self._task == EMBEDDINGS
        task = recognised(scores, labels)
        return task is not None and task.name == EMBEDDINGS


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


def _losses(scores: torch.Tensor, labels: torch.Tensor | None) -> tuple[torch.Tensor | None, str]:
    """The losses of the task that the samples look like, and their name; those of samples without labels are 0."""
    task = recognised(scores, labels)
    if labels is None or task is None or not task.matches(scores, labels):
        return None, ""
    name = "loss" if task.larger_is_better else task.score_name
    return task.losses(scores, labels).nan_to_num(nan=0.0).cpu(), name


def _right(classes: torch.Tensor | None, labels: torch.Tensor | None) -> torch.Tensor | None:
    found = None if classes is None or labels is None else correct(classes, labels)
    if found is None:
        return None
    hits, counted = (tensor.reshape(len(tensor), -1).sum(1) for tensor in found)
    return (hits / counted.clamp(min=1)).double()
