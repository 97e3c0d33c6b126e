"""Per-sample moments of a layer's input, at a small fraction of the cost of the layer itself.

The reduction is chosen by memory layout and size; `make bench` shows why. Where the mean is large
against the standard deviation the fast kernel (a difference of squares) would cancel: those channels,
and only those, are read a second time, centred.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from bncheck.statistics import Moments, SampleMoments

FloatArray = npt.NDArray[np.float64]

CANCELLATION = 4.0
"""Channels whose mean^2 exceeds this many variances are centred: below, float32 keeps 1e-5."""
LARGE_SAMPLE = 65_536
"""Values in one channels_last sample from which a call per sample beats one over the batch."""


def sample_moments(x: torch.Tensor) -> SampleMoments:
    """Moments of every sample and channel of `x`.

    Args:
        x: shape (N, C, *spatial), any floating dtype, contiguous or channels_last.

    Numerics: half precision is read as float32. Against float64 on the same values the error of the
    mean is at most 1e-5 of max(|mean|, sd), and the relative error of the pooled variance at most 1e-5,
    for |mean|/sd up to 1e4.
    """
    values = x if x.dtype in (torch.float32, torch.float64) else x.float()
    samples, channels = values.shape[:2]
    positions = values[0, 0].numel() if samples and channels else 0
    count = np.full(samples, float(positions))
    if values.dim() == 2:
        return SampleMoments(count, _float64(values), np.zeros((samples, channels)))
    if not values.is_cpu:
        return SampleMoments(count, *_by_variance(values))
    if _is_channels_last(values):
        by_position = values.movedim(1, -1).reshape(samples, positions, channels)
        if positions * channels >= LARGE_SAMPLE:
            return SampleMoments(count, *_sample_by_sample(values, positions))
        return _centred_where_needed(by_position, 1, count)
    return _centred_where_needed(values.reshape(samples, channels, positions), 2, count)


def batch_moments(x: torch.Tensor) -> Moments:
    """Moments of the whole batch per channel, where the samples apart are not needed.

    Args:
        x: shape (N, C, *spatial).
    """
    if x.dim() > 2 and x.is_cpu and x.dtype == torch.float32 and _is_channels_last(x):
        mean, variance = torch.batch_norm_update_stats(x, None, None, 0.0)
        count = x.numel() / x.shape[1]
        return Moments(count, _float64(mean), _float64(variance) * count)
    return sample_moments(x).pooled()


def _is_channels_last(x: torch.Tensor) -> bool:
    return x.dim() > 2 and not x.is_contiguous() and x.movedim(1, -1).is_contiguous()


def _by_variance(x: torch.Tensor) -> tuple[FloatArray, FloatArray]:
    """Welford's reduction, which accelerators run at memory speed."""
    spatial = tuple(range(2, x.dim()))
    variance, mean = torch.var_mean(x, spatial, correction=0)
    return _float64(mean), _float64(variance) * x[0, 0].numel()


def _sample_by_sample(x: torch.Tensor, positions: int) -> tuple[FloatArray, FloatArray]:
    pairs = [torch.batch_norm_update_stats(x[index : index + 1], None, None, 0.0) for index in range(len(x))]
    mean = torch.stack([pair[0] for pair in pairs])
    variance = torch.stack([pair[1] for pair in pairs])
    return _float64(mean), _float64(variance) * positions


def _centred_where_needed(x: torch.Tensor, axis: int, count: FloatArray) -> SampleMoments:
    """Moments along `axis` of `x`, (N, C, S) or (N, S, C)."""
    positions = x.shape[axis]
    mean = _float64(x.mean(axis))
    # Each form is the faster one for its layout.
    squares = _float64(torch.linalg.vector_norm(x, dim=2)) ** 2 if axis == 2 else _float64(x.square().sum(1))
    moments = SampleMoments(count, mean, np.maximum(squares - positions * mean**2, 0.0))
    pooled = moments.pooled()
    channels = np.flatnonzero(np.mean(mean**2, axis=0) > CANCELLATION * pooled.variance)
    if channels.size:
        _centre(x, axis, channels, moments)
    return moments


def _centre(x: torch.Tensor, axis: int, channels: npt.NDArray[np.intp], moments: SampleMoments) -> None:
    """Recompute `channels` of `moments` (built a moment ago, not yet shared) from centred values."""
    index = torch.from_numpy(channels)
    chosen = x.index_select(3 - axis, index)
    centre = chosen.mean(axis, keepdim=True)
    deviations = chosen - centre
    rest = _float64(deviations.mean(axis))
    moments.mean[:, channels] = _float64(centre.squeeze(axis)) + rest
    squares = _float64(deviations.square().sum(axis))
    moments.m2[:, channels] = np.maximum(squares - x.shape[axis] * rest**2, 0.0)


def _float64(tensor: torch.Tensor) -> FloatArray:
    return tensor.detach().cpu().double().numpy()
