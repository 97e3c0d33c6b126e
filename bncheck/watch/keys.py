"""Keys by which samples are drawn: a hash of the seed and of a sample's position, the same whoever reads it.

The samples with the smallest keys are a simple random draw, and those of a union are among those of its parts: that
is what lets accumulators over shards of the data be merged to what one over all of them would hold.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def sample_keys(seed: int, positions: npt.ArrayLike) -> Keys:
    """The keys of the samples at `positions`, shape (n,), under `seed`.

    Source: the finalizer of SplitMix64 (Steele, Lea & Flood 2014), over the seed and then over the position: a
    bijection, so that no two samples share a key.
    """
    numbers = np.asarray(positions, dtype=np.int64).astype(np.uint64)
    with np.errstate(over="ignore"):
        start = _mixed(np.array([seed % 2**64], dtype=np.uint64) * _GOLDEN + _FIRST)
        return _mixed((numbers + np.uint64(1)) * _GOLDEN + start)


def _mixed(values: Keys) -> Keys:
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))
