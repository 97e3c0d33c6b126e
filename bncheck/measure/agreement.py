"""Whether a model and its reference give the same on the same data, and where they first differ."""

from __future__ import annotations

import numpy as np

from bncheck.core import THRESHOLDS, FloatArray, rms
from bncheck.data import Source
from bncheck.errors import BncheckError
from bncheck.evidence import OutputAgreement
from bncheck.formats import Backend, coarsest_precision
from bncheck.measure.plan import AGREEMENT_STAGE, Plan
from bncheck.predictions import PredictionEffect, choose_output
from bncheck.results import Note, OutputsCompared, OutputsNotCompared
from bncheck.vocabulary import argument
from bncheck.watch import STORED, CallMoments, CountedSession, Ledger, Recorder, together

COMPARED_SAMPLES = 64
"""Samples that both are run on: a wrong graph shows at once."""


def compare_outputs(
    model: Backend, reference: Backend, source: Source, plan: Plan, ledger: Ledger | None = None
) -> tuple[OutputAgreement | None, Note]:
    """What both give for some samples, and a note that says so; `None` where they could not be compared."""
    if not reference.runnable:
        named = argument("reference_arch")
        return None, OutputsNotCompared(
            f"{reference.path} does not hold what runs it. Name its architecture with {named}."
        )
    batch = next(source.batches(COMPARED_SAMPLES, seed=plan.seed, limit=COMPARED_SAMPLES))
    ledger = ledger or Ledger()
    seen, expected = Recorder(per_sample=True), Recorder(per_sample=True)
    try:
        with (
            model.session(source.name, plan.seed) as ours,
            reference.session(source.name, plan.seed) as theirs,
            ledger.stage(AGREEMENT_STAGE),
        ):
            size = ours.fixed_batch or theirs.fixed_batch or batch.size
            if batch.size < size:
                return None, OutputsNotCompared(f"there are fewer than the {size} samples that a batch has to have.")
            chosen = batch.between(0, size)
            one, other = (CountedSession(session, ledger) for session in (ours, theirs))
            outputs = choose_output(one.run(chosen, STORED, seen), plan.output)
            wanted = choose_output(other.run(chosen, STORED, expected), plan.output)
    except BncheckError as error:
        return None, OutputsNotCompared(str(error))
    if outputs is None or wanted is None:
        return None, OutputsNotCompared("they are no tensors of floats.")
    if outputs.shape != wanted.shape:
        return None, OutputsNotCompared(
            f"their shapes are {tuple(outputs.shape)} and, of {reference.path}, {tuple(wanted.shape)}."
        )
    meter = PredictionEffect(None, None)
    meter.add_recalibrated(wanted, outputs, None)
    effect = meter.result()
    if effect is None or effect.output_change is None:
        return None, OutputsNotCompared("there are none.")
    precision = _precision(model, reference)
    tolerance = max(THRESHOLDS.statistics_agreement, THRESHOLDS.agreement_roundings * (precision or 0.0))
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
    return agreement, OutputsCompared(reference.path, size, agreement.output_change)


def _first_difference(
    seen: Recorder, expected: Recorder, model: Backend, tolerance: float
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


def _differences(one: CallMoments, other: CallMoments) -> FloatArray | None:
    """How differently each sample feeds a layer in both, (n, C), means and spreads, in stored standard deviations."""
    first, second, layer = one.table(), other.table(), other.layer
    if first is None or second is None or layer.var is None or first.mean.shape != second.mean.shape:
        return None
    with np.errstate(all="ignore"):  # statistics that are no numbers compare with nothing
        sigma = np.sqrt(layer.var + (layer.eps or 0.0))
        spreads = [np.sqrt(table.m2 / table.count[:, None]) for table in (first, second)]
        differences: FloatArray = np.hypot(first.mean - second.mean, spreads[0] - spreads[1]) / sigma
    return differences


def _precision(model: Backend, reference: Backend) -> float | None:
    """Spacing of the numbers around 1 in the coarsest type either computes in; `None` for quantized models."""
    found = [coarsest_precision(one) for one in (model, reference)]
    return None if None in found else max(one for one in found if one is not None)
