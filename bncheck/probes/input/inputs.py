"""The input that probes change: the one floating tensor a model is called with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from bncheck.data import Batch
from bncheck.evidence import AffineMap
from bncheck.probes.input.conventions import InputRange


def floating_input(samples: Batch) -> torch.Tensor | None:
    """The one input with channels that may be scaled; `None` where there are several, or none."""
    found = [tensor for tensor in samples.arrays if tensor.is_floating_point() and tensor.dim() > 1]
    return found[0] if len(found) == 1 and found[0].numel() else None


def input_range(x: torch.Tensor) -> InputRange | None:
    """What the values of an input (N, C, ...) look like; `None` where they are not finite."""
    values = x.double().movedim(1, 0).flatten(1)
    if not bool(torch.isfinite(values).all()):
        return None
    low, high, mean, std = (
        measure.cpu().numpy()
        for measure in (values.amin(1), values.amax(1), values.mean(1), values.std(1, correction=0))
    )
    return InputRange(low, high, mean, std, is_image=x.dim() > 2)


def mapped(samples: Batch, by: AffineMap) -> Batch:
    """The samples with their input mapped."""

    def function(x: torch.Tensor) -> torch.Tensor:
        slope, intercept = (
            torch.tensor(values, dtype=torch.float64, device=x.device).reshape(-1, *[1] * (x.dim() - 2))
            for values in (by.slope, by.intercept)
        )
        return (x.double() * slope + intercept).to(x.dtype)

    return _with_input(samples, function)


def reordered(samples: Batch, order: Sequence[int]) -> Batch:
    """The samples with their input's channels in another order."""
    return _with_input(samples, lambda x: x[:, list(order)])


def _with_input(samples: Batch, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
    def where_floating(tensor: torch.Tensor) -> torch.Tensor:
        return change(tensor) if tensor.is_floating_point() and tensor.dim() > 1 else tensor

    return samples.mapped(where_floating)
