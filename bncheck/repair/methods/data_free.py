"""Recalibration without any data: the statistics of generated pictures, for layers that have lost theirs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from bncheck.core import NormLayer
from bncheck.data import Source
from bncheck.errors import RefusedError
from bncheck.formats import Backend, Wiring
from bncheck.measure import Plan, static_evidence
from bncheck.progress import Progress
from bncheck.repair.generated import generated_source
from bncheck.repair.measuring import LayerStatistics, measure, tensors_of
from bncheck.repair.methods.method import RECALIBRATE, MethodOptions, Repaired
from bncheck.results import StatisticsWithoutData
from bncheck.rules import judge
from bncheck.settings import DataSettings
from bncheck.vocabulary import Reason, Severity, argument
from bncheck.weights import predictions_of

LOST = frozenset({"BN101", "BN102", "BN103", "BN107", "BN201", "BN202"})
"""Rules by which statistics are missing, were never learned, or cannot be."""


class DataFree:
    """What every layer sees of generated pictures, where it stores nothing that is true; all others stay.

    While it is measured every layer normalizes by its batch, so that what a layer gives has the mean and the spread
    that its beta and gamma say, as in training: so far noise and data agree, and nothing else do they agree in. Means
    that the weights predict (`bncheck.weights`) were measured to be farther from the truth than those of the noise,
    which knows borders and sums; they are told beside, as a check.

    It cannot be judged: there is nothing to judge it by.
    """

    name = RECALIBRATE
    cross_fits = True
    takes_prior = False
    learns = True

    def __init__(self, options: MethodOptions) -> None:
        self._force = options.force

    def pictures(self, model: Backend, reading: DataSettings, seed: int) -> Source:
        """What is generated for the model, which has lost statistics.

        Raises:
            RefusedError: it has not, and nobody insists.
            UsageError: the model takes no pictures, or nobody says how large they are or how they are fed.
        """
        if not self._force and not lost_layers(model):
            raise RefusedError(
                f"No layer of {model.path} has lost its statistics, and those of generated pictures are worse than any "
                f"that were learned. Nothing was written; {argument('force')} replaces all of them all the same."
            )
        return generated_source(model, reading, seed)

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
        """See `Method`."""
        lost = lost_layers(model)
        measured = measure(model, source, plan, 0.0, progress)
        chosen = {name: found for name, found in measured.whole.items() if not lost or name in lost}
        kept = {name: Reason.NOT_LOST for name in measured.whole if name not in chosen}
        check = _beside_predicted(model, chosen)
        return Repaired(
            tensors=tensors_of(model, chosen),
            kept={**measured.kept, **kept},
            samples=measured.samples,
            notes=(StatisticsWithoutData(measured.samples, len(chosen), *check),) if chosen else (),
        )


def lost_layers(model: Backend) -> frozenset[str]:
    """Names of the layers that store nothing true, by the rules that say so for certain."""
    found = judge(static_evidence(model), LOST)
    named = {name for finding in found if finding.severity != Severity.INFO for name in finding.layers}
    return frozenset(layer.name for layer in model.layers if layer.name in named and not _is_possible(layer))


def _is_possible(layer: NormLayer) -> bool:
    """Whether what it stores may be of data; a rule may name it for its weights."""
    if layer.missing or not layer.has_statistics:
        return False
    mean, var = layer.statistics
    return bool(layer.is_possible and np.any(mean != 0.0) and not np.all(var == 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Repaired:
    """The model's layers with new statistics, beside its tensors."""

    layers: tuple[NormLayer, ...]
    model: Backend

    def tensors(self) -> dict[str, torch.Tensor]:
        """By name."""
        return dict(self.model.tensors())

    def wiring(self) -> Wiring | None:
        """The model's."""
        return self.model.wiring()


def _beside_predicted(model: Backend, chosen: LayerStatistics) -> tuple[int, float | None]:
    """How many of the layers' means the weights predict, and how far the typical one lies from that."""
    layers = tuple(_with(layer, chosen) if layer.name in chosen else layer for layer in model.layers)
    found = [one.distance for one in predictions_of(_Repaired(layers, model)).layers if one.name in chosen]
    return len(found), float(np.median(found)) if found else None


def _with(layer: NormLayer, chosen: LayerStatistics) -> NormLayer:
    return replace(layer, mean=chosen[layer.name].mean, var=chosen[layer.name].var, missing=False)
