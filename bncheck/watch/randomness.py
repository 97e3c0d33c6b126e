"""Whose random state a run must leave as it was."""

from __future__ import annotations

from bncheck.tensors import torch


def accelerators() -> list[int]:
    """CUDA devices whose random state seeding would change: all of them, once CUDA is in use."""
    in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return list(range(torch.cuda.device_count())) if in_use else []
