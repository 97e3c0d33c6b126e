"""The limit a user sets on gaps."""

from __future__ import annotations

import math

from bncheck.errors import UsageError
from bncheck.results.finding import Finding
from bncheck.results.report import ERROR

CODE = "BN600"


def require_limit(limit: float | None) -> None:
    """Raise UsageError where it is no limit: nothing exceeds what is not a number."""
    if limit is not None and not limit >= 0:
        raise UsageError(f"--max-gap {limit:g}: it must be at least 0.")


def beyond_limit(name: str, gap: float, limit: float) -> Finding | None:
    """BN600, if the layer's gap exceeds the limit; a gap that is not a number passes no limit."""
    if gap <= limit:
        return None
    shown = f"{gap:.3g}" if math.isfinite(gap) else "not a number"
    return Finding(
        code=CODE,
        severity=ERROR,
        layers=(name,),
        message=f"{name or 'The model'}: the gap is {shown}, above the limit of {limit:g}.",
        fix="See the other findings for the cause; raise --max-gap only if this gap is meant to be there.",
        evidence={"gap": gap if math.isfinite(gap) else str(gap), "limit": limit},
    )
