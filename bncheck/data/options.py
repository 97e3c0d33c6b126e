"""How data are to be read, which is said by `bncheck.settings.DataSettings`, and what that does to values."""

from __future__ import annotations

from bncheck.evidence import AffineMap
from bncheck.settings import Channels, DataSettings, Layout, Size

__all__ = ["Channels", "DataOptions", "Layout", "Size", "normalization_of"]

DataOptions = DataSettings
"""By this name it is public: `inspect(..., data_options=DataOptions(resize=256))`."""


def normalization_of(settings: DataSettings) -> AffineMap | None:
    """What `mean` and `std` do to a value; `None` where they do nothing."""
    known = settings.with_preset()
    if known.mean is None and known.std is None:
        return None
    mean, std = known.mean or (0.0,), known.std or (1.0,)
    return AffineMap(std, mean).undone
