"""Whether a model and its reference give the same on the same data, and where they first differ."""

from __future__ import annotations

import numpy as np

from bncheck.core import rms
from bncheck.core.layers import FloatArray
from bncheck.data.batches import Source
from bncheck.errors import BncheckError
from bncheck.evidence import OutputAgreement
from bncheck.formats.model import Model
from bncheck.formats.programs.instrument import instrument
from bncheck.formats.programs.precision import coarsest_precision
from bncheck.measure.passes import Plan
from bncheck.predictions.effect import PredictionEffect
from bncheck.predictions.outputs import choose_output
from bncheck.watch.policies import STORED
from bncheck.watch.recorder import Recorder, SiteRecord, together

COMPARED_SAMPLES = 64
"""Samples that both are run on: a wrong graph shows at once."""
LAYER_TOLERANCE = 5e-3
"""RMS difference between what a layer is fed in both that rounding in float32 does not reach."""
ROUNDING_ROOM = 50
"""The same for coarser types, in units of their precision."""


def compare_outputs(model: Model, reference: Model, source: Source, plan: Plan) -> tuple[OutputAgreement | None, str]:
    """What both give for some samples, and a sentence that says so; `None` where they could not be compared."""
    if not reference.runnable:
        return None, (
            f"Outputs were not compared: {reference.path} holds tensors only. Name its architecture with "
            "--reference-arch."
        )
    batch = next(source.batches(COMPARED_SAMPLES, seed=plan.seed, limit=COMPARED_SAMPLES))
    seen, expected = Recorder(apart=True), Recorder(apart=True)
    try:
        with (
            instrument(model, source.name, plan.seed) as ours,
            instrument(reference, source.name, plan.seed) as theirs,
        ):
            size = ours.fixed_batch or theirs.fixed_batch or batch.size
            if batch.size < size:
                return None, (
                    f"Outputs were not compared: there are fewer than the {size} samples that a batch has to have."
                )
            chosen = batch.between(0, size)
            outputs = choose_output(ours.run(chosen, STORED, seen), plan.output)
            wanted = choose_output(theirs.run(chosen, STORED, expected), plan.output)
    except BncheckError as error:
        return None, f"Outputs were not compared: {error}"
    if outputs is None or wanted is None:
        return None, "Outputs were not compared: they are no tensors of floats."
    if outputs.shape != wanted.shape:
        return None, (
            f"Outputs were not compared: their shapes are {tuple(outputs.shape)} and, of {reference.path}, "
            f"{tuple(wanted.shape)}."
        )
    meter = PredictionEffect(None, None)
    meter.add_recalibrated(wanted, outputs, None)
    effect = meter.result()
    if effect is None or effect.output_change is None:
        return None, "Outputs were not compared: there are none."
    precision = _precision(model, reference)
    tolerance = max(LAYER_TOLERANCE, ROUNDING_ROOM * (precision or 0.0))
    parts_at, agrees_until = _first_difference(seen, expected, model, tolerance)
    agreement = OutputAgreement(
        path=reference.path,
        samples=size,
        output_change=effect.output_change,
        predictions_changed=effect.predictions_changed,
        precision=precision,
        parts_at=parts_at,
        agrees_until=agrees_until,
    )
    return agreement, (
        f"Outputs compared with those of {reference.path} on {size} {'sample' if size == 1 else 'samples'}: "
        f"relative difference {agreement.output_change:.1g}."
    )


def _first_difference(
    seen: Recorder, expected: Recorder, model: Model, tolerance: float
) -> tuple[str | None, str | None]:
    """The first layer fed something else than in the reference, and the last one before it that is not."""
    ours, theirs = seen.by_layer(), expected.by_layer()
    compared = () if model.comparison is None else model.comparison.layers
    originals = {layer.name: layer.original for layer in compared}
    visible = {fold.layer.name: fold.visible for fold in model.folds.values()}
    agreed = None
    for name, entries in ours.items():
        others = theirs.get(originals.get(name, name))
        if others is None:
            continue
        difference = _differences(together(entries), together(others))
        if difference is None or not rms(difference[:, visible.get(name, slice(None))]) <= tolerance:
            return name, agreed
        agreed = name
    return None, agreed


def _differences(one: SiteRecord, other: SiteRecord) -> FloatArray | None:
    """How differently each sample feeds a layer in both, (n, C), means and spreads, in stored standard deviations."""
    first, second, layer = one.table(), other.table(), other.layer
    if first is None or second is None or layer.var is None or first.mean.shape != second.mean.shape:
        return None
    sigma = np.sqrt(layer.var + (layer.eps or 0.0))
    spreads = [np.sqrt(table.m2 / table.count[:, None]) for table in (first, second)]
    differences: FloatArray = np.hypot(first.mean - second.mean, spreads[0] - spreads[1]) / sigma
    return differences


def _precision(model: Model, reference: Model) -> float | None:
    """Spacing of the numbers around 1 in the coarsest type either computes in; `None` for quantized models."""
    found = [coarsest_precision(one) for one in (model, reference)]
    return None if None in found else max(one for one in found if one is not None)
