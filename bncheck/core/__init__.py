"""Moments, gaps, noise and what-ifs: the mathematics, on numpy arrays alone."""

from bncheck.core.exchangeable import Exchangeability, exchangeability
from bncheck.core.gap import Gap, compare, rms
from bncheck.core.guessing import above_guessing, poor_accuracy
from bncheck.core.moments import InstanceMoments, Moments, SampleMoments
from bncheck.core.noise import (
    ASSUMED_MOMENTUM,
    CONFIDENCE_Z,
    MovingAverage,
    gap_lower_bound,
    noise_floor,
    samples_needed,
    smallest_detectable_gap,
)
from bncheck.core.significance import discoveries, gap_p_value
from bncheck.core.thresholds import THRESHOLDS, Thresholds, in_force
from bncheck.core.whatif import BatchSizeRow, StoredChannels, batch_size_rows

__all__ = [
    "ASSUMED_MOMENTUM",
    "CONFIDENCE_Z",
    "THRESHOLDS",
    "BatchSizeRow",
    "Exchangeability",
    "Gap",
    "InstanceMoments",
    "Moments",
    "MovingAverage",
    "SampleMoments",
    "StoredChannels",
    "Thresholds",
    "above_guessing",
    "batch_size_rows",
    "compare",
    "discoveries",
    "exchangeability",
    "gap_lower_bound",
    "gap_p_value",
    "in_force",
    "noise_floor",
    "poor_accuracy",
    "rms",
    "samples_needed",
    "smallest_detectable_gap",
]
