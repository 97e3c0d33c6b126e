"""Batch Renormalization layers (Ioffe 2017, arXiv 1702.03275)."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bncheck.nn.schedule import RenormSchedule

PAPER_MOMENTUM = 0.01
PAPER_SCHEDULE = RenormSchedule()


class BatchRenorm(nn.Module):
    """Batch Renormalization of inputs (N, C, ...) of any rank; see `BatchRenorm1d`, which is this for rank 2 and 3."""

    __constants__: ClassVar = [
        "closed_until",
        "d_max",
        "d_open_at",
        "eps",
        "momentum",
        "num_features",
        "r_max",
        "r_open_at",
        "ranks",
    ]
    ranks: ClassVar[tuple[int, ...]] = (2, 3, 4, 5)
    running_mean: Tensor
    running_std: Tensor
    num_batches_tracked: Tensor
    schedule_step: Tensor
    clipped: Tensor
    momentum: float | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = PAPER_MOMENTUM,
        affine: bool = True,
        *,
        schedule: RenormSchedule = PAPER_SCHEDULE,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.batch_norm_momentum: float | None = 0.1
        self.closed_until, self.r_open_at, self.d_open_at = 0, 0, 0
        self.r_max, self.d_max = 1.0, 0.0
        self.set_schedule(schedule)
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.ones(num_features, **where)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features, **where)) if affine and bias else None
        self.register_buffer("running_mean", torch.zeros(num_features, **where))
        self.register_buffer("running_std", torch.ones(num_features, **where))
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.long, device=device))
        self.register_buffer("schedule_step", torch.zeros((), dtype=torch.long, device=device))
        self.register_buffer("clipped", torch.zeros(2, device=device), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize `x`, shape (N, C, ...); in train mode by its own statistics, corrected by r and d."""
        if x.dim() not in self.ranks:
            raise ValueError(f"expected an input with {self.ranks} axes, got {x.dim()}")
        if x.size(1) != self.num_features:
            raise ValueError(f"expected an input with {self.num_features} channels, got {x.size(1)}")
        values = x.float() if x.dtype == torch.half or x.dtype == torch.bfloat16 else x
        if not self.training:
            return self._by_averages(values).to(x.dtype)
        if not self._has_values(values):
            return self._by_averages(values).to(x.dtype)
        normalized, mean, std = self._by_batch(values)
        r, d = self._correction(mean, std)
        self._update(mean, std)
        scale, shift = r, d
        weight, bias = self.weight, self.bias
        if weight is not None:
            scale, shift = weight * r, weight * d
        if bias is not None:
            shift = shift + bias
        shape = [1, -1] + [1] * (x.dim() - 2)
        return torch.addcmul(shift.to(values.dtype).view(shape), normalized, scale.to(values.dtype).view(shape)).to(
            x.dtype
        )

    def _has_values(self, values: Tensor) -> bool:
        """Whether there is a batch to normalize by; like BatchNorm, an empty one passes and leaves no trace."""
        if values.numel() == values.size(1) and values.numel() > 0:
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {values.size()}")
        return values.numel() > 0

    def _by_averages(self, values: Tensor) -> Tensor:
        # The averaged sigma holds eps already.
        weight, bias = self.weight, self.bias
        return nn.functional.batch_norm(
            values,
            self.running_mean.to(values.dtype),
            self.running_std.to(values.dtype).square(),
            None if weight is None else weight.to(values.dtype),
            None if bias is None else bias.to(values.dtype),
            False,
            0.0,
            0.0,
        )

    def _by_batch(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`values` normalized by their own statistics, and these without gradient: mean and sigma, shape (C,)."""
        normalized, mean, inverse_std = torch.native_batch_norm(values, None, None, None, None, True, 0.0, self.eps)
        return normalized, mean.detach(), inverse_std.detach().reciprocal()

    def _correction(self, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """The clipped r and d, shape (C,), of a batch with these statistics."""
        with torch.no_grad():
            r_max, d_max = self.limits()
            r = std / self.running_std
            d = (mean - self.running_mean) / self.running_std
            clipped_r, clipped_d = r.clamp(1.0 / r_max, r_max), d.clamp(-d_max, d_max)
            shares = torch.stack([(clipped_r != r).float().mean(), (clipped_d != d).float().mean()])
            self.clipped.copy_(shares)
        return clipped_r, clipped_d

    def _update(self, mean: Tensor, std: Tensor) -> None:
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.schedule_step.add_(1)
            momentum = self.momentum
            if momentum is None:
                share = self.num_batches_tracked.to(self.running_mean.dtype).reciprocal()
                self.running_mean.add_((mean.to(self.running_mean.dtype) - self.running_mean) * share)
                self.running_std.add_((std.to(self.running_std.dtype) - self.running_std) * share)
            else:
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
                self.running_std.lerp_(std.to(self.running_std.dtype), momentum)

    def limits(self) -> tuple[Tensor, Tensor]:
        """r_max and d_max in force, as tensors: a compiled or exported graph reads them anew at every step."""
        r_max = 1.0 + (self.r_max - 1.0) * self._opened(self.r_open_at)
        d_max = self.d_max * self._opened(self.d_open_at)
        return r_max, d_max

    def _opened(self, open_at: int) -> Tensor:
        """Which share of the way from closed to open is done."""
        if open_at <= self.closed_until:
            return (self.schedule_step >= open_at).to(self.running_mean.dtype)
        done = (self.schedule_step - self.closed_until) / float(open_at - self.closed_until)
        return done.clamp(0.0, 1.0).to(self.running_mean.dtype)

    def set_schedule(self, schedule: RenormSchedule) -> None:
        """Take other limits; the step that was reached is kept."""
        self.closed_until, self.r_open_at, self.d_open_at = (
            schedule.closed_until,
            schedule.r_open_at,
            schedule.d_open_at,
        )
        self.r_max, self.d_max = float(schedule.r_max), float(schedule.d_max)

    def reset_running_stats(self) -> None:
        """Go back to mean 0 and sigma 1, no batch seen, the schedule at its start."""
        self.running_mean.zero_()
        self.running_std.fill_(1.0)
        self.num_batches_tracked.zero_()
        self.schedule_step.zero_()

    def reset_parameters(self) -> None:
        """Reset the statistics, gamma to 1 and beta to 0."""
        self.reset_running_stats()
        if self.weight is not None:
            nn.init.ones_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def extra_repr(self) -> str:
        """What `print(layer)` shows."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"r_max={self.r_max}, d_max={self.d_max}{self._how_far_opened()}"
        )

    def _how_far_opened(self) -> str:
        """Say where the schedule stands, once training has begun: until it opens this is BatchNorm."""
        step = int(self.schedule_step) if self.schedule_step.device.type != "meta" else 0
        if step == 0 or step >= max(self.r_open_at, self.d_open_at):
            return ""
        if step <= self.closed_until:
            return f", BatchNorm so far: step {step}, opens after {self.closed_until}"
        return f", opening: step {step} of {max(self.r_open_at, self.d_open_at)}"

    def never_opened(self) -> bool:
        """Whether it was trained, and as plain BatchNorm from first to last, although its limits are to open."""
        is_to_open = self.r_max > 1.0 or self.d_max > 0.0
        return is_to_open and 0 < int(self.schedule_step) <= self.closed_until

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Tensor],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Take a BatchNorm layer's state too; the schedule then starts closed."""
        if f"{prefix}running_var" in state_dict and f"{prefix}running_std" not in state_dict:
            var = state_dict.pop(f"{prefix}running_var")
            state_dict[f"{prefix}running_std"] = std_of(var, self.eps)
            state_dict[f"{prefix}schedule_step"] = torch.zeros((), dtype=torch.long)
            state_dict.setdefault(f"{prefix}num_batches_tracked", torch.zeros((), dtype=torch.long))
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


