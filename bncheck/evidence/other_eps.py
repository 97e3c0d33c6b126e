"""The layers run with another setting."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.core import THRESHOLDS
from bncheck.evidence.pairs import Paired


@dataclass(frozen=True, slots=True)
class OtherEps:
    """A usual eps in place of the layers' own.

    Attributes:
        eps: that was tried.
        layers: whose own is another, by far.
        seen: the samples as the model is shipped, and with that eps; its gaps are those of all layers.
    """

    eps: float
    layers: tuple[str, ...]
    seen: Paired

    @property
    def explains(self) -> bool:
        """Whether the gaps go in all layers, and the predictions are better for it."""
        seen = self.seen
        before, after = seen.before.model_gap, seen.after.model_gap
        if not after <= min(THRESHOLDS.near_margin, THRESHOLDS.eps_left * before):
            return False
        if seen.wins is not None:
            return seen.wins
        return seen.moves_outputs and seen.information_ratio >= 1 - THRESHOLDS.information_margin
