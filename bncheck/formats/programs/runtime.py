"""Whether the runtime normalizes right: its answers on a few samples beside the formula in float64.

Everything else that is measured takes the runtime's arithmetic for granted. What a layer was fed and what it
answered are both at hand in the first forward as shipped, so its formula, y = (x - mean) a + beta with
a = gamma / sqrt(var + eps), can be checked by itself: errors of the layers before it are in x already.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from bncheck.core import FloatArray, NormLayer
from bncheck.evidence import RuntimeCheck
from bncheck.watch import Site

SAMPLES = 8
"""Samples of which answers are compared."""
VALUES = 2**16
"""Answers of one call that are compared, roughly: a millisecond's work. Channels are never left out."""

Indices = npt.NDArray[np.int64]


def spread(total: int, wanted: int) -> Indices:
    """At most `wanted` of the indices below `total`, evenly spaced: the first and the last, too, if more than one.

    Kernels go wrong at ends, where vectors and blocks are not full.
    """
    return np.unique(np.linspace(0, total - 1, max(1, min(wanted, total))).round().astype(np.int64))


def positions_for(rows: int, channels: int, positions: int) -> Indices:
    """Which of a map's positions to compare, so that about `VALUES` values are."""
    return spread(positions, VALUES // max(1, rows * channels))


def compared_tensors(
    site: Site, layer: NormLayer, x: torch.Tensor, y: torch.Tensor, *parameters: torch.Tensor | None
) -> RuntimeCheck | None:
    """How the answer `y` to `x`, both (N, C, *spatial), compares with the formula of `layer`.

    Args:
        site: where it was seen.
        layer: statistics, gamma, beta and eps of this very call.
        x: what it was fed.
        y: what it answered.
        parameters: the tensors it computed with, for their types.

    Returns:
        `None` where there is nothing to compare: no values, other shapes, no plain floats.
    """
    fits = x.shape == y.shape and x.dim() > 1 and x.numel() > 0 and x.shape[1] == layer.channels
    if not (fits and _is_plain(x) and _is_plain(y)):
        return None
    rows = spread(x.shape[0], SAMPLES)
    positions = positions_for(len(rows), x.shape[1], x[0, 0].numel())
    dtype = coarsest(y.dtype, *(tensor.dtype for tensor in parameters if tensor is not None))
    return compared(site, layer, _picked(x, rows, positions), _picked(y, rows, positions), positions, dtype)


def compared(
    site: Site, layer: NormLayer, x: FloatArray, y: FloatArray, positions: Indices, dtype: torch.dtype
) -> RuntimeCheck | None:
    """The same from chosen values, shape (rows, C, positions); `positions` says where they stood.

    Numerics: the reference is float64. An error counts in units of `dtype`'s epsilon times
    |a x| + |a mean| + |beta|: rounding a, b = beta - mean a, and a x + b leaves a few of them, however the terms
    cancel. Inputs and answers below the smallest normal number of `dtype` may be flushed to zero. What is not
    finite, or beyond the range of `dtype`, is left out, and so are channels of negative variance.
    """
    limits = torch.finfo(dtype)
    mean, var, gamma, beta = (_column(values, layer.channels, default) for values, default in _formula(layer))
    with np.errstate(all="ignore"):
        slope = np.where(var >= 0, gamma / np.sqrt(var + (layer.eps or 0.0)), np.nan)
        expected = slope * (x - mean) + beta
        unit = limits.eps * (np.abs(slope * x) + np.abs(slope * mean) + np.abs(beta))
        unit += limits.tiny * (1 + np.abs(slope))
        errors = np.abs(y - expected) / unit
    usable = np.isfinite(errors) & (np.abs(expected) <= limits.max)
    if not usable.any():
        return None
    errors = np.where(usable, errors, 0.0)
    row, channel, at = (int(index) for index in np.unravel_index(errors.argmax(), errors.shape))
    return RuntimeCheck(
        layer=site.layer,
        call=site.call,
        dtype=str(dtype).removeprefix("torch."),
        values=int(usable.sum()),
        errors=errors.max(axis=(0, 2)),
        channel=channel,
        position=int(positions[at]),
        fed=float(x[row, channel, at]),
        expected=float(expected[row, channel, at]),
        came=float(y[row, channel, at]),
    )


def coarsest(*dtypes: torch.dtype) -> torch.dtype:
    """The type of the largest machine epsilon."""
    return max(dtypes, key=lambda dtype: torch.finfo(dtype).eps)


def _formula(layer: NormLayer) -> tuple[tuple[FloatArray | None, float], ...]:
    return (layer.mean, 0.0), (layer.var, 1.0), (layer.weight, 1.0), (layer.bias, 0.0)


def _column(values: FloatArray | None, channels: int, default: float) -> FloatArray:
    """Shape (C, 1); `default` where the layer has none."""
    return (np.full(channels, default) if values is None else values).reshape(-1, 1)


def _is_plain(tensor: torch.Tensor) -> bool:
    return tensor.layout == torch.strided and tensor.is_floating_point() and not tensor.is_nested


def _picked(tensor: torch.Tensor, rows: Indices, positions: Indices) -> FloatArray:
    """Those rows and positions of (N, C, *spatial), shape (rows, C, positions), without copying the rest."""
    index: list[torch.Tensor | slice] = [torch.from_numpy(rows)[:, None], slice(None)]
    if tensor.dim() > 2:
        # NumPy's: PyTorch's imports a system of symbolic algebra, which takes a while and much memory.
        index += [torch.from_numpy(axis)[None] for axis in np.unravel_index(positions, tensor.shape[2:])]
    return tensor[tuple(index)].movedim(1, 2).detach().cpu().double().numpy()
