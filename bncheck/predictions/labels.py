"""What labels are, looked at by themselves."""

from __future__ import annotations

import torch


def are_whole(labels: torch.Tensor) -> bool:
    """Whether all of them are whole numbers, whatever their type."""
    if labels.is_complex():
        return False
    return not labels.is_floating_point() or bool((labels == labels.round()).all())


def class_of_each(labels: torch.Tensor | None) -> torch.Tensor | None:
    """One class number per sample, (N,) int64; `None` where the labels are not that."""
    if labels is None or labels.dim() != 1 or not are_whole(labels):
        return None
    return labels.long()
