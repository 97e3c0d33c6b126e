"""Yes or no: labels 0 and 1 in the shape of the outputs, one a sample (one logit) or many (several labels, a map)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from bncheck.predictions.class_scores import LEAST_PROBABILITY, UNTOLD, lie_in_unit_interval
from bncheck.predictions.labels import IGNORED_LABEL, are_soft_rows
from bncheck.predictions.tasks.classes import WORST
from bncheck.predictions.tasks.task import EMPTY, per_sample, squeezed

BALANCED = "balanced accuracy"
MAP_AXES = 3
"""Axes of outputs from which they are a map: a sample's, and its positions'."""


@dataclass(frozen=True, slots=True)
class YesNo:
    """Decisions of one score each: a single one, several labels at once, a map of one logit, a discriminator.

    With one decision a sample the score is whether it is right, averaged over yes and over no apart (balanced
    accuracy), so that a rare yes counts. With many it is the Dice coefficient (F1) of the yeses,
    2 TP / (2 TP + FP + FN), and 1 where neither a label nor a prediction says yes: the many noes of a rare label tell
    nothing. Maps with a yes and without count alike, so that what is rarely there counts; of several labels a sample
    without any is like the others, or always no would be half right. The loss is the binary cross entropy in nats,
    averaged over the sample's decisions. Labels that are NaN, negative or 255 are left out.

    Attributes:
        are_probabilities: whether outputs are probabilities rather than logits; `None` to look at what is given.
        score_name: by the number of decisions.
        yes: the label that says yes: 1, or 255 of masks that hold 0 and 255 alone, where it is not what is left out.
    """

    are_probabilities: bool | None = None
    score_name: str = "F1"
    yes: int = 1
    name: ClassVar[str] = "yes-no"
    larger_is_better: ClassVar[bool] = True
    unit: ClassVar[float] = 1.0
    has_scale: ClassVar[bool] = True

    def fits(self, outputs: torch.Tensor, labels: torch.Tensor | None) -> bool:
        """See `Task`: nothing but 0 and 1 where labels count, and not one 1 in each row of several."""
        if labels is None or not self.matches(outputs, labels):
            return False
        if labels.shape == outputs.shape and are_soft_rows(labels):
            return False
        known = _counted(labels)
        return bool(known.any()) and bool(((labels == 0) | (labels == 1) | ~known).all())

    def matches(self, outputs: torch.Tensor, labels: torch.Tensor) -> bool:
        """See `Task`."""
        return outputs.dim() > 0 and labels.dim() > 0 and squeezed(labels, outputs.shape) is not None

    def settled(self, outputs: torch.Tensor, labels: torch.Tensor | None) -> YesNo:
        """See `Task`: outputs that all lie in 0..1 are probabilities."""
        single = outputs.numel() == len(outputs)
        name = BALANCED if single else self.score_name
        yes = IGNORED_LABEL if labels is not None and _holds_ends_alone(labels) else self.yes
        return replace(self, are_probabilities=lie_in_unit_interval(outputs), score_name=name, yes=yes)

    def groups(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor | None:
        """See `Task`: yes and no apart where there is one decision a sample; maps with a yes and without."""
        if outputs.numel() == len(outputs):
            return labels.reshape(-1).nan_to_num().long()
        if outputs.dim() < MAP_AXES:
            return None
        wanted, known = _rows(self._zero_one(labels), outputs)
        return torch.where(((wanted == 1) & known).any(1), 1, EMPTY)

    def scores(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """See `Task`: right or wrong of one decision, Dice of many."""
        wanted, known = _rows(self._zero_one(labels), outputs)
        found = self._decided(outputs).reshape(len(outputs), -1)
        if found.shape[1] == 1:
            return per_sample((found == wanted).double(), known)
        # What is not a number says neither yes nor no, and is wrong both ways.
        says, is_yes = (found == 1) & known, (wanted == 1) & known
        says = says | ((found == UNTOLD) & ~is_yes & known)
        hits = (says & is_yes).sum(1, dtype=torch.float64)
        total = (says.sum(1) + is_yes.sum(1)).double()
        dice = torch.where(total > 0, 2 * hits / total.clamp(min=1), torch.ones((), dtype=torch.float64))
        return dice.masked_fill(~known.any(1), torch.nan)

    def losses(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """See `Task`: mean binary cross entropy."""
        wanted, known = _rows(self._zero_one(labels), outputs)
        rows = outputs.reshape(len(outputs), -1).double()
        if self._scale(outputs):
            clamped = rows.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
            yes, no = clamped.log(), (1 - clamped).log()
        else:
            yes, no = (torch.nn.functional.logsigmoid(one) for one in (rows, -rows))
        logs = torch.where(wanted == 1, yes, no).clamp(min=-WORST).nan_to_num(nan=-WORST)
        return per_sample(-logs, known)

    def predicted(self, outputs: torch.Tensor) -> torch.Tensor | None:
        """See `Task`."""
        return self._decided(outputs)

    def _zero_one(self, labels: torch.Tensor) -> torch.Tensor:
        """The labels as 0 and 1."""
        return labels if self.yes == 1 else (labels == self.yes).to(labels.dtype)

    def _decided(self, outputs: torch.Tensor) -> torch.Tensor:
        threshold = 0.5 if self._scale(outputs) else 0.0
        return (outputs > threshold).long().masked_fill(outputs.isnan(), UNTOLD)

    def _scale(self, outputs: torch.Tensor) -> bool:
        return lie_in_unit_interval(outputs) if self.are_probabilities is None else self.are_probabilities


def _rows(labels: torch.Tensor, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels (N, decisions), and which of them count."""
    wanted = labels.reshape(len(outputs), -1)
    return wanted, _counted(labels).reshape(len(outputs), -1)


def _holds_ends_alone(labels: torch.Tensor) -> bool:
    """Whether a map holds 0 and 255 and no 1: a mask as images have it, not one with positions to be left out."""
    return labels.dim() > 1 and bool((labels == IGNORED_LABEL).any()) and bool(((labels == 0) | (labels == 255)).all())


def _counted(labels: torch.Tensor) -> torch.Tensor:
    known = (labels >= 0) & ~labels.isnan()
    return known & (labels != IGNORED_LABEL) if labels.dim() > 1 else known


TASK = YesNo()
