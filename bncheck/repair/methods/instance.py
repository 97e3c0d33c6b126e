"""Normalizing by the instance: InstanceNorm that stores statistics goes without them."""

from __future__ import annotations

from bncheck.core import INSTANCE_NORM
from bncheck.data import Source
from bncheck.formats import Backend
from bncheck.measure import Plan
from bncheck.progress import Progress
from bncheck.repair.methods.method import INSTANCE, MethodOptions, Repaired
from bncheck.results import NoInstanceNorm


class ByInstanceAlone:
    """Every InstanceNorm normalizes each sample by its own mean and variance in evaluation, as it does in training.

    No value comes from the data, so all of them judge the file.

    Source: Ulyanov et al. 2016 (arXiv 1607.08022), section 2: the layer is applied at test time as well.
    """

    name = INSTANCE
    cross_fits = True
    takes_prior = False
    learns = False

    def __init__(self, options: MethodOptions) -> None:
        pass

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
        layers = tuple(layer.name for layer in model.layers if layer.kind == INSTANCE_NORM and layer.has_statistics)
        return Repaired(tensors={}, kept={}, samples=0, notes=() if layers else (NoInstanceNorm(),), by_instance=layers)


METHOD = ByInstanceAlone
