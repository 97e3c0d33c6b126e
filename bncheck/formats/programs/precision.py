"""The place where rooms above still look for a model's precision."""

from __future__ import annotations

from bncheck.formats.backend import Backend


def coarsest_precision(model: Backend) -> float | None:
    """See `Backend.precision`."""
    return model.precision()
