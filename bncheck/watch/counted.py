"""What an inspection costs: the samples that its forwards ran, and the seconds those took, by what they were for."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bncheck.core import NormLayer
from bncheck.data import Batch
from bncheck.evidence import RuntimeCheck
from bncheck.results import Note, RunCost, StageCost
from bncheck.watch.policies import BATCH, STORED, Policy
from bncheck.watch.recorder import Recorder
from bncheck.watch.session import Session
from bncheck.watch.sites import Site

_BY_POLICY = {STORED: "stored statistics", BATCH: "batch statistics"}
_OTHERS = "recalibrated statistics"


class Ledger:
    """Counts samples and seconds by stage, from when it is made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._stages: dict[str, StageCost] = {}
        self._open: str | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Book what is run meanwhile to the stage of that name."""
        before, self._open = self._open, name
        try:
            yield
        finally:
            self._open = before

    def add(self, policy: Policy, samples: int, seconds: float) -> None:
        """Book a forward to the stage that is open, and else to that of its policy."""
        stage = self._open or _BY_POLICY.get(policy, _OTHERS)
        before = self._stages.get(stage, StageCost(stage, 0, 0.0))
        self._stages[stage] = StageCost(stage, before.samples + samples, before.seconds + seconds)

    def include(self, cost: RunCost) -> None:
        """Book what another process ran; its seconds passed meanwhile."""
        for stage in cost.stages:
            before = self._stages.get(stage.name, StageCost(stage.name, 0, 0.0))
            self._stages[stage.name] = StageCost(
                stage.name, before.samples + stage.samples, max(before.seconds, stage.seconds)
            )

    def total(self) -> RunCost:
        """What was booked until now, and the seconds since the start, reading and judging included."""
        stages = tuple(self._stages.values())
        return RunCost(sum(stage.samples for stage in stages), time.perf_counter() - self._began, stages)


class CountedSession:
    """A session whose forwards are booked.

    Args:
        session: runs the batches.
        ledger: where they are booked.
        first: called with the first batch, before it is run.
    """

    def __init__(self, session: Session, ledger: Ledger, first: Callable[[Batch], None] | None = None) -> None:
        self._session = session
        self._ledger = ledger
        self._first = first

    @property
    def fixed_batch(self) -> int | None:
        """See `Session`."""
        return self._session.fixed_batch

    @property
    def notes(self) -> Sequence[Note]:
        """See `Session`."""
        return self._session.notes

    @property
    def found(self) -> dict[str, NormLayer]:
        """See `Session`."""
        return self._session.found

    @property
    def unsupported(self) -> set[str]:
        """See `Session`."""
        return self._session.unsupported

    @property
    def runtime(self) -> Sequence[RuntimeCheck]:
        """See `Session`."""
        return self._session.runtime

    def run(self, batch: Batch, policy: Policy, recorder: Recorder | None) -> Any:
        """See `Session`."""
        first, self._first = self._first, None
        if first is not None:
            first(batch)
        with self._booked(batch, policy):
            return self._session.run(batch, policy, recorder)

    def restrict(self, batch_size: int) -> None:
        """See `Session`."""
        self._session.restrict(batch_size)

    def look(self, batch: Batch, recorder: Recorder, sites: Collection[Site]) -> None:
        """See `Session`."""
        with self._booked(batch, STORED):
            self._session.look(batch, recorder, sites)

    @contextmanager
    def _booked(self, batch: Batch, policy: Policy) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._ledger.add(policy, batch.size, time.perf_counter() - start)
