"""Per-sample moments of a layer's input, at a small fraction of the cost of the layer itself.

The reduction is chosen by memory layout and size; `make bench` shows why. Where the mean is large
against the standard deviation the fast kernel (a difference of squares) would cancel: those channels,
and only those, are read a second time, centred.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bncheck.core import Moments, SampleMoments
from bncheck.tensors import torch

FloatArray = npt.NDArray[np.float64]

CANCELLATION = 6.0
"""Channels whose mean^2 exceeds this many within-sample variances are centred: below, a difference of
squares keeps 1e-5 in float32."""
MEAN_ERROR = 1e3
"""The same limit for the kernel that is centred already, but on a mean that float32 summed row by row."""
BLOCK = 512
"""Longest run of values that float32 may add up one after the other in a sum of squares."""
STRAND = 400
"""The same for `_strands`, whose plain running sums lose more: few distinct values round one way."""
CACHED = 262_144
"""Values that are centred at a time: read, centred and summed without leaving the processor's cache."""
LARGE_SAMPLE = 65_536
"""Values in one channels_last sample from which a call per sample beats one over the batch."""
FEWEST_POSITIONS = 784
"""Positions of a sample's map that are read at the least where it is read in part: as many as 28 rows of 28."""
FEWEST_ROWS = 8
"""Rows of it that are."""
MOST_ROWS = 8
"""Rows of which one is."""


def sample_moments(x: torch.Tensor) -> SampleMoments:
    """Moments of every sample and channel of `x`.

    Args:
        x: shape (N, C, *spatial), any floating dtype, contiguous or channels_last.

    Numerics: half precision is read as float32. Against float64 on the same values the error of the
    mean is at most 1e-5 of max(|mean|, sd), and the relative error of the pooled variance and of the
    average within-sample variance at most 1e-5, for |mean|/sd up to 1e4. What is not finite makes its
    channel NaN or infinite in its own sample only.
    """
    values = x if x.dtype in (torch.float32, torch.float64) else x.float()
    samples, channels = values.shape[:2]
    positions = positions_of(values)
    count = np.full(samples, float(positions))
    if positions <= 1:
        # In memory of their own: float64 values would otherwise share the layer's, which may be written to later.
        own = values.detach().to("cpu", torch.float64, copy=True).numpy()
        return SampleMoments(count, own.reshape(samples, channels), np.zeros((samples, channels)))
    if not values.is_cpu:
        return SampleMoments(count, *_by_variance(values))
    if _is_channels_last(values):
        by_position = _by_position(values)
        large = positions * channels >= LARGE_SAMPLE
        return _strands(by_position) if large else _squares(by_position, 1)
    return _squares(values.reshape(samples, channels, positions).contiguous(), 2)


def positions_of(x: torch.Tensor) -> int:
    """Values per channel in each sample of `x`, (N, C, *spatial); 0 where there is no sample."""
    return x[0, 0].numel() if x.shape[0] and x.shape[1] else 0


def part_of_maps(x: torch.Tensor, turn: int) -> torch.Tensor:
    """Every k-th row of the maps of `x`, where they are large, in memory of their own; else `x` as it is.

    Rows lie together in memory, single positions do not. Which of the k rows comes first goes round with the samples,
    so that no pattern of the maps (seams of upsampling, a horizon) is read in one phase alone; with which it begins,
    `turn` says: drawn for every batch, so that no kind of sample that comes round as often is always read in the same.

    Args:
        x: shape (N, C, *spatial, H, W).
        turn: drawn at random.

    Returns:
        Shape (N, C, *spatial, H / k, W) in the layout of `x`, with `FEWEST_POSITIONS` positions or more.

    Error: where positions are independent, a sample's mean of P of them has a standard error of its spread within the
    sample by sqrt(P), 0.036 at 784; where every row is of one value, the worst case, 0.35 at `FEWEST_ROWS` rows. It
    falls with the root of the samples: behind 2,048 that were read whole, those read in part add 0.004 at the most.
    """
    every = _rows_to_one(x) if x.dim() > 3 else 1
    if every == 1:
        return x
    part = torch.empty_like(x[..., ::every, :])
    for phase in range(every):
        first = (phase - turn) % every
        part[first::every] = x[first::every, ..., phase::every, :]
    return part


