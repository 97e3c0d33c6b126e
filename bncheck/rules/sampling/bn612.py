"""BN612: so few values per channel that the divisor n against n - 1 alone tells train mode from eval mode."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bncheck.core import THRESHOLDS
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import worst
from bncheck.rules.judging.naming import some_names
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark that names every such layer."""
    training = evidence.training
    if training is None:
        return
    factors = {name: math.sqrt(n / (n - 1)) for name, n in training.values.items() if n > 1}
    tiny = {name: factor for name, factor in factors.items() if factor - 1 > THRESHOLDS.bessel}
    if not tiny:
        return
    most = max(tiny, key=tiny.__getitem__)
    names = list(tiny)
    yield Finding(
        code="BN612",
        severity=Severity.INFO,
        layers=tuple(names),
        message=(
            f"In training batches of {training.batch_size} a channel of {most} has {training.values[most]} values: "
            f"train mode divides by the standard deviation of n, eval mode by the stored one of n - 1, which is "
            f"{tiny[most]:.3f} times larger even when both are right"
            + (f" ({len(names)} layers: {some_names(names)})." if len(names) > 1 else ".")
        ),
        fix=(
            "Nothing where the next layer learns the scale; where train and eval must agree, use larger batches, or "
            "multiply the stored variances by (n - 1)/n."
        ),
        measure=worst(
            "relative difference", {name: factor - 1 for name, factor in tiny.items()}, limit=THRESHOLDS.bessel
        ),
        evidence={
            "layers": names,
            "values": [training.values[name] for name in names],
            "factors": [tiny[name] for name in names],
            "batch_size": training.batch_size,
        },
    )
