"""Embeddings: outputs (N, D) whose neighbours are to be of the same label; labels (N,) may be any class numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from bncheck.predictions.labels import class_labels, counted
from bncheck.predictions.tasks.classes import WORST, look_embedded

TEMPERATURE = 0.1
"""What cosines are divided by before they become probabilities of being the neighbour, as in contrastive training."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Retrieval, verification: the score is whether the nearest other sample of the batch has the same label.

    Nearness is the cosine. The loss is that of neighbourhood components: minus the logarithm of the probability that a
    neighbour, drawn by the softmax of the cosines over `TEMPERATURE`, has the same label. A sample without another of
    its label in the batch counts nothing, so batches must mix few labels or be large.

    Source: Goldberger et al. 2004, "Neighbourhood Components Analysis".
    """

    name: ClassVar[str] = "embeddings"
    score_name: ClassVar[str] = "agreement of neighbours"
    larger_is_better: ClassVar[bool] = True
    unit: ClassVar[float] = 1.0
    has_scale: ClassVar[bool] = True

    def fits(self, outputs: torch.Tensor, labels: torch.Tensor | None) -> bool:
        """See `Task`: labels beyond the outputs' width, or rows of unit norm."""
        return look_embedded(outputs, labels)

    def matches(self, outputs: torch.Tensor, labels: torch.Tensor) -> bool:
        """See `Task`."""
        return outputs.dim() == 2 and labels.numel() == len(outputs)

    def settled(self, outputs: torch.Tensor, labels: torch.Tensor | None) -> Embeddings:
        """See `Task`: nothing is to be settled."""
        return self

    def groups(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor | None:
        """See `Task`: every sample counts alike."""
        return None

    def scores(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """See `Task`: 1 where the nearest other sample has the same label."""
        cosines, same, counts = _neighbours(outputs, labels)
        if len(outputs) < 2:
            return torch.full((len(outputs),), torch.nan, dtype=torch.float64)
        nearest = cosines.argmax(1)
        right = same.gather(1, nearest[:, None]).squeeze(1) & outputs.isfinite().all(1)
        return right.double().masked_fill(~counts, torch.nan)

    def losses(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """See `Task`: neighbourhood components."""
        cosines, same, counts = _neighbours(outputs, labels)
        if len(outputs) < 2:
            return torch.full((len(outputs),), torch.nan, dtype=torch.float64)
        logs = (cosines / TEMPERATURE).log_softmax(1)
        losses = -logs.masked_fill(~same, -torch.inf).logsumexp(1)
        losses = losses.clamp(max=WORST).masked_fill(~outputs.isfinite().all(1), WORST)
        return losses.masked_fill(~counts, torch.nan)

    def predicted(self, outputs: torch.Tensor) -> torch.Tensor | None:
        """See `Task`: an embedding decides nothing by itself."""
        return None


def _neighbours(outputs: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cosines (N, N) with -inf to itself, which pairs are of one label, and which samples have another of theirs."""
    wanted = class_labels(labels, outputs).reshape(-1)
    known = counted(wanted)
    rows = torch.nn.functional.normalize(outputs.double().nan_to_num(), dim=1)
    itself = torch.eye(len(rows), dtype=torch.bool)
    same = (wanted[:, None] == wanted) & known[:, None] & known & ~itself
    return (rows @ rows.T).masked_fill(itself, -torch.inf), same, same.any(1)


TASK = Embeddings()