class BatchRenorm1d(BatchRenorm):
    r"""Batch Renormalization over (N, C) or (N, C, L) inputs, a drop-in for `nn.BatchNorm1d`.

    In train mode::

        y = gamma * ((x - mu_B) / sigma_B * r + d) + beta
        r = clip(sigma_B / sigma, 1 / r_max, r_max)      no gradient
        d = clip((mu_B - mu) / sigma, -d_max, d_max)     no gradient

    with the batch's mean mu_B and sigma_B = sqrt(biased variance + eps), and then the moving averages mu and
    sigma take in mu_B and sigma_B. In eval mode y = gamma * (x - mu) / sigma + beta. Where nothing is clipped
    the output in train mode is the one in eval mode, while the gradient is still that of batch normalization.

    Args:
        num_features: C.
        eps: added to the variance inside sigma, and nowhere else.
        momentum: weight of the newest batch in the averages (PyTorch's sense; alpha of the paper);
            `None` averages all batches equally.
        affine: whether there are gamma (`weight`) and beta (`bias`).
        schedule: the limits of r and d by step. The default is the paper's, for long runs from scratch;
            `RenormSchedule.for_run(steps)` scales it to a run. Every call in train mode is a step, so a layer
            used twice per forward opens twice as fast.
        bias: whether `affine` includes beta.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        Input (N, C) or (N, C, L); output the same. In train mode a channel needs more than one value; an
        empty batch gives an empty output and leaves the averages alone.

    Buffers, all saved by `state_dict`: `running_mean` and `running_std` (mu and sigma; sigma is averaged, not its
    square, and contains eps), `num_batches_tracked`, `schedule_step`. A BatchNorm layer's state can be loaded too.
    `clipped`, not saved, holds the share of channels whose r and d were clipped in the last training step.
    There is no `track_running_stats=False`: without averages there is nothing to renormalize to.

    Distributed training: like BatchNorm, every process of DistributedDataParallel normalizes by its own part of
    the batch and the averages of rank 0 are broadcast. `SyncBatchRenorm` normalizes by the whole batch.

    Numerics: float16 and bfloat16 inputs are normalized in float32; the averages keep their own dtype.

    Source: Ioffe 2017, "Batch Renormalization: Towards Reducing Minibatch Dependence in Batch-Normalized
    Models", algorithm 1.

    Raises:
        ValueError: the input has another rank or number of channels, or one value per channel in train mode.

    >>> layer = BatchRenorm1d(3)
    >>> layer(torch.randn(8, 3)).shape
    torch.Size([8, 3])
    """

    ranks = (2, 3)


class BatchRenorm2d(BatchRenorm):
    """Batch Renormalization over (N, C, H, W) inputs; see `BatchRenorm1d`."""

    ranks = (4,)


class BatchRenorm3d(BatchRenorm):
    """Batch Renormalization over (N, C, D, H, W) inputs; see `BatchRenorm1d`."""

    ranks = (5,)


def std_of(var: Tensor, eps: float) -> Tensor:
    """Sigma = sqrt(var + eps) in `var`'s dtype; computed in float64."""
    return (var.detach().double() + eps).sqrt().to(var.dtype)


def var_of(std: Tensor, eps: float) -> Tensor:
    """The variance that with `eps` inside the root gives `std`; at least 0, where rounding took sigma below eps."""
    return (std.detach().double().square() - eps).clamp(min=0.0).to(std.dtype)
