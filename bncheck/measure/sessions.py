"""Sessions: with random numbers of their own, and with the batch size that the model takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from bncheck.data import Source, overlapping, seed_torch
from bncheck.errors import MemoryLimitError, UnfitError
from bncheck.formats import Backend
from bncheck.measure.plan import Plan
from bncheck.predictions import read_scores
from bncheck.tensors import torch
from bncheck.watch import STORED, Session, accelerators

ODD = 3
"""Samples of a batch that hardly any program is made for alone."""


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's random numbers start at `seed` within, and go on after it as if nothing had been."""
    with overlapping(), torch.random.fork_rng(devices=accelerators()):
        seed_torch(seed)
        yield


def only_size(session: Session, source: Source, plan: Plan) -> int | None:
    """Find the batch size that a model takes which refuses others: the loader's own, or 1; `None` where it takes none.

    Raises:
        DataError: the data cannot be read.
    """
    if session.fixed_batch is not None:
        return None
    first = next(source.given_batches(1, seed=plan.seed, limit=None if source.own_batches else 1), None)
    if first is None:
        return None
    for size in dict.fromkeys((first.size, 1)):
        try:
            output = session.run(first.between(0, size), STORED, None)
        except UnfitError:
            continue
        if _is_of(output, size, plan):
            return size
    return None


@contextlib.contextmanager
def settled_session(model: Backend, source: Source, plan: Plan) -> Iterator[Session]:
    """A session whose batch size is known, where the model takes one alone without saying so.

    Raises:
        DataError: the data cannot be read.
    """
    with model.session(source.name, plan.seed) as session:
        limit = None if source.own_batches else ODD
        first = next(source.given_batches(ODD, seed=plan.seed, limit=limit), None)
        if session.fixed_batch is None and first is not None and first.size > 1:
            try:
                session.run(first.between(0, ODD), STORED, None)
            except MemoryLimitError:
                raise
            except UnfitError:
                only = only_size(session, source, plan)
                if only is not None:
                    session.restrict(only)
        yield session


def _is_of(output: Any, samples: int, plan: Plan) -> bool:
    """Tell whether there is an output for each sample: a model that takes a sample for a batch gives others."""
    scores = read_scores(output, plan.output)
    return scores is not None and scores.dim() > 0 and len(scores) == samples
