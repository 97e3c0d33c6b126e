"""BN609: statistics of a training batch lie far from those of all batches, by chance alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bncheck.core import THRESHOLDS, rms
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import single
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark with the batch size that would do."""
    training = evidence.training
    if training is None or not training.noise or (training.order is not None and training.order.is_grouped):
        return
    noise = rms(list(training.noise.values()))
    if not noise > THRESHOLDS.batch_noise:
        return
    # The noise falls with the root of the batch size; sizes are told in powers of two.
    excess = noise / THRESHOLDS.batch_noise
    needed = training.batch_size * excess * excess
    enough = 2 ** math.ceil(math.log2(needed))
    worst = max(training.noise, key=training.noise.__getitem__)
    yield Finding(
        code="BN609",
        severity=Severity.INFO,
        layers=(),
        message=(
            f"In batches of {training.batch_size} the statistics are noisy: they lie {noise:.2f} from those of all "
            f"batches (most in {worst}, {training.noise[worst]:.2f}); batches of {enough} would bring that below "
            f"{THRESHOLDS.batch_noise}."
        ),
        fix=(
            f"Train with batches of {enough} or more (gradient accumulation does not count, SyncBatchNorm does), with "
            "Batch Renormalization, or with frozen statistics where the network was pretrained."
        ),
        measure=single("gap", noise, limit=THRESHOLDS.batch_noise),
        evidence={
            "batch_size": training.batch_size,
            "noise": noise,
            "enough": enough,
            "worst_layer": worst,
            "worst_noise": training.noise[worst],
        },
    )
