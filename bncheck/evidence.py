"""What the rules judge by, as values: everything that was observed, and nothing that was concluded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bncheck.folding import Comparison
from bncheck.layers import NormLayer
from bncheck.probed import Probed
from bncheck.report import Accuracy, DataFacts
from bncheck.statistics import BatchSizeRow, Gap, rms

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredLayer:
    """A layer's stored statistics beside those of the data; arrays have shape (C,).

    Attributes:
        layer: as the file declares it, with the eps and momentum the call used.
        calls: calls in one forward.
        call_gaps: the layer's gap at each call, `None` for a single call.
        mean, var: measured in the stored pass over all calls (divisor n).
        inherited: gap against them: what inference sees, upstream errors included.
        own: gap measured while every layer normalizes by the batch: the layer's own; `None` without that pass.
        noise: per channel, what sampling alone would show.
        lower: lower 95 % confidence bound of the inherited gap (RMS over channels), noise taken off.
        hidden: channels of a folded layer whose gamma is too small for their input to be seen; they count
            nowhere, and their arrays hold the stored values. `None` where all are seen.
    """

    layer: NormLayer
    calls: int
    call_gaps: tuple[float, ...] | None
    mean: FloatArray
    var: FloatArray
    inherited: Gap
    own: Gap | None
    noise: FloatArray
    lower: float
    hidden: npt.NDArray[np.bool_] | None = None

    @property
    def visible(self) -> npt.NDArray[np.bool_]:
        """Channels that were measured."""
        return np.ones(self.layer.channels, dtype=bool) if self.hidden is None else ~self.hidden

    @property
    def gap(self) -> float:
        """RMS of the inherited gap over channels."""
        return rms(self.inherited.gap[self.visible])

    @property
    def own_gap(self) -> float | None:
        """RMS of the own gap over channels."""
        return None if self.own is None else rms(self.own.gap[self.visible])


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


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything one inspection observed.

    Attributes:
        layers: every normalization layer, in the order the model runs them (declared order without data).
        measured: by name, those that the data exercised.
        skipped: by name, why a layer could not be measured.
        model_path, model_format: as in the report.
        runnable: whether there was a program to run.
        has_convolutions: whether the model convolves (a network without norm layers may have had them folded).
        data: what was run; `None` for a static audit.
        not_run: data were given, but the model's runtime refuses it, so only the file was audited.
        dropped: samples left out, because a fixed batch size could not take them.
        effect: `None` without data, or where it could not be measured.
        batch_sizes: what-ifs from the stored pass.
        smallest_detectable_gap: what would show in every layer; infinite for too few samples, `None` without data.
        samples_needed: to bring that down to the margin.
        max_gap: the limit the user set.
        comparison: with a reference, if one was given.
        agreement: of the outputs with the reference's, where both could be run.
        probed: what running a few samples again has shown.
        notes: what was chosen on the way, for the reader of the report.
    """

    layers: tuple[NormLayer, ...]
    measured: Mapping[str, MeasuredLayer] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    model_path: str = ""
    model_format: str = ""
    runnable: bool = False
    has_convolutions: bool = False
    data: DataFacts | None = None
    not_run: bool = False
    dropped: int = 0
    effect: EffectEvidence | None = None
    batch_sizes: tuple[BatchSizeRow, ...] = ()
    smallest_detectable_gap: float | None = None
    samples_needed: int | None = None
    max_gap: float | None = None
    comparison: Comparison | None = None
    agreement: OutputAgreement | None = None
    probed: Probed = field(default_factory=Probed)
    notes: tuple[str, ...] = ()

    def with_statistics(self) -> tuple[NormLayer, ...]:
        """The layers that store statistics."""
        return tuple(layer for layer in self.layers if layer.has_statistics)
