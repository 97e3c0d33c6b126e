"""BN606: most of a layer's input repeats its neighbour in every channel, and the rest lies to one side."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import THRESHOLDS
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import worst
from bncheck.rules.judging.naming import some_names
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark that names every such layer."""
    shares = {
        name: flat.share
        for name, flat in evidence.closer.flat.items()
        if flat.share > THRESHOLDS.flat and flat.lopsided > THRESHOLDS.lopsided and name in evidence.measured
    }
    if not shares:
        return
    names = list(shares)
    most = max(shares, key=shares.__getitem__)
    yield Finding(
        code="BN606",
        severity=Severity.INFO,
        layers=tuple(names),
        message=(
            f"Padding dominates the statistics of {some_names(names)}: {shares[most]:.0%} of the positions of "
            f"{most or 'the model'} repeat their neighbour in every channel, and what varies lies to one side."
        ),
        fix=(
            "Normalize over the true positions only (a masked BatchNorm, or select them before it), or pad always to "
            "the same length; batches padded to another length have other statistics."
        ),
        measure=worst("share of the positions", shares, limit=THRESHOLDS.flat),
        evidence={"layers": names, "flat_shares": [shares[name] for name in names]},
    )
