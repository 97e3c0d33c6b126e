"""BN703: predictions as shipped that depend on which samples run together."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.core.layers import BATCH_NORM
from bncheck.evidence import Evidence
from bncheck.results.finding import Finding
from bncheck.results.report import ERROR
from bncheck.rules.absent import name_some


def depends_on_mates(evidence: Evidence) -> Iterator[Finding]:
    """BN703: the same samples give other outputs beside other batch mates, by more than rounding and randomness."""
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
        severity=ERROR,
        layers=tuple(layer.name for layer in suspects),
        message=(
            f"Predictions depend on batch mates. {found.samples} samples run again beside others, in batches of "
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
