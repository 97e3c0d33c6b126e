"""Which samples are not finite, where what the model's layers see is not."""

from __future__ import annotations

import torch

from bncheck.data.batches import Batch, Source
from bncheck.evidence import BrokenSamples
from bncheck.measure.passes import Plan


def broken_samples(source: Source, plan: Plan) -> BrokenSamples | None:
    """How many samples hold NaN or infinity, of those that were read; `None` where none does."""
    whole = plan.limit is None
    read = (
        source.given_batches(plan.batch_size, seed=plan.seed)
        if whole
        else source.batches(plan.batch_size, seed=plan.seed, limit=plan.limit)
    )
    found: list[int] = []
    samples = 0
    for batch in read:
        found += [samples + number for number in _broken(batch)]
        samples += batch.size
    numbered = whole and not source.own_batches
    return BrokenSamples(len(found), samples, found[0] if numbered else None) if found else None


def _broken(batch: Batch) -> list[int]:
    """Their numbers within the batch."""
    bad = torch.zeros(batch.size, dtype=torch.bool)
    for tensor in batch.tensors:
        if tensor.is_floating_point() and len(tensor) == batch.size:
            bad |= ~tensor[:, None].flatten(1).isfinite().all(1).cpu()
    return torch.nonzero(bad).flatten().tolist()
