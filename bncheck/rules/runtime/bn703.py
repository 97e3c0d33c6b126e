"""BN703: the same samples give other outputs in batches of another composition."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core import BATCH_NORM
from bncheck.evidence import Evidence, Invariance
from bncheck.results import Cost, Finding
from bncheck.rules.judging.measures import single
from bncheck.rules.judging.naming import name_some
from bncheck.vocabulary import Remedy, Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error where outputs differ by more than rounding and randomness."""
    found = evidence.probed.invariance
    if found is None or not found.depends:
        return
    suspects = [
        layer
        for layer in evidence.layers
        if layer.kind == BATCH_NORM and not layer.has_statistics and not layer.missing
    ]
    decisions = (
        "" if found.decisions_changed is None else f", and {found.decisions_changed:.1%} of the predictions change"
    )
    yield Finding(
        code="BN703",
        severity=Severity.ERROR,
        layers=tuple(layer.name for layer in suspects),
        message=(
            f"Predictions depend on batch composition. {found.samples} samples run again beside others, in batches of "
            f"{found.batch_size}, move the outputs by {found.change:.2g} (relative L2){decisions}."
            + (f" {name_some(suspects)} normalize by the batch, having no stored statistics." if suspects else "")
        ),
        fix=(
            "Give these layers running statistics (`track_running_stats=True`) and train on, or replace them by a norm "
            "that looks at one sample (GroupNorm, LayerNorm); until then, predict in batches like those of training."
            if suspects
            else "Look for what mixes samples: an axis mistaken for the batch (reshape, softmax, attention), a "
            "norm or mean over the batch, a program exported in training mode."
        ),
        measure=single("output change", found.change, noise=found.again),
        cost=_cost(found),
        evidence={
            "samples": found.samples,
            "batch_size": found.batch_size,
            "output_change": found.change,
            "output_change_of_the_same_batch": found.again,
            "predictions_changed": found.decisions_changed,
            "tolerance": found.tolerance,
            "layers": [layer.name for layer in suspects],
        },
    )


def _cost(found: Invariance) -> Cost | None:
    changed = found.decisions_changed
    if changed is None:
        return None
    return Cost("predictions changed", None, changed, remedy=Remedy.COMPOSITION, samples=found.samples)
