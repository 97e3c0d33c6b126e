"""BN707: sampling noise alone would show gaps larger than those that matter."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bncheck.core import THRESHOLDS
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import single
from bncheck.rules.judging.naming import shown
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark with the number of samples that would do."""
    smallest = evidence.smallest_detectable_gap
    if evidence.data is None or smallest is None or smallest <= THRESHOLDS.margin:
        return
    samples = evidence.data.samples
    needed = evidence.samples_needed
    if math.isinf(smallest) and samples >= THRESHOLDS.fewest_groups:
        told = f"The {samples} samples do not differ from one another, so they tell no more than one"
        fix = "Give samples that differ, as those of training do; look at what reads them."
    elif math.isinf(smallest):
        told = f"From {samples} {'sample' if samples == 1 else 'samples'} no gap can be told from noise"
        fix = "Give more samples, a hundred at the least."
    else:
        told = f"{samples} samples can only show gaps above {smallest:.2g}; gaps above {THRESHOLDS.margin} matter"
        fix = (
            f"Give at least {_with_headroom(needed)} samples."
            if needed
            else "More samples will not do: the stored statistics were averaged over too few batches themselves."
        )
    yield Finding(
        code="BN707",
        severity=Severity.INFO,
        layers=(),
        message=f"{told}.",
        fix=fix,
        measure=single("gap", smallest, limit=THRESHOLDS.margin),
        evidence={
            "samples": samples,
            "smallest_detectable_gap": shown(smallest),
            "samples_needed": needed,
        },
    )


def _with_headroom(needed: int) -> int:
    """Add a quarter, in tens: what few samples say of the noise is itself uncertain."""
    return math.ceil(1.25 * needed / 10) * 10
