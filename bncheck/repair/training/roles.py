"""Which data are repaired from, which choose, and which judge: no sample does two of these."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bncheck.data import Batch, DataOptions, Source, open_data
from bncheck.errors import UsageError
from bncheck.repair.methods.method import Method
from bncheck.results import HeldOutDrawn, Note
from bncheck.vocabulary import argument

HELD_OUT_SHARE = 0.2
"""Of data that both train and judge, the share that is kept from training."""


@dataclass(frozen=True, slots=True, eq=False)
class Roles:
    """Which data do what in a repair.

    Attributes:
        repair_from: what the method learns from.
        judge: what the result is judged on; the same source where the method cross-fits.
        validation: what the best state of a training run is chosen by; `None` to take the last.
        note: what was decided for the user; `None` where the command said it all.
    """

    repair_from: Source
    judge: Source
    validation: Source | None = None
    note: Note | None = None


def roles_of(way: Method, *, data: Any, train_data: Any, heldout: Any, how: DataOptions, seed: int) -> Roles:
    """Give the data that were named their roles.

    A method that cross-fits repairs from `data` and is judged by it, or by `heldout`. A method that trains takes
    `train_data`, in its own order and batches, or else `data`, drawn at random; of the others the last in the order
    (data, heldout) judges, and where there are two the first chooses. With nothing left to judge by, a fifth of the
    samples is drawn and kept from training.

    Raises:
        UsageError: the data do not suffice for that, or are for another method.
        DataError: they cannot be read.
    """
    if way.cross_fits:
        if train_data is not None:
            raise UsageError(
                f"{argument('train_data')} is what {argument('method', 'renorm')} trains on; "
                f"{argument('method', way.name)} takes {argument('data')} alone."
            )
        source = open_data(data, how)
        return Roles(source, source if heldout is None else open_data(heldout, how, argument("heldout")))
    named = {argument("train_data"): train_data, argument("data"): data, argument("heldout"): heldout}
    given = {option: value for option, value in named.items() if value is not None}
    if not given:
        raise UsageError(
            f"There are no data to train on: give {argument('train_data')}, best the training's own loader."
        )
    option, trained_on = next(iter(given.items()))
    source = open_data(trained_on, how, option)
    others = [
        open_data(value, how, other)
        for other, value in given.items()
        if other != option and not _same(value, trained_on)
    ]
    mixed = option == argument("data")
    if others:
        return Roles(TrainingSource(source, mixed=mixed), others[-1], others[0] if len(others) > 1 else None)
    if not source.can_split:
        missing = argument("heldout") if option == argument("data") else argument("data")
        raise UsageError(
            f"{option} {source.name} makes its own batches and may draw them anew in every pass, so nothing of it can "
            f"be kept from training to judge by: name other data with {missing}."
        )
    rest, drawn = source.split(HELD_OUT_SHARE, seed)
    note = HeldOutDrawn(drawn.samples or 0, source.name)
    return Roles(TrainingSource(rest, mixed=mixed), drawn, note=note)


class TrainingSource:
    """A source as it is trained on.

    Args:
        source: the data.
        mixed: draw the samples of every pass at random, unless the source makes its own batches.

    Attributes:
        read: the most samples that were read in one pass.
    """

    def __init__(self, source: Source, *, mixed: bool) -> None:
        self._source = source
        self._mixed = mixed and not source.own_batches
        self.name = source.name
        self.samples = source.samples
        self.own_batches, self.in_order = source.own_batches, source.in_order
        self.hint = source.hint
        self.read = 0

    @property
    def notes(self) -> tuple[Note, ...]:
        """See `Source`; a reading may add to them."""
        return self._source.notes

    def batches(self, batch_size: int, *, seed: int = 0, limit: int | None = None) -> Iterator[Batch]:
        """See `Source`."""
        return self._source.batches(batch_size, seed=seed, limit=limit)

    def given_batches(
        self, batch_size: int, *, seed: int = 0, limit: int | None = None, every: int = 1
    ) -> Iterator[Batch]:
        """The batches to train on, counted."""
        batches = (
            self._source.batches(batch_size, seed=seed, limit=limit)
            if self._mixed
            else self._source.given_batches(batch_size, seed=seed, limit=limit, every=every)
        )
        read = 0
        for batch in batches:
            read += batch.size
            self.read = max(self.read, read)
            yield batch


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str | Path) and isinstance(other, str | Path):
        return os.path.realpath(one) == os.path.realpath(other)
    return one is other
