"""The input fed otherwise: scaled, or with its channels in another order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from bncheck.core import THRESHOLDS
from bncheck.evidence.pairs import Paired
from bncheck.vocabulary import argument

SAMPLING = math.sqrt(1.5)
"""Gap that sampling alone shows, times the root of the number of samples: one normal value of each a channel."""
SHARE, ORDER_SHARE, NEAR_FACTOR = THRESHOLDS.map_left, THRESHOLDS.order_left, THRESHOLDS.near_factor
"""The same numbers under the names by which the probes still import them."""
BY_OPTIONS = f"values normalized by {argument('mean')} and {argument('std')}"
AS_READ = "them as they are read, without"
"""What data are called that bncheck itself was told to normalize, and what they are else."""


@dataclass(frozen=True, slots=True)
class AffineMap:
    """slope * x + intercept, one of each per channel or one for all."""

    slope: tuple[float, ...]
    intercept: tuple[float, ...] = (0.0,)

    @property
    def factor(self) -> float | None:
        """The factor, where that is all it is."""
        return self.slope[0] if len(set(self.slope)) == 1 and not any(self.intercept) else None

    def of_each(self, channels: int = 1) -> tuple[tuple[float, float], ...]:
        """Slope and intercept of each of at least so many channels."""
        number = max(channels, len(self.slope), len(self.intercept))
        slopes, intercepts = (
            values * number if len(values) == 1 else values for values in (self.slope, self.intercept)
        )
        return tuple(zip(slopes, intercepts, strict=True))

    @property
    def undone(self) -> AffineMap:
        """The map back."""
        pairs = self.of_each()
        return AffineMap(tuple(1 / slope for slope, _ in pairs), tuple(-level / slope for slope, level in pairs))

    @property
    def inverts(self) -> bool:
        """Whether bright becomes dark."""
        return all(slope < 0 for slope in self.slope)


class Mistake(Enum):
    """What was done wrong on the way to the network, where the map and the data's own range tell.

    `RAW`: pixels as they are stored were not normalized. `UNSCALED`: they were normalized by constants for 0..1
    without having been divided by 255, or divided once too often. `TWICE`: they were normalized twice.
    """

    RAW = "not normalized"
    UNSCALED = "normalized in another unit"
    TWICE = "normalized twice"


@dataclass(frozen=True, slots=True)
class InputScaling:
    """A map of the input under which the layers fed by it see what their statistics describe.

    Attributes:
        map: from the input as it is to the input that fits.
        fed: in words, what the data are by their range.
        expected: what they become; `None` where the factor was solved from the statistics, and has no name.
        seen: the samples as they are, and mapped.
        constant: the map's numbers are known, not taken from the data.
        mistake: what was done wrong, where that is told apart from all else; `None` where the map alone is known.
    """

    map: AffineMap
    fed: str
    expected: str | None
    seen: Paired
    constant: bool = True
    mistake: Mistake | None = None

    @property
    def fits(self) -> bool:
        """Whether hardly any of the gap is left: less still for a factor that exposure or contrast may reach."""
        factor = self.map.factor
        is_near = factor is not None and 1 / THRESHOLDS.near_factor < factor < THRESHOLDS.near_factor
        before, after = self.seen.before.gap, self.seen.after.gap
        if self.expected is not None and THRESHOLDS.margin < after <= THRESHOLDS.map_left_far * before:
            return True
        share = THRESHOLDS.map_left_near if is_near or self.expected is None else THRESHOLDS.map_left
        if self.is_solved:
            share = THRESHOLDS.map_left_solved
        most = (
            math.hypot(THRESHOLDS.near_margin, SAMPLING / math.sqrt(self.seen.samples))
            if self.expected is None
            else THRESHOLDS.margin
        )
        return before > THRESHOLDS.margin and after <= min(most, share * before)

    @property
    def is_solved(self) -> bool:
        """Whether slope and intercept are what happens to fit, known from nowhere else."""
        return self.expected is None and self.map.factor is None

    @property
    def reaches_everywhere(self) -> bool:
        """Whether the gap goes in the layers behind too.

        Under a known map that leaves next to nothing of a gap no picture can make, another domain may leave some.
        """
        seen = self.seen
        is_far = self.constant and seen.after.gap <= THRESHOLDS.map_left_far * seen.before.gap
        most = math.inf if is_far and seen.before.gap > THRESHOLDS.beyond_pictures else THRESHOLDS.margin
        return seen.after.model_gap <= min(most, THRESHOLDS.map_left * seen.before.model_gap)

    @property
    def explains(self) -> bool:
        """Whether the predictions say so too: by their task, or without labels by what reaches the last layer.

        How sure a network looks is not asked: far outside of what it was trained on it looks surer than it is.
        """
        seen = self.seen
        if not self.fits or (self.is_solved and not self.reaches_everywhere):
            return False
        if seen.wins is not None:
            return seen.wins
        return self.reaches_everywhere and seen.moves_outputs

    @property
    def is_plausible(self) -> bool:
        """Whether every gap is explained and no prediction speaks against it, although none may speak for it."""
        return self.fits and self.reaches_everywhere and not self.seen.loses


@dataclass(frozen=True, slots=True)
class ChannelOrder:
    """An order of the input's channels that fits better than the given one.

    Attributes:
        order: which given channel stands in each place of the better order.
        tried: how many orders there are, the given one left out.
        seen: the samples as they are, and reordered.
        normalized: by which mean and standard deviation, in words, the values were normalized in the wrong order;
            `None` where they simply stand in another order.
        next_gap: the smallest that any third order leaves, on fewer samples; `None` where there is none.
    """

    order: tuple[int, ...]
    tried: int
    seen: Paired
    normalized: str | None = None
    next_gap: float | None = None

    def fits_exactly(self, noise: float) -> bool:
        """Whether the whole gap goes, to what sampling makes of it, in this order and no other.

        Means and variances of every channel of the first layer would have to agree by accident: other pictures, casts
        of colour among them, leave far more of the gap, and gray ones as much in any order.

        Args:
            noise: gap that as many samples of the data of the training would show.
        """
        before, after = self.seen.before.gap, self.seen.after.gap
        if self.next_gap is None or not before > THRESHOLDS.near_margin or not self.seen.moves_outputs:
            return False
        falls = after <= min(THRESHOLDS.order_left_exact * before, THRESHOLDS.order_noises * noise)
        return falls and self.next_gap >= THRESHOLDS.order_apart * after

    @property
    def fits(self) -> bool:
        """Whether hardly any gap is left; else the channels are in another order, and the best may not be it."""
        return self.seen.after.gap <= max(THRESHOLDS.margin, THRESHOLDS.map_left * self.seen.before.gap)

    @property
    def explains(self) -> bool:
        """Whether the gap falls and predictions are clearly better; without labels both by far more.

        Where labels show a large gain the gap need not fall, if it is a healthy one: colours may be alike.
        """
        seen = self.seen
        share = seen.after.gap / seen.before.gap if seen.before.gap > 0 else 1.0
        if seen.wins is not None:
            is_large = (seen.gain or 0.0) > THRESHOLDS.large_effect and seen.after.gap <= THRESHOLDS.margin
            return seen.wins and (share < THRESHOLDS.order_left or is_large)
        is_clear = share < THRESHOLDS.order_left_unlabelled and seen.before.gap > THRESHOLDS.near_margin
        return (
            is_clear
            and seen.moves_outputs
            and (self._mends_the_impossible or seen.information_ratio > 1 + THRESHOLDS.information_margin)
        )

    @property
    def _mends_the_impossible(self) -> bool:
        """Whether a gap beyond what other pictures make goes in all layers: then nothing else has to speak for it."""
        seen = self.seen
        falls = seen.after.gap <= min(THRESHOLDS.margin, THRESHOLDS.map_left_near * seen.before.gap)
        everywhere = seen.after.model_gap <= min(THRESHOLDS.margin, THRESHOLDS.map_left * seen.before.model_gap)
        return seen.before.gap > THRESHOLDS.beyond_shift and falls and everywhere
