"""What the rules judge by, as values: everything that was observed, and nothing that was concluded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bncheck.folding import Comparison
from bncheck.layers import NormLayer, SiblingCopy
from bncheck.report import Accuracy, DataFacts
from bncheck.statistics import BatchSizeRow, Exchangeability, Gap, rms

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
class RuntimeCheck:
    """The runtime's own answers of one layer call beside its formula in float64, on the same inputs.

    Attributes:
        layer: its name.
        call: which of its calls in a forward, from 0.
        dtype: the coarsest type among the answers and the parameters (`float32`).
        values: how many answers were compared; those that are not finite are left out.
        errors: largest error of each channel, shape (C,), in roundings of `dtype`: its machine epsilon times the
            size of the terms that are added, |a x| + |a mean| + |beta| with a = gamma / sqrt(var + eps).
        channel, position: where the largest error of all is; the position counts over the flattened spatial axes.
        fed, expected, came: the input there, the answer by the formula, and the runtime's.
    """

    layer: str
    call: int
    dtype: str
    values: int
    errors: FloatArray
    channel: int
    position: int
    fed: float
    expected: float
    came: float

    @property
    def error(self) -> float:
        """The largest of all."""
        return float(self.errors[self.channel])


@dataclass(frozen=True, slots=True, eq=False)
class TrainingEvidence:
    """The training sampling, read in its own order and batches, through the model as shipped.

    Attributes:
        source: as named by the user.
        samples: run, of batches spread over the whole order.
        batch_size: of a loader its own; of files, which make no batches, the one the user set.
        own_batches: whether a loader made the batches.
        measured: by name, what the layers saw on it; without own gaps.
        order: whether its batches could be random draws; `None` where there are too few.
        values: by name of a batch norm, the values per channel in a training batch (samples x positions).
        noise: by name, the RMS gap of one training batch's statistics from those of all of them.
        smallest_detectable_gap: as in `Evidence`.
    """

    source: str
    samples: int
    batch_size: int
    own_batches: bool
    measured: Mapping[str, MeasuredLayer]
    order: Exchangeability | None
    values: Mapping[str, int]
    noise: Mapping[str, float]
    smallest_detectable_gap: float | None


@dataclass(frozen=True, slots=True)
class CallsApart:
    """How far the calls of one layer lie apart, and what one set of statistics for all of them costs.

    Attributes:
        gap: the largest RMS gap of a call's statistics from the average of all calls', which the layer would store.
        lower: its lower 95 % confidence bound, the sample being the unit.
        effect: of giving each call its own statistics in place of that average.
    """

    gap: float
    lower: float
    effect: EffectEvidence | None


@dataclass(frozen=True, slots=True)
class FlatShare:
    """How much of a layer's input is one constant vector after the other, as padding is.

    Attributes:
        share: of the positions, those equal in every channel to their neighbour; the average over samples.
        lopsided: of the other positions, how many more lie in one half of the axis than in the other, as a share.
    """

    share: float
    lopsided: float


@dataclass(frozen=True, slots=True)
class DropoutGap:
    """A layer's gap on the same samples, with dropout off (as in inference) and on (as in training)."""

    off: float
    on: float


@dataclass(frozen=True, slots=True, eq=False)
class Probed:
    """What probes on a few samples showed of single layers, by name.

    Attributes:
        fed_by_input: layers with no other normalization before them.
        alone: relative L2 change of the outputs where that layer alone takes the measured statistics.
        calls: layers that run several times in a forward, whose calls disagree.
        dropout: layers of a model whose dropout could be switched on.
        flat: layers fed feature maps or sequences.
        order: whether batches in the data's own order could be random draws.
    """

    fed_by_input: frozenset[str] = frozenset()
    alone: Mapping[str, float] = field(default_factory=dict)
    calls: Mapping[str, CallsApart] = field(default_factory=dict)
    dropout: Mapping[str, DropoutGap] = field(default_factory=dict)
    flat: Mapping[str, FlatShare] = field(default_factory=dict)
    order: Exchangeability | None = None


NOTHING_PROBED = Probed()


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
        averaged: the model is an averaged copy (EMA, SWA), by its name in the checkpoint.
        siblings: other copies of it in the same file.
        optimizer_steps: how often the optimizer in the same file has stepped; `None` where none says.
        in_training: names of layers that were in training mode when the module was pickled.
        data: what was run; `None` for a static audit.
        not_run: data were given, but the model's runtime refuses it, so only the file was audited.
        dropped: samples left out, because a fixed batch size could not take them.
        effect: `None` without data, or where it could not be measured.
        runtime: what became of a few samples in the runtime's normalization, call by call.
        batch_sizes: what-ifs from the stored pass.
        smallest_detectable_gap: what would show in every layer; infinite for too few samples, `None` without data.
        samples_needed: to bring that down to the margin.
        max_gap: the limit the user set.
        comparison: with a reference, if one was given.
        agreement: of the outputs with the reference's, where both could be run.
        deploy_dtype: the precision that the model is to run in, `float16` or `bfloat16`; `None` where not said.
        training_planned: the model is to be trained further.
        training: what the layers see on the training sampling, if it was given.
        probed: what was asked of single layers.
        expect_frozen: names of layers, with `*` and `?`, whose statistics must equal the reference's.
        notes: what was chosen on the way, for the reader of the report.
    """

    layers: tuple[NormLayer, ...]
    measured: Mapping[str, MeasuredLayer] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    model_path: str = ""
    model_format: str = ""
    runnable: bool = False
    has_convolutions: bool = False
    averaged: bool = False
    siblings: tuple[SiblingCopy, ...] = ()
    optimizer_steps: int | None = None
    in_training: frozenset[str] = frozenset()
    data: DataFacts | None = None
    not_run: bool = False
    dropped: int = 0
    effect: EffectEvidence | None = None
    runtime: tuple[RuntimeCheck, ...] = ()
    batch_sizes: tuple[BatchSizeRow, ...] = ()
    smallest_detectable_gap: float | None = None
    samples_needed: int | None = None
    max_gap: float | None = None
    comparison: Comparison | None = None
    agreement: OutputAgreement | None = None
    deploy_dtype: str | None = None
    training_planned: bool = False
    training: TrainingEvidence | None = None
    probed: Probed = NOTHING_PROBED
    expect_frozen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def with_statistics(self) -> tuple[NormLayer, ...]:
        """The layers that store statistics."""
        return tuple(layer for layer in self.layers if layer.has_statistics)
