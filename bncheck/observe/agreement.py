"""Whether a model and its reference give the same on the same data, and where they first differ."""

from __future__ import annotations

from typing import Any

from bncheck.data.batches import Batch, Source
from bncheck.errors import BncheckError
from bncheck.evidence import OutputAgreement
from bncheck.folding import Comparison
from bncheck.models.base import Model
from bncheck.observe.effect import EffectMeter
from bncheck.observe.instrument import instrument
from bncheck.observe.passes import Plan
from bncheck.observe.policies import STORED
from bncheck.observe.precision import coarsest_precision
from bncheck.observe.recorder import Recorder, together
from bncheck.observe.running import part
from bncheck.statistics import compare, rms

COMPARED_SAMPLES = 64
"""Samples that both are run on: a wrong graph shows at once."""


def compare_outputs(model: Model, reference: Model, source: Source, plan: Plan) -> tuple[OutputAgreement | None, str]:
    """What both give for some samples, and a sentence that says so; `None` where they could not be compared."""
    if not reference.runnable:
        return None, (
            f"Outputs were not compared: {reference.path} holds tensors only. Name its architecture with "
            "--reference-arch."
        )
    batch = next(source.batches(COMPARED_SAMPLES, seed=plan.seed, limit=COMPARED_SAMPLES))
    size = model.fixed_batch or reference.fixed_batch or COMPARED_SAMPLES
    if batch.size < size and (model.fixed_batch or reference.fixed_batch):
        return None, f"Outputs were not compared: there are fewer than the {size} samples that a batch has to have."
    try:
        seen = _run(model, part(batch, 0, size), source.name, plan.seed)
        expected = _run(reference, part(batch, 0, size), source.name, plan.seed)
    except BncheckError as error:
        return None, f"Outputs were not compared: {error}"
    meter = EffectMeter(plan.output, None)
    meter.add_recalibrated(expected[0], seen[0], None)
    effect = meter.result()
    if effect is None or effect.output_change is None:
        return None, "Outputs were not compared: they are of different shapes, or no tensors of floats."
    parts_at, agrees_until = _first_difference(seen[1], expected[1], model.comparison)
    agreement = OutputAgreement(
        path=reference.path,
        samples=min(size, batch.size),
        output_change=effect.output_change,
        predictions_changed=effect.predictions_changed,
        precision=_precision(model, reference),
        parts_at=parts_at,
        agrees_until=agrees_until,
    )
    return agreement, (
        f"Outputs compared with those of {reference.path} on {agreement.samples} samples: "
        f"relative difference {agreement.output_change:.1g}."
    )


def _run(model: Model, batch: Batch, source_name: str, seed: int) -> tuple[Any, Recorder]:
    recorder = Recorder(apart=False)
    with instrument(model, source_name, seed) as watched:
        return watched.run(batch, STORED, recorder), recorder


def _first_difference(
    seen: Recorder, expected: Recorder, comparison: Comparison | None
) -> tuple[str | None, str | None]:
    """The first layer fed something else than in the reference, and the last one before it that is not."""
    ours, theirs = seen.by_layer(), expected.by_layer()
    originals = {} if comparison is None else {layer.name: layer.original for layer in comparison.layers}
    agreed = None
    for name, entries in ours.items():
        others = theirs.get(originals.get(name, name))
        if others is None:
            continue
        one, other = together(entries), together(others)
        if one.layer.channels != other.layer.channels:
            return name, agreed
        a, b = one.statistics(), other.statistics()
        gap = rms(compare(a.mean, a.var, b.mean, b.var, other.layer.eps or 0.0).gap)
        if not gap <= LAYER_TOLERANCE:
            return name, agreed
        agreed = name
    return None, agreed


LAYER_TOLERANCE = 0.05
"""RMS gap between what a layer is fed in both that rounding does not reach."""


def _precision(model: Model, reference: Model) -> float | None:
    """Spacing of the numbers around 1 in the coarsest type either computes in; `None` for quantized models."""
    found = [coarsest_precision(one) for one in (model, reference)]
    return None if None in found else max(one for one in found if one is not None)
