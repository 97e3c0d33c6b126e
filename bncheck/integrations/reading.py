"""The gap of a model in training: two forwards of a few samples, no diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from bncheck.core import MARGIN, rms
from bncheck.data import Source
from bncheck.errors import UsageError
from bncheck.formats import from_module
from bncheck.measure import Plan, measured_evidence, observe
from bncheck.progress import no_progress


@dataclass(frozen=True, slots=True)
class GapReading:
    """What one evaluation has shown; the numbers are those of `bncheck.inspect` on the same samples.

    Attributes:
        gap: RMS over the measured layers, as inference sees it; NaN where the activations are not finite.
        own_gap: the same with upstream errors removed; `None` where there are too few samples for it.
        layers_over_margin: layers whose gap is above what healthy layers show, or not a number.
        layers: each measured layer's gap, by name.
        smallest_detectable_gap: smaller ones cannot be told from noise with so many samples.
        samples: how many were run.
    """

    gap: float
    own_gap: float | None
    layers_over_margin: int
    layers: Mapping[str, float]
    smallest_detectable_gap: float | None
    samples: int

    def scalars(self, prefix: str) -> dict[str, float]:
        """What is logged: `gap`, `own_gap` where it is known, and `layers_over_margin`, each behind `prefix`."""
        values: dict[str, float] = {f"{prefix}gap": self.gap}
        if self.own_gap is not None:
            values[f"{prefix}own_gap"] = self.own_gap
        values[f"{prefix}layers_over_margin"] = float(self.layers_over_margin)
        return values


def read_gaps(module: torch.nn.Module, source: Source, plan: Plan, device: str | None = None) -> GapReading:
    """The gaps of `module` on `source`, measured on a copy in eval mode.

    Args:
        module: it is left as it is, and so are its modes and the random numbers of the training.
        source: the samples.
        plan: how they are read.
        device: where to run the copy; by default where the module is.

    Raises:
        UsageError: no layer with running statistics was reached.
        ModelError: the module cannot be copied.
        DataError: the data cannot be read, or do not fit the module.
    """
    model = from_module(module, device=device or device_of(module))
    with model.session(source.name, plan.seed) as session:
        seen = observe(session, source, plan, no_progress, gaps_only=True)
    evidence = measured_evidence(model, seen, plan, source_name=source.name, sizes=())
    if not evidence.measured:
        raise UsageError(
            f"No layer of {model.path} that stores running statistics was reached by {source.name}, so there is no gap "
            "to log. Is it the right (sub)module, and does it have BatchNorm at all?"
        )
    layers = {name: layer.gap for name, layer in evidence.measured.items()}
    own = [layer.own_gap for layer in evidence.measured.values() if layer.own_gap is not None]
    return GapReading(
        gap=rms(list(layers.values())),
        own_gap=rms(own) if own else None,
        # A gap that is not a number is within no margin.
        layers_over_margin=sum(not gap <= MARGIN for gap in layers.values()),
        layers=layers,
        smallest_detectable_gap=evidence.smallest_detectable_gap,
        samples=seen.samples,
    )


def device_of(module: torch.nn.Module) -> str:
    """Where its first tensor is; `cpu` without any."""
    tensors = (*module.parameters(), *module.buffers())
    return str(tensors[0].device) if tensors else "cpu"
