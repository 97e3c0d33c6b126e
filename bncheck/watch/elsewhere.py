"""Moments that stay where the model runs until a forward has ended: an accelerator need not wait for the host.

Taken to the host layer by layer, each would have the host wait for all that was to be computed before it, and the
accelerator for the host after it. They are queued instead, and go over together, in one copy a forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bncheck.core import Moments, SampleMoments
from bncheck.tensors import torch
from bncheck.watch.kernels import positions_of


@dataclass(frozen=True, slots=True, eq=False)
class MomentsElsewhere:
    """Moments of every sample and channel of a layer's input, on the input's device.

    Attributes:
        positions: values per channel in each sample.
        mean: shape (N, C).
        variance: within each sample (divisor n), shape (N, C).
    """

    positions: int
    mean: torch.Tensor
    variance: torch.Tensor

    @classmethod
    def of(cls, x: torch.Tensor, positions: int | None = None) -> MomentsElsewhere:
        """Those of `x`, shape (N, C, *spatial), or of so many positions of which `x` shows some.

        Numerics: Welford's reduction in the input's own precision, float32 at the least.
        """
        values = x.detach() if x.dtype in (torch.float32, torch.float64) else x.detach().float()
        positions = positions_of(x) if positions is None else positions
        if positions <= 1:
            rows = values.reshape(values.shape[:2])
            return cls(positions, rows.clone(), torch.zeros_like(rows))
        variance, mean = torch.var_mean(values, tuple(range(2, values.dim())), correction=0)
        return cls(positions, mean, variance)

    def statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and biased variance over all samples, shape (C,), on the device.

        Numerics: float64 where the device has it.
        """
        kind = torch.float32 if self.mean.device.type == "mps" else torch.float64
        means = self.mean.to(kind)
        mean = means.mean(0)
        return mean, self.variance.to(kind).mean(0) + (means - mean).square().mean(0)

    def moments(self) -> Moments:
        """The moments of all samples, on the host; it waits for the device."""
        return on_host([self])[0].pooled()


def lies_elsewhere(x: torch.Tensor) -> bool:
    """Whether the host would have to wait for what becomes of `x`."""
    return not x.is_cpu


def on_host(queued: Sequence[MomentsElsewhere]) -> list[SampleMoments]:
    """All of them on the host, by one copy from each device and in each precision."""
    groups: dict[tuple[torch.device, torch.dtype], list[torch.Tensor]] = {}
    for one in queued:
        groups.setdefault((one.mean.device, one.mean.dtype), []).extend((one.mean.flatten(), one.variance.flatten()))
    arrived = {kind: fetched(torch.cat(parts)).double().numpy() for kind, parts in groups.items()}
    taken = dict.fromkeys(arrived, 0)
    tables = []
    for one in queued:
        kind, size = (one.mean.device, one.mean.dtype), one.mean.numel()
        start, taken[kind] = taken[kind], taken[kind] + 2 * size
        values = arrived[kind][start : start + 2 * size].reshape(2, *one.mean.shape)
        count = np.full(len(one.mean), float(one.positions))
        tables.append(SampleMoments(count, values[0], values[1] * one.positions))
    return tables


def fetched(values: torch.Tensor) -> torch.Tensor:
    """The values on the host: what is computed before them is waited for here, and nowhere else in a forward."""
    return values.cpu()


def sent(tensor: torch.Tensor, device: torch.device, dtype: torch.dtype | None) -> torch.Tensor:
    """A copy of `tensor` on a device, and in that dtype.

    To CUDA it goes from memory that stays in place (pinned), so that the host need not wait for it, in the type that
    it has; it is cast there.
    """
    if device.type == "cuda" and tensor.is_cpu and tensor.layout == torch.strided:
        arrived = tensor.pin_memory().to(device, non_blocking=True)
        return arrived if dtype is None else arrived.to(dtype)
    return tensor.to(device=device, dtype=dtype, copy=True)
