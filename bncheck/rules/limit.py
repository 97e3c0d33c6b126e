"""The limit a user sets on gaps."""

from __future__ import annotations

import math

from bncheck.errors import UsageError
from bncheck.results import LIMIT, Finding, Measure
from bncheck.vocabulary import Severity, argument


def require_limit(limit: float | None) -> None:
    """Refuse what is no limit: nothing exceeds what is not a number.

    Raises:
        UsageError: it is below 0, or not a number.
    """
    if limit is not None and not limit >= 0:
        raise UsageError(f"{argument('max_gap')} {limit:g}: it must be at least 0.")


def beyond_limit(name: str, gap: float, limit: float, noise: float = 0.0) -> Finding | None:
    """Give BN600, if the layer's gap exceeds the limit; a gap that is not a number passes no limit.

    Args:
        name: of the layer.
        gap: as measured.
        limit: that the user set.
        noise: what sampling alone would show.
    """
    if gap <= limit:
        return None
    finite = math.isfinite(gap)
    shown = f"{gap:.3g}" if finite else "not a number"
    return Finding(
        code=LIMIT,
        severity=Severity.ERROR,
        layers=(name,),
        message=f"{name or 'The model'}: the gap is {shown}, above the limit of {limit:g}.",
        fix=(
            f"See the other findings for the cause; raise {argument('max_gap')} only if this gap is meant to be there."
        ),
        measure=Measure("gap", gap if finite else None, noise=noise if math.isfinite(noise) else 0.0, limit=limit),
        evidence={"gap": gap if finite else str(gap), "limit": limit},
    )
