"""Of several outputs with labels of their own, the one that tells what statistics cost."""

from __future__ import annotations

import math
from dataclasses import replace

from bncheck.core import THRESHOLDS
from bncheck.evidence import EffectEvidence
from bncheck.rules import harm_of
from bncheck.vocabulary import Harm

_HARMS = (Harm.EXCLUDED, Harm.UNKNOWN, Harm.SHOWN, Harm.LARGE)


def deciding(heads: list[EffectEvidence]) -> EffectEvidence | None:
    """What all labelled outputs show, told of the one that loses most; `None` where there is none.

    Labels that judge go before those that are of no task that is known. The worse harm decides, then the larger share
    of what is lacking of perfect, as far as it is sure.
    """
    if not heads:
        return None
    judged = [one for one in heads if one.task is not None] or heads
    most = max(judged, key=lambda one: (_HARMS.index(harm_of(one)), _surely_lost(one)))
    return replace(most, heads=tuple(heads)) if len(heads) > 1 else most


def _surely_lost(effect: EffectEvidence) -> float:
    """The least that the score loses, in what is lacking of perfect, or in the score's own unit."""
    if effect.task is None:
        return -math.inf
    low = effect.task.score.low(THRESHOLDS.confidence_z) / (effect.task.errors or effect.task.unit)
    return -math.inf if math.isnan(low) else low
