"""What running a few samples again, changed or in batches of another composition, has shown."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.evidence.composition import Composition, Invariance
from bncheck.evidence.inputs import AS_READ, BY_OPTIONS, AffineMap, ChannelOrder, InputScaling, Mistake
from bncheck.evidence.other_eps import OtherEps
from bncheck.evidence.pairs import Condition, Paired

__all__ = [
    "AS_READ",
    "BY_OPTIONS",
    "AffineMap",
    "ChannelOrder",
    "Composition",
    "Condition",
    "InputScaling",
    "Invariance",
    "Mistake",
    "OtherEps",
    "Paired",
    "Probed",
]


@dataclass(frozen=True, slots=True)
class Probed:
    """What each probe found; `None` where it could not be run, or found nothing to compare."""

    scaling: InputScaling | None = None
    order: ChannelOrder | None = None
    composition: Composition | None = None
    eps: OtherEps | None = None
    invariance: Invariance | None = None
