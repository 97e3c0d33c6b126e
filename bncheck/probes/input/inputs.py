"""The input that probes change: the one floating tensor a model is called with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bncheck.core import Moments
from bncheck.data import Batch
from bncheck.evidence import AffineMap
from bncheck.probes.input.conventions import InputRange
from bncheck.tensors import torch

_VALUES = 2**17
"""Values that are turned into float64 together."""


def floating_input(samples: Batch) -> torch.Tensor | None:
    """The one input with channels that may be scaled; `None` where there are several, or none."""
    found = [tensor for tensor in samples.arrays if tensor.is_floating_point() and tensor.dim() > 1]
    return found[0] if len(found) == 1 and found[0].numel() else None


def input_range(x: torch.Tensor) -> InputRange | None:
    """What the values of an input (N, C, ...) look like; `None` where they are not finite."""
    seen = Moments.empty(x.shape[1])
    low, high = np.full(x.shape[1], np.inf), np.full(x.shape[1], -np.inf)
    for part in _parts(x):
        values = part.double().movedim(1, 0).flatten(1)
        if not bool(torch.isfinite(values).all()):
            return None
        least, most, mean, squares = (
            measure.cpu().numpy()
            for measure in (values.amin(1), values.amax(1), values.mean(1), values.var(1, correction=0))
        )
        low, high = np.minimum(low, least), np.maximum(high, most)
        seen += Moments(float(values.shape[1]), mean, squares * values.shape[1])
    return InputRange(low, high, seen.mean, np.sqrt(seen.variance), is_image=x.dim() > 2)


def mapped(samples: Batch, by: AffineMap) -> Batch:
    """The samples with their input mapped."""

    def function(x: torch.Tensor) -> torch.Tensor:
        slope, intercept = (
            torch.tensor(values, dtype=torch.float64, device=x.device).reshape(-1, *[1] * (x.dim() - 2))
            for values in (by.slope, by.intercept)
        )
        out = torch.empty_like(x)
        for part, given in zip(_parts(out), _parts(x), strict=True):
            part.copy_(given.double() * slope + intercept)
        return out

    return _with_input(samples, function)


def reordered(samples: Batch, order: Sequence[int]) -> Batch:
    """The samples with their input's channels in another order."""
    return _with_input(samples, lambda x: x[:, list(order)])


def _parts(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Views of some samples each, few enough that a copy in float64 takes no memory to speak of."""
    return torch.split(x, max(1, _VALUES // max(1, x[0].numel())))


def _with_input(samples: Batch, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
    def where_floating(tensor: torch.Tensor) -> torch.Tensor:
        return change(tensor) if tensor.is_floating_point() and tensor.dim() > 1 else tensor

    return samples.mapped(where_floating)
