"""Spread by the typical value, which one that is far off does not bend."""

from __future__ import annotations

AS_NORMAL = 1.4826
"""Times the median absolute deviation: a normal distribution's standard deviation."""
