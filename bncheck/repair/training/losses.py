"""What a fine-tuning minimizes, and how good its predictions are meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from bncheck.data import Labels
from bncheck.errors import DataError, UsageError
from bncheck.predictions import (
    LEAST_PROBABILITY,
    Predictor,
    are_soft_rows,
    choose_output,
    class_axis,
    class_labels,
    correct,
    counted,
    foremost_head,
    lie_in_unit_interval,
    require_classes,
    sum_to_one,
)
from bncheck.repair.training.options import FineTuneOptions
from bncheck.user_code import users_code
from bncheck.vocabulary import argument, with_article


@dataclass(frozen=True, slots=True, order=True)
class Score:
    """How good predictions are; larger is better.

    Attributes:
        accuracy: share of right predictions, -1 where the loss counts no classes.
        negative_loss: minus the mean loss; it decides between equal accuracies.
    """

    accuracy: float
    negative_loss: float


class Objective:
    """The loss of a run. Whether outputs are scores or probabilities is decided on the first batch it sees."""

    def __init__(self, options: FineTuneOptions) -> None:
        self._loss = options.loss
        self._output = options.output
        self._are_probabilities: bool | None = None
        self._predictor = Predictor()

    def loss(self, output: Any, targets: Labels | None) -> torch.Tensor:
        """The scalar loss of a batch, with gradient; the user's own function is given the labels of all outputs.

        Raises:
            UsageError: labels or outputs are not of the kind that this loss needs.
            DataError: the labels are classes the model does not have, or the user's function raised.
        """
        if callable(self._loss):
            return self._own_loss(output, targets)
        selector, labels = foremost_head(output, targets, self._output)
        scores = self._scores(output, selector)
        if labels is None:
            raise UsageError(
                f"Fine-tuning by {self._loss} needs labels, and the data have none: give data with labels (y in an "
                f".npz, class folders, {argument('label_column')}), or a {argument('loss', 'FILE.py:CALLABLE')} that "
                "does without."
            )
        if self._loss == "mse":
            return _mean_squared_error(scores, labels)
        if self._loss == "binary_cross_entropy" or (scores.dim() < 2 or scores.shape[1] == 1):
            return self._binary(scores, labels)
        return self._cross_entropy(scores, labels)

    def right(self, output: Any, targets: Labels | None) -> tuple[int, int]:
        """How many predictions are right, and of how many; (0, 0) where the loss is of no classes."""
        if self._loss not in ("cross_entropy", "binary_cross_entropy") or targets is None:
            return 0, 0
        selector, labels = foremost_head(output, targets, self._output)
        if labels is None:
            return 0, 0
        scores = self._scores(output, selector)
        wanted = class_labels(labels, scores)
        predicted = self._predictor.classes(scores, wanted)
        found = None if predicted is None else correct(predicted, wanted)
        return (0, 0) if found is None else (int(found[0].sum()), int(found[1].sum()))

    def _scores(self, output: Any, selector: str | None) -> torch.Tensor:
        scores = choose_output(output, selector)
        if scores is None:
            raise UsageError(
                f"The model returned {with_article(type(output).__name__)} without a floating tensor to train on: "
                f"name the prediction with {argument('output', 'KEY|INDEX')}."
            )
        return scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores

    def _own_loss(self, output: Any, targets: Labels | None) -> torch.Tensor:
        chosen, labels = output, _as_given(targets)
        if self._output is not None:
            selector, labels = foremost_head(output, targets, self._output)
            chosen = choose_output(output, selector)
        with users_code(lambda said: DataError(f"{argument('loss')}: the function raised {said}")):
            loss = self._loss(chosen, labels)  # type: ignore[operator]  # the caller looked: callable
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
            raise UsageError(
                f"{argument('loss')}: the function must return a tensor of one number, not {_described(loss)}."
            )
        return loss.reshape(())

    def _cross_entropy(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if labels.is_floating_point() and labels.shape == scores.shape:
            targets = labels.to(scores.dtype)
            axis = 1
            if not are_soft_rows(targets):
                raise UsageError(_no_classes(labels))
        else:
            targets = class_labels(labels, scores)
            if targets.is_floating_point():
                raise UsageError(_no_classes(labels))
            axis = class_axis(scores, targets) or 1
        rows = scores.movedim(axis, 1)
        if not targets.is_floating_point():
            if targets.shape != rows.shape[:1] + rows.shape[2:]:
                raise UsageError(
                    f"Labels of shape {tuple(labels.shape)} do not fit outputs of shape {tuple(scores.shape)}: give "
                    f"one class number per prediction, choose another {argument('output')}, or name a "
                    f"{argument('loss', 'FILE.py:CALLABLE')}."
                )
            targets = _within(targets, rows.shape[1])
        return (
            functional.nll_loss(self._log(rows), targets)
            if targets.dtype == torch.long
            else -(targets * self._log(rows)).sum(1).mean()
        )

    def _log(self, rows: torch.Tensor) -> torch.Tensor:
        """Logarithms of the class probabilities, on axis 1."""
        if self._are_probabilities is None:
            self._are_probabilities = sum_to_one(rows.detach())
        return rows.clamp(min=LEAST_PROBABILITY).log() if self._are_probabilities else rows.log_softmax(1)

    def _binary(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if scores.numel() != labels.numel() or not bool(((labels >= 0) & (labels <= 1)).all()):
            raise UsageError(
                f"Binary cross entropy needs a label from 0 to 1 for every score; scores have the shape "
                f"{tuple(scores.shape)}, labels {tuple(labels.shape)}. Choose another {argument('output')} or "
                f"{argument('loss')}."
            )
        targets = labels.reshape(scores.shape).to(scores.dtype)
        if self._are_probabilities is None:
            self._are_probabilities = lie_in_unit_interval(scores)
        if self._are_probabilities:
            return functional.binary_cross_entropy(scores.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY), targets)
        return functional.binary_cross_entropy_with_logits(scores, targets)


def _as_given(targets: Labels | None) -> Labels | tuple[torch.Tensor, ...] | None:
    """Labels as a loader gave them: those that were numbered here were a tuple."""
    if isinstance(targets, dict) and list(targets) == [str(place) for place in range(len(targets))]:
        return tuple(targets.values())
    return targets


def _mean_squared_error(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    if scores.numel() != labels.numel():
        raise UsageError(
            f"The mean squared error needs a label for every output; outputs have the shape {tuple(scores.shape)}, "
            f"labels {tuple(labels.shape)}. Choose another {argument('output')} or {argument('loss')}."
        )
    return functional.mse_loss(scores, labels.reshape(scores.shape).to(scores.dtype))


def _within(targets: torch.Tensor, classes: int) -> torch.Tensor:
    """Class numbers, with those to be ignored as torch marks them."""
    require_classes(targets, classes)
    return targets.long().masked_fill(~counted(targets), -100)


def _no_classes(labels: torch.Tensor) -> str:
    return (
        f"Cross entropy needs class numbers, and the labels are measurements (dtype {str(labels.dtype)[6:]}, shape "
        f"{tuple(labels.shape)}): choose {argument('loss', 'mse')}, or name a function, "
        f"{argument('loss', 'FILE.py:CALLABLE')}."
    )


def _described(loss: object) -> str:
    return f"one of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else with_article(type(loss).__name__)
