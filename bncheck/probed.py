"""What running a few samples again, changed or in other company, has shown: values that the rules judge."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bncheck.thresholds import (
    CHANGED_MARGIN,
    GAIN_MARGIN,
    INFORMATION_MARGIN,
    MARGIN,
    NEAR_MARGIN,
    OUTPUT_MARGIN,
)

SURE_Z = 2.5
"""Standard errors that a gain in accuracy must exceed: several maps and orders are tried, and the best is kept."""
ALIKE_AGAIN = 3.0
"""How much more than a second run of the same batch another batch must change, to be more than randomness."""
SHARE = 0.5
"""Share of a gap that a map may leave."""
FAR_SHARE = 0.05
"""Share of a gap that only the right map leaves: what then exceeds the margin is another domain, not another scale."""
NEAR_FACTOR, NEAR_SHARE = 4.0, 0.25
"""Pictures differ in exposure and contrast by factors below 4: there the map must leave no more than a quarter."""
SAMPLING = math.sqrt(1.5)
"""Gap that sampling alone shows, times the root of the number of samples: one normal value of each a channel."""
SOLVED_SHARE = 0.125
"""Share of a gap that two numbers made to fit may leave: initial statistics mixed in can be met to a sixth."""
ORDER_SHARE = 0.97
"""Share of the gap that another order of the channels must fall below, where accuracy says the rest."""
ORDER_SHARE_UNLABELLED = 0.6
"""The same without labels."""
MATES_MARGIN = 0.01
"""Relative change of outputs that matters even where no decision changes."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How a model does on some samples, fed in one way.

    Attributes:
        gap: RMS gap of the layers fed by the input alone.
        model_gap: RMS gap of all measured layers.
        accuracy: top-1; `None` without labels.
        information: what the predictions tell about the inputs, in nats; `None` for outputs that are no class scores.
    """

    gap: float
    model_gap: float
    accuracy: float | None
    information: float | None


@dataclass(frozen=True, slots=True)
class Paired:
    """The same samples fed as they are, and changed.

    Attributes:
        layers: fed by the input alone, in running order.
        samples: how many were run.
        before, after: as they are, and changed.
        gain: accuracy won; `None` without labels.
        gain_error: its standard error, the sample being the unit.
        predictions_changed: fraction that differ; `None` for outputs that are no class scores.
        output_change: relative L2 change of the outputs.
    """

    layers: tuple[str, ...]
    samples: int
    before: Trial
    after: Trial
    gain: float | None
    gain_error: float | None
    predictions_changed: float | None
    output_change: float

    @property
    def wins_accuracy(self) -> bool | None:
        """Whether accuracy rises beyond doubt; `None` without labels."""
        if self.gain is None or self.gain_error is None:
            return None
        return self.gain - SURE_Z * self.gain_error > GAIN_MARGIN

    @property
    def information_ratio(self) -> float:
        """What the predictions tell, changed by unchanged; 1 where it cannot be told."""
        before, after = self.before.information, self.after.information
        if before is None or after is None:
            return 1.0
        return after / before if before > 0 else math.inf

    @property
    def moves_outputs(self) -> bool:
        """Whether outputs change by more than drift may without harm."""
        if self.predictions_changed is not None:
            return self.predictions_changed > CHANGED_MARGIN
        return self.output_change > OUTPUT_MARGIN


@dataclass(frozen=True, slots=True)
class AffineMap:
    """slope * x + intercept, one of each per channel or one for all."""

    slope: tuple[float, ...]
    intercept: tuple[float, ...] = (0.0,)

    @property
    def factor(self) -> float | None:
        """The factor, where that is all it is."""
        return self.slope[0] if len(set(self.slope)) == 1 and not any(self.intercept) else None

    @property
    def inverts(self) -> bool:
        """Whether bright becomes dark."""
        return all(slope < 0 for slope in self.slope)


@dataclass(frozen=True, slots=True)
class InputScaling:
    """A map of the input under which the layers fed by it see what their statistics describe.

    Attributes:
        map: from the input as it is to the input that fits.
        fed: in words, what the data are by their range.
        expected: what they become; `None` where the factor was solved from the statistics, and has no name.
        seen: the samples as they are, and mapped.
        constant: the map's numbers are known, not taken from the data.
    """

    map: AffineMap
    fed: str
    expected: str | None
    seen: Paired
    constant: bool = True

    @property
    def fits(self) -> bool:
        """Whether hardly any of the gap is left: less still for a factor that exposure or contrast may reach."""
        factor = self.map.factor
        is_near = factor is not None and 1 / NEAR_FACTOR < factor < NEAR_FACTOR
        before, after = self.seen.before.gap, self.seen.after.gap
        if self.expected is not None and MARGIN < after <= FAR_SHARE * before:
            return True
        share = NEAR_SHARE if is_near or self.expected is None else SHARE
        if self.is_solved:
            share = SOLVED_SHARE
        most = math.hypot(NEAR_MARGIN, SAMPLING / math.sqrt(self.seen.samples)) if self.expected is None else MARGIN
        return before > MARGIN and after <= min(most, share * before)

    @property
    def is_solved(self) -> bool:
        """Whether slope and intercept are what happens to fit, known from nowhere else."""
        return self.expected is None and self.map.factor is None

    @property
    def reaches_everywhere(self) -> bool:
        """Whether the gap goes in the layers behind too."""
        seen = self.seen
        return seen.after.model_gap <= min(MARGIN, SHARE * seen.before.model_gap)

    @property
    def explains(self) -> bool:
        """Whether the predictions say so too: by their accuracy, or without labels by what reaches the last layer."""
        seen = self.seen
        if not self.fits or (self.is_solved and not self.reaches_everywhere):
            return False
        if seen.wins_accuracy is not None:
            return seen.wins_accuracy
        return self.reaches_everywhere and seen.moves_outputs and seen.information_ratio >= 1 - INFORMATION_MARGIN

    @property
    def is_plausible(self) -> bool:
        """Whether every gap is explained and no prediction speaks against it, although none may speak for it."""
        gain = self.seen.gain
        unharmed = gain > -GAIN_MARGIN if gain is not None else self.seen.information_ratio >= 1 - INFORMATION_MARGIN
        return self.fits and self.reaches_everywhere and unharmed


@dataclass(frozen=True, slots=True)
class ChannelOrder:
    """An order of the input's channels that fits better than the given one.

    Attributes:
        order: which given channel stands in each place of the better order.
        tried: how many orders there are, the given one left out.
        seen: the samples as they are, and reordered.
    """

    order: tuple[int, ...]
    tried: int
    seen: Paired

    @property
    def explains(self) -> bool:
        """Whether the gap falls and predictions are clearly better; without labels both by far more."""
        seen = self.seen
        share = seen.after.gap / seen.before.gap if seen.before.gap > 0 else 1.0
        if seen.wins_accuracy is not None:
            return share < ORDER_SHARE and seen.wins_accuracy
        is_clear = share < ORDER_SHARE_UNLABELLED and seen.before.gap > NEAR_MARGIN
        return is_clear and seen.moves_outputs and seen.information_ratio > 1 + INFORMATION_MARGIN


@dataclass(frozen=True, slots=True)
class Composition:
    """How a model that normalizes by its batch does in grouped batches, and otherwise on the same samples.

    Attributes:
        by_label: each batch holds samples of one label; else the batches are those of a loader.
        batch_size: samples in a batch.
        batches: grouped batches run.
        samples: in all of them.
        grouped: accuracy in grouped batches, by the batch's statistics.
        grouped_error: its standard error, the batch being the unit.
        mixed: the same with the samples mixed.
        stored: by the stored statistics.
        recalibrated: by statistics measured on the other half of the same samples.
    """

    by_label: bool
    batch_size: int
    batches: int
    samples: int
    grouped: float
    grouped_error: float
    mixed: float
    stored: float
    recalibrated: float | None


@dataclass(frozen=True, slots=True)
class Invariance:
    """How outputs as shipped change when the same samples are run beside others.

    Attributes:
        samples: run twice.
        batch_size: samples in a batch.
        change: relative L2 change of their outputs.
        again: the same where the very same batch is run twice: what randomness does.
        decisions_changed: fraction of predictions that differ; `None` for outputs that are no class scores.
        tolerance: relative change that rounding can reach in the model's types.
    """

    samples: int
    batch_size: int
    change: float
    again: float
    decisions_changed: float | None
    tolerance: float

    @property
    def depends(self) -> bool:
        """Whether a sample's output depends on its batch mates."""
        if not math.isfinite(self.change) or self.change <= max(self.tolerance, ALIKE_AGAIN * self.again):
            return False
        return self.change > MATES_MARGIN or bool(self.decisions_changed)


@dataclass(frozen=True, slots=True)
class Probed:
    """What each probe found; `None` where it could not be run, or found nothing to compare."""

    scaling: InputScaling | None = None
    order: ChannelOrder | None = None
    composition: Composition | None = None
    invariance: Invariance | None = None
