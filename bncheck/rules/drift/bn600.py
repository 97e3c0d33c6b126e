"""BN600: a measured layer exceeds the limit the user set; a gap that is not a number passes no limit."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import noise_of
from bncheck.rules.limit import beyond_limit


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error for each such layer."""
    limit = evidence.max_gap
    if limit is None:
        return
    for name, layer in evidence.measured.items():
        if (finding := beyond_limit(name, layer.gap, limit, noise_of([layer]))) is not None:
            yield finding
