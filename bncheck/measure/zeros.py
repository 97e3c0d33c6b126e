"""Counting weights that are exactly 0, which training leaves nowhere and pruning does."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from bncheck.evidence import ZeroedWeights
from bncheck.formats import plain


def zeroed_weights(tensors: Iterable[torch.Tensor]) -> ZeroedWeights | None:
    """How many rows of weights are 0 as a whole, and what share of the others is; `None` without any weight of 0.

    Args:
        tensors: of the model; those of two and more axes are weights, a filter or unit to a row. Quantized ones, whose
            small values are rounded to 0, do not count.
    """
    filters = zeros = weights = 0
    for tensor in tensors:
        if tensor.dim() < 2 or not tensor.is_floating_point() or tensor.is_quantized or not tensor.numel():
            continue
        is_zero = (plain(tensor) == 0).flatten(1)
        whole = is_zero.all(1)
        filters += int(whole.sum())
        zeros += int(is_zero[~whole].sum())
        weights += int((~whole).sum()) * is_zero.shape[1]
    return ZeroedWeights(filters, zeros / weights if weights else 0.0) if filters or zeros else None