def _rows_to_one(x: torch.Tensor) -> int:
    """Of how many rows of maps one is read: the most of those that divide them."""
    most = min(x.shape[2:].numel() // FEWEST_POSITIONS, x.shape[-2] // FEWEST_ROWS, MOST_ROWS)
    return next((every for every in range(most, 1, -1) if x.shape[-2] % every == 0), 1)


def batch_moments(x: torch.Tensor) -> Moments:
    """Moments of the whole batch per channel, where per-sample ones are not needed.

    Args:
        x: shape (N, C, *spatial).

    Numerics: as `sample_moments`.
    """
    return sample_moments(x).pooled()


def _is_channels_last(x: torch.Tensor) -> bool:
    return x.dim() > 2 and not x.is_contiguous() and x.movedim(1, -1).is_contiguous()


def _by_position(x: torch.Tensor) -> torch.Tensor:
    """A channels_last tensor as (N, S, C), in its own memory."""
    return x.movedim(1, -1).flatten(1, -2)


def _by_variance(x: torch.Tensor) -> tuple[FloatArray, FloatArray]:
    """Welford's reduction, which accelerators run at memory speed."""
    spatial = tuple(range(2, x.dim()))
    variance, mean = torch.var_mean(x, spatial, correction=0)
    return _float64(mean), _float64(variance) * x[0, 0].numel()


def _strands(x: torch.Tensor) -> SampleMoments:
    """Moments along axis 1 of `x`, (N, S, C) contiguous, by a call per sample of torch's own batch statistics.

    That kernel adds rows in float32, one after the other. A sample is read as strands of every k-th
    position, at most `STRAND` rows long, which stand beside one another like channels and are merged in float64.
    """
    samples, positions, channels = x.shape
    strands = next(k for k in range(-(-positions // STRAND), positions + 1) if positions % k == 0)
    length = positions // strands
    pairs = [torch.batch_norm_update_stats(sample.view(length, -1), None, None, 0.0) for sample in x]
    mean, variance = (_float64(torch.stack(parts)).reshape(-1, channels) for parts in zip(*pairs, strict=True))
    of_strands = SampleMoments(np.full(samples * strands, float(length)), mean, variance * length)
    return _centred_where_needed(x, 1, of_strands.merge_rows(strands), MEAN_ERROR)


@np.errstate(invalid="ignore")
def _squares(x: torch.Tensor, axis: int) -> SampleMoments:
    """Moments along `axis` of `x`, (N, C, S) or (N, S, C), by the sum and the sum of squares."""
    positions = x.shape[axis]
    mean = _float64(x.mean(axis))
    # Each form is the faster one for its layout.
    squares = _sum_of_squares(x) if axis == 2 else _float64(x.square().sum(1))
    moments = SampleMoments(np.full(len(x), float(positions)), mean, np.maximum(squares - positions * mean**2, 0.0))
    return _centred_where_needed(x, axis, moments, CANCELLATION)


def _sum_of_squares(x: torch.Tensor) -> FloatArray:
    """Over the last axis of (N, C, S), block by block: `vector_norm` adds in plain float32."""
    samples, channels, positions = x.shape
    number = -(-positions // BLOCK)
    whole = positions // number * number
    blocks = (x[:, :, :whole].view(samples, channels, number, -1), x[:, :, None, whole:])
    norms = [_float64(torch.linalg.vector_norm(part, dim=3)) for part in blocks if part.numel()]
    return np.asarray(sum((norm**2).sum(axis=2) for norm in norms))


def _centred_where_needed(x: torch.Tensor, axis: int, moments: SampleMoments, limit: float) -> SampleMoments:
    """`moments`, with the channels read again whose mean^2 exceeds `limit` within-sample variances."""
    within = np.mean(moments.m2, axis=0) / x.shape[axis]
    channels = np.flatnonzero(np.mean(moments.mean**2, axis=0) > limit * within)
    if channels.size:
        _centre(x, axis, channels, moments)
    return moments


def _centre(x: torch.Tensor, axis: int, channels: npt.NDArray[np.intp], moments: SampleMoments) -> None:
    """Recompute `channels` of `moments` (built a moment ago, not yet shared) from centred values."""
    index = torch.from_numpy(channels)
    positions = x.shape[axis]
    group = max(1, CACHED // (len(channels) * positions))
    for start in range(0, len(x), group):
        rows = slice(start, start + group)
        deviations = x[rows].index_select(3 - axis, index)
        centre = torch.from_numpy(moments.mean[rows, channels]).to(x.dtype)
        deviations.sub_(centre.unsqueeze(axis))
        rest = _float64(deviations.mean(axis))
        squares = _sum_of_squares(deviations) if axis == 2 else _float64(deviations.square_().sum(1))
        moments.mean[rows, channels] = _float64(centre) + rest
        moments.m2[rows, channels] = np.maximum(squares - positions * rest**2, 0.0)


def _float64(tensor: torch.Tensor) -> FloatArray:
    return tensor.detach().cpu().double().numpy()
