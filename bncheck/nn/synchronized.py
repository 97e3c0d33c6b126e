"""Batch Renormalization over a batch that several processes share."""

from typing import Any

import torch
import torch.distributed
from torch import Tensor

from bncheck.nn.renorm import BatchRenorm


class SyncBatchRenorm(BatchRenorm):
    """Batch Renormalization by the whole batch of a process group; what `nn.SyncBatchNorm` is converted to.

    Inputs are (N, C, ...) of any rank from 2 to 5; N may differ between processes, and one value per channel, or
    none, is enough in each of them where all together have more. Without an initialized
    process group it is `BatchRenorm1d` for any rank, on the CPU too. It cannot be scripted.

    Numerics: mean first, then squared deviations from it, each summed over processes in the input's precision.
    """

    process_group: torch.distributed.ProcessGroup | None = None

    def _has_values(self, values: Tensor) -> bool:
        return True if self._is_shared() else super()._has_values(values)

    def _by_batch(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if not self._is_shared():
            return super()._by_batch(values)
        axes = [0, *range(2, values.dim())]
        shape = [1, -1] + [1] * (values.dim() - 2)
        count = self._sum(values.new_tensor(float(values.numel() // values.size(1))))
        mean = self._sum(values.sum(axes)) / count
        centred = values - mean.view(shape)
        std = (self._sum(centred.square().sum(axes)) / count + self.eps).sqrt()
        return centred / std.view(shape), mean.detach(), std.detach()

    def _sum(self, tensor: Tensor) -> Tensor:
        """Sum `tensor` over all processes, with gradient."""
        from torch.distributed.nn import functional

        group = self.process_group if self.process_group is not None else torch.distributed.group.WORLD
        all_reduce: Any = functional.all_reduce  # untyped in torch
        total: Tensor = all_reduce(tensor, group=group)
        return total

    def _is_shared(self) -> bool:
        """Say whether there are other processes."""
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return False
        return torch.distributed.get_world_size(self.process_group) > 1
