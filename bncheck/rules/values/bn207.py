"""BN207: another quantity than the variance stands where the variances belong, in all layers."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import BATCH_NORM, THRESHOLDS
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of, in_words
from bncheck.rules.judging.harm import weighed
from bncheck.rules.judging.localised import localised
from bncheck.rules.judging.measures import noise_of, single
from bncheck.rules.judging.powers import fit_power
from bncheck.vocabulary import Severity, argument


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding where one power of the stored variances is what every layer sees, and they are not."""
    layers = [layer for layer in evidence.measured.values() if layer.layer.kind == BATCH_NORM]
    found = fit_power(layers) if layers else None
    if found is None or found.before <= THRESHOLDS.near_margin or localised(evidence):
        return  # one layer that is far off alone fits many a power, since the others fit nearly any
    yield Finding(
        code="BN207",
        severity=weighed(evidence, Severity.WARNING),
        layers=found.layers,
        message=(
            f"{found.power.stored[0].upper()}{found.power.stored[1:]} is stored where the variance belongs: over all "
            f"channels the measured variances go as the stored ones to the power of {found.exponent:.2f}, and with "
            f"{found.power.remedy} the own gap of all {len(layers)} layers falls from {found.before:.2g} to "
            f"{found.after:.2g} ({found.explained:.0%} of it squared is explained). {in_words(evidence.effect)}"
        ),
        fix=(
            f"Convert the weights again, or replace running_var by {found.power.remedy} in every layer: that needs no "
            f"data. Recalibrating ({argument('method')} recalibrate) comes to the same."
        ),
        measure=single("gap", found.before, noise=noise_of(layers), limit=THRESHOLDS.near_margin),
        cost=cost_of(evidence.effect, evidence),
        evidence={
            "layers": list(found.layers),
            "stored": found.power.stored,
            "exponent": found.power.exponent,
            "exponent_fitted": found.exponent,
            "explained": found.explained,
            "own_gap_before": found.before,
            "own_gap_after": found.after,
            "accuracy_gain": evidence.effect.gain if evidence.effect else None,
            "predictions_changed": evidence.effect.predictions_changed if evidence.effect else None,
        },
    )
