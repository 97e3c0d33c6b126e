"""What was seen of the outputs: under other statistics, and beside a reference."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.results import Accuracy


@dataclass(frozen=True, slots=True)
class EffectEvidence:
    """How outputs move from stored to recalibrated statistics (cross-fitted), and how much of it is noise.

    Attributes:
        predictions_changed: fraction of predictions that differ; `None` for outputs that are no class scores.
        changed_by_noise: the same between statistics of one half of the data and of the other.
        output_change: relative L2 change of the outputs.
        output_change_by_noise: the same between the two halves' statistics.
        predictions: how many predictions were compared.
        accuracy: with labels.
        gain: accuracy gained by recalibration; `None` without labels.
        gain_error: its standard error, the sample being the unit (for one prediction a sample: from the discordant
            pairs, as in McNemar's test); `None` for a user's metric, whose scale is not known.
        classes: how many the model tells apart; `None` for outputs that are no class scores.
        lost: share of the predictions that recalibration turns from right to wrong; `None` without labels.
        information: what the predictions tell about the inputs, in nats: the entropy of the average prediction
            less their average entropy (mutual information); `None` for outputs that are no class scores.
        information_recalibrated: the same with recalibrated statistics.
    """

    predictions_changed: float | None
    changed_by_noise: float | None
    output_change: float | None
    output_change_by_noise: float | None
    predictions: int
    accuracy: Accuracy | None
    gain: float | None
    gain_error: float | None
    classes: int | None = None
    lost: float | None = None
    information: float | None = None
    information_recalibrated: float | None = None


@dataclass(frozen=True, slots=True)
class OutputAgreement:
    """A model's outputs beside its reference's, on the same samples.

    Attributes:
        path: of the reference.
        samples: run through both.
        output_change: relative L2 difference of the outputs.
        predictions_changed: fraction that differ; `None` for outputs that are no class scores.
        precision: spacing of the numbers around 1 in the coarsest type either computes in; `None` if quantized.
        parts_at: first layer, in running order, that is fed something else than in the reference.
        agrees_until: last layer before it that is fed the same.
    """

    path: str
    samples: int
    output_change: float
    predictions_changed: float | None
    precision: float | None
    parts_at: str | None
    agrees_until: str | None
