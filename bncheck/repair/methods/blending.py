"""Blending: the stored statistics count as so many samples beside those of the data.

Source: Schneider et al. 2020 (arXiv 2006.16971), section 2: mu = N/(N+n) mu_stored + n/(N+n) mu_data, and the same
for the variance. N is the prior's weight in samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bncheck.core import FloatArray, NormLayer
from bncheck.data import Source
from bncheck.errors import UsageError
from bncheck.formats import Backend
from bncheck.measure import Plan, settled_session
from bncheck.predictions import PredictionEffect
from bncheck.progress import Progress
from bncheck.repair.evaluation.held_out import cross_fitted
from bncheck.repair.measuring import LayerStatistics, Measurement, cross_gaps, folds_of, measure, tensors_of
from bncheck.repair.methods.method import BLEND, MethodOptions, Repaired
from bncheck.results import Note, PriorUsed, StoredLeftOut
from bncheck.vocabulary import argument
from bncheck.watch import Given, Statistics

SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9)
"""Weights of the stored statistics that are tried where nobody names a prior."""


class Blending:
    """Blending weighs the stored statistics and those of by how many samples each stand for."""

    name = BLEND
    cross_fits = True
    takes_prior = True
    learns = True

    def __init__(self, options: MethodOptions) -> None:
        self._prior = options.prior
        self._until = options.until

    def __call__(
        self,
        model: Backend,
        source: Source,
        plan: Plan,
        progress: Progress,
        *,
        judge: bool,
        validation: Source | None = None,
    ) -> Repaired:
        """See `Method`. Without a prior it is chosen by cross-validation, which takes labels."""
        measured = measure(model, source, plan, self._until, progress)
        stored = {layer.name: layer for layer in model.layers}
        given = self._prior or 0.0
        chosen = _Priors(given, (given, given))
        if self._prior is None and measured.whole:
            chosen = _by_cross_validation(model, source, plan, measured, progress)
        crossed = (
            blended(stored, measured.folds[1], chosen.folds[0], measured.samples / 2),
            blended(stored, measured.folds[0], chosen.folds[1], measured.samples / 2),
        )
        return Repaired(
            tensors=tensors_of(model, blended(stored, measured.whole, chosen.final, measured.samples)),
            kept=measured.kept,
            samples=measured.samples,
            errors={name: error * _share(measured.samples, chosen.final) for name, error in measured.errors.items()},
            gaps=cross_gaps(measured, crossed) if judge else {},
            evaluation=cross_fitted(model, source, plan, crossed, progress) if judge and measured.whole else None,
            notes=(*measured.notes, *_notes(chosen, measured), *_alone(stored, measured.whole)),
        )


@dataclass(frozen=True, slots=True)
class _Priors:
    """The prior for the file, one for judging each fold of the data, and how many were tried (`None`: given)."""

    final: float
    folds: tuple[float, float]
    candidates: int | None = None


def blended(
    stored: Mapping[str, NormLayer], data: LayerStatistics, prior: float, samples: float
) -> dict[str, Statistics]:
    """Every layer's stored statistics and those of the data in one.

    Args:
        stored: the layers by name. Channels whose stored values cannot be true (NaN, a negative variance, missing)
            take the data's alone.
        data: measured.
        prior: N, the stored statistics' weight.
        samples: n, the data's.
    """
    share = 1.0 - _share(samples, prior)
    mixed = {}
    for name, found in data.items():
        layer = stored[name]
        usable = _usable(layer, found.mean.size)
        mean, var = (np.zeros_like(found.mean) if value is None else value for value in (layer.mean, layer.var))
        weight = np.where(usable, share, 0.0)
        mixed[name] = Statistics(_mixed(mean, found.mean, weight), _mixed(var, found.var, weight))
    return mixed


def _by_cross_validation(
    model: Backend, source: Source, plan: Plan, measured: Measurement, progress: Progress
) -> _Priors:
    """The prior under which each fold is predicted best by the other fold's statistics.

    Each fold is judged under the prior that the *other* fold's labels chose, so the cross-fitted accuracy owes
    nothing to the choice.
    """
    half = measured.samples / 2
    priors = [half * share / (1 - share) for share in SHARES]
    stored = {layer.name: layer for layer in model.layers}
    meters = [tuple(PredictionEffect(plan.output, plan.metric, plan.task) for _ in range(2)) for _ in priors]
    given = [[Given(blended(stored, other, prior, half)) for other in measured.folds[::-1]] for prior in priors]
    with settled_session(model, source, plan) as watched:
        folds = folds_of(model, source, plan, watched.fixed_batch, progress)
        for pair in folds.pairs("choosing the prior"):
            for fold, part in enumerate(pair):
                for chunk in folds.chunks(part):
                    for meter, policies in zip(meters, given, strict=True):
                        output = watched.run(chunk, policies[fold], None)
                        meter[fold].add_recalibrated(output, output, chunk.targets)
    scores = np.array([[_score(meter) for meter in both] for both in meters])
    if np.isnan(scores).any():
        raise UsageError(
            f"{argument('method', 'blend')}: {source.name} has no labels to choose the prior by. Give labels (y in the "
            "data), or say "
            f"what the stored statistics are worth in samples: {argument('prior')} N."
        )
    best = [_best(priors, column) for column in (scores[:, 1], scores[:, 0], scores.sum(axis=1))]
    return _Priors(best[2], (best[0], best[1]), len(priors))


def _best(priors: list[float], scores: FloatArray) -> float:
    """The prior of the highest score; of equally good ones the largest, which changes the model least."""
    return max(zip(scores.tolist(), priors, strict=True))[1]


def _score(meter: PredictionEffect) -> float:
    """How good the predictions are by their task's score, larger being better; the sum over outputs with labels."""
    effect = meter.result()
    tasks = [] if effect is None else [one.task for one in effect.heads or (effect,)]
    known = [task.score.other if task.larger_is_better else -task.score.other for task in tasks if task is not None]
    return sum(known) if known else float("nan")


def _share(samples: float, prior: float) -> float:
    """Weight of the data."""
    return samples / (samples + prior) if samples else 0.0


def _mixed(stored: FloatArray, data: FloatArray, weight: FloatArray) -> FloatArray:
    # Times 0 is not enough: what cannot be used may be NaN.
    return weight * np.where(weight > 0, stored, 0.0) + (1.0 - weight) * data


def _usable(layer: NormLayer, channels: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    if layer.mean is None or layer.var is None or layer.missing:
        return np.zeros(channels, dtype=bool)
    return np.isfinite(layer.mean) & np.isfinite(layer.var) & (layer.var >= 0)


def _notes(chosen: _Priors, measured: Measurement) -> list[Note]:
    if not measured.whole:
        return []
    return [PriorUsed(chosen.final, 1.0 - _share(measured.samples, chosen.final), chosen.candidates)]


def _alone(stored: Mapping[str, NormLayer], data: LayerStatistics) -> list[Note]:
    names = tuple(name for name, found in data.items() if not _usable(stored[name], found.mean.size).all())
    return [StoredLeftOut(names)] if names else []


METHOD = Blending
