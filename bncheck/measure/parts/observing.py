"""Running one shard of the data, with nobody else at hand."""

from __future__ import annotations

from bncheck.data import Source
from bncheck.measure.observation import Observation
from bncheck.measure.observing import both_passes
from bncheck.measure.plan import Plan
from bncheck.progress import Progress
from bncheck.watch import Ledger, Session


def observe_shard(session: Session, source: Source, plan: Plan, progress: Progress, ledger: Ledger) -> Observation:
    """What one shard of `source` shows: `plan.ranks` says which.

    Outputs are compared with those by the statistics of the shard's own other half.

    Raises:
        DataError: the data are empty, cannot be read, or do not fit the model.
    """
    batch, stored = both_passes(session, source, plan, progress, ledger=ledger)
    return Observation.of_shard(batch, stored, source)
