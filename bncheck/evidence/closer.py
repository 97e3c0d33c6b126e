"""What was asked of single layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bncheck.core import Exchangeability
from bncheck.evidence.outputs import EffectEvidence


@dataclass(frozen=True, slots=True)
class CallDistances:
    """How far the calls of one layer lie apart, and what one set of statistics for all of them costs.

    Attributes:
        gap: the largest RMS gap of a call's statistics from the average of all calls', which the layer would store.
        lower: its lower 95 % confidence bound, the sample being the unit.
        effect: of giving each call its own statistics in place of that average.
    """

    gap: float
    lower: float
    effect: EffectEvidence | None


@dataclass(frozen=True, slots=True)
class FlatShare:
    """How much of a layer's input is one constant vector after the other, as padding is.

    Attributes:
        share: of the positions, those equal in every channel to their neighbour; the average over samples.
        lopsided: of the other positions, how many more lie in one half of the axis than in the other, as a share.
    """

    share: float
    lopsided: float


@dataclass(frozen=True, slots=True)
class DropoutGap:
    """A layer's gap on the same samples, with dropout off (as in inference) and on (as in training)."""

    off: float
    on: float


@dataclass(frozen=True, slots=True, eq=False)
class CloserLook:
    """What probes on a few samples showed of single layers, by name.

    Attributes:
        fed_by_input: layers with no other normalization before them.
        alone: what happens to the outputs where that layer alone takes the measured statistics.
        wrong: layers that are certainly wrong by themselves, the largest own gap first.
        together: what happens where these take statistics measured on other samples; `None` where none are wrong.
        in_turn: layers that were given what was measured one after the other in running order, where there was no batch
            pass, with the gap that each had by itself.
        calls: layers that run several times in a forward, whose calls disagree.
        dropout: layers of a model whose dropout could be switched on.
        flat: layers fed feature maps or sequences.
        order: whether batches in the data's own order could be random draws.
        by_instance: what it does to predictions that every InstanceNorm with stored statistics takes each sample's own.
        broken: tensors of the model that are not finite, where what a layer sees or the model answers is not.
    """

    fed_by_input: frozenset[str] = frozenset()
    alone: Mapping[str, EffectEvidence] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()
    together: EffectEvidence | None = None
    in_turn: Mapping[str, float] = field(default_factory=dict)
    calls: Mapping[str, CallDistances] = field(default_factory=dict)
    dropout: Mapping[str, DropoutGap] = field(default_factory=dict)
    flat: Mapping[str, FlatShare] = field(default_factory=dict)
    order: Exchangeability | None = None
    by_instance: EffectEvidence | None = None
    broken: tuple[str, ...] = ()

    def moved_by(self, name: str) -> float | None:
        """Relative L2 change of the outputs by that layer alone; `None` where it was not asked."""
        effect = self.alone.get(name)
        return None if effect is None else effect.output_change


NOTHING_CLOSER = CloserLook()
