"""Everything one inspection observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bncheck.core import BatchSizeRow, NormLayer, SiblingCopy
from bncheck.evidence.advice import PYTORCH_ADVICE, Advice
from bncheck.evidence.closer import NOTHING_CLOSER, CloserLook
from bncheck.evidence.comparison import Comparison
from bncheck.evidence.measured import DriftEvidence, MeasuredLayer, SliceEvidence, ZeroedWeights
from bncheck.evidence.outputs import EffectEvidence, OutputAgreement
from bncheck.evidence.probed import Probed
from bncheck.evidence.runtime import RuntimeCheck
from bncheck.evidence.training import TrainingEvidence
from bncheck.evidence.weights.copies import CopyFit
from bncheck.evidence.weights.predicted import Predictions
from bncheck.results import DataFacts, Note, TrainingEps
from bncheck.vocabulary import Reason


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything one inspection observed.

    Attributes:
        layers: every normalization layer, in the order the model runs them (declared order without data).
        measured: by name, those that the data exercised.
        skipped: by name, why a layer could not be measured.
        model_path: as in the report.
        advice: what findings advise in files of its format.
        has_convolutions: whether the model convolves (a network without norm layers may have had them folded).
        averaged: the model is an averaged copy (EMA, SWA), by its name in the checkpoint.
        siblings: other copies of it in the same file.
        optimizer_steps: how often the optimizer in the same file has stepped; `None` where none says.
        zeroed: weights of exactly 0; `None` where that was not looked at, or there are none.
        in_training: names of layers that were in training mode when the module was pickled.
        data: what was run; `None` for a static audit.
        not_run: data were given, but the model's runtime refuses it, so only the file was audited.
        dropped: samples left out: a fixed batch size could not take them, or they are not finite.
        effect: `None` without data, or where it could not be measured.
        outputs_not_finite: samples that are answered by NaN or infinity, as shipped.
        runtime: what became of a few samples in the runtime's normalization, call by call.
        batch_sizes: what-ifs from the stored pass.
        slices: of the data, those first whose gap is surest; none where nobody has asked.
        drift: since an earlier run; `None` where nobody has asked.
        smallest_detectable_gap: what would show in every layer; infinite for too few samples, `None` without data.
        samples_needed: to bring that down to the margin.
        max_gap: the limit the user set.
        comparison: with a reference, if one was given.
        agreement: of the outputs with the reference's, where both could be run.
        deploy_dtype: the precision that the model is to run in, `float16` or `bfloat16`; `None` where not said.
        training_planned: the model is to be trained further.
        training: what the layers see on the training sampling, if it was given.
        closer: what was asked of single layers.
        expect_frozen: names of layers, with `*` and `?`, whose statistics must equal the reference's.
        probed: what running a few samples again has shown.
        predicted: what the weights say that stored statistics should be; `None` where that was not asked.
        copies: whose weights the statistics of averaged copies fit; none with data.
        notes: what was chosen on the way, for the reader of the report.
    """

    layers: tuple[NormLayer, ...]
    measured: Mapping[str, MeasuredLayer] = field(default_factory=dict)
    skipped: Mapping[str, Reason] = field(default_factory=dict)
    model_path: str = ""
    advice: Advice = PYTORCH_ADVICE
    has_convolutions: bool = False
    averaged: bool = False
    siblings: tuple[SiblingCopy, ...] = ()
    optimizer_steps: int | None = None
    zeroed: ZeroedWeights | None = None
    in_training: frozenset[str] = frozenset()
    data: DataFacts | None = None
    not_run: bool = False
    dropped: int = 0
    effect: EffectEvidence | None = None
    outputs_not_finite: int = 0
    runtime: tuple[RuntimeCheck, ...] = ()
    batch_sizes: tuple[BatchSizeRow, ...] = ()
    slices: tuple[SliceEvidence, ...] = ()
    drift: DriftEvidence | None = None
    smallest_detectable_gap: float | None = None
    samples_needed: int | None = None
    max_gap: float | None = None
    comparison: Comparison | None = None
    agreement: OutputAgreement | None = None
    deploy_dtype: str | None = None
    training_planned: bool = False
    training: TrainingEvidence | None = None
    closer: CloserLook = NOTHING_CLOSER
    expect_frozen: tuple[str, ...] = ()
    probed: Probed = field(default_factory=Probed)
    predicted: Predictions | None = None
    copies: tuple[CopyFit, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def eps(self) -> TrainingEps | None:
        """The eps that explain the stored statistics; `None` with data, and where it is not known."""
        return None if self.predicted is None else self.predicted.eps

    def with_statistics(self) -> tuple[NormLayer, ...]:
        """The layers that store statistics."""
        return tuple(layer for layer in self.layers if layer.has_statistics)
