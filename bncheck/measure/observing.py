"""What an inspection sees of its data: both passes, shared with other processes, and further looks."""

from __future__ import annotations

from bncheck.data import Source
from bncheck.errors import MemoryLimitError, UnfitError
from bncheck.measure.observation import BatchPass, Observation, StoredPass
from bncheck.measure.passes import Passes
from bncheck.measure.plan import Plan
from bncheck.measure.sessions import only_size
from bncheck.measure.stopping import Look
from bncheck.progress import Progress
from bncheck.watch import Ledger, Session


def observe(
    session: Session,
    source: Source,
    plan: Plan,
    progress: Progress,
    *,
    gaps_only: bool = False,
    ledger: Ledger | None = None,
) -> Observation:
    """Read `source` twice in `session` and collect everything that evidence is made of.

    A program may take one batch size alone without saying so, as many exports do: where it refuses what it is given,
    the loader's own size and single samples are tried.

    Where several processes share it, the first alone gets to see it all, and its ledger what they ran. With `gaps_only`
    no outputs are compared and no samples kept, which takes two forwards of every sample.

    Raises:
        DataError: the data are empty, cannot be read, or do not fit the model.
        RankIsDone: this process is another than the first.
    """
    batch, stored = both_passes(session, source, plan, progress, gaps_only=gaps_only, ledger=ledger)
    return Observation.of(batch, stored, source)


def both_passes(
    session: Session,
    source: Source,
    plan: Plan,
    progress: Progress,
    *,
    gaps_only: bool = False,
    ledger: Ledger | None = None,
) -> tuple[BatchPass, StoredPass]:
    """What either pass collects, of all processes that share it; see `observe`."""
    for note in source.notes:
        progress(note.sentence, 0, None)
    passes = Passes(session, source, plan, progress, shard=plan.ranks.shard, gaps_only=gaps_only)
    try:
        batch = plan.ranks.merged(passes.batch_pass)
    except MemoryLimitError:
        raise
    except UnfitError:
        only = only_size(session, source, plan)
        if only is None:
            raise
        session.restrict(only)
        passes = Passes(session, source, plan, progress, shard=plan.ranks.shard, gaps_only=gaps_only)
        batch = plan.ranks.merged(passes.batch_pass)
    stored = plan.ranks.gathered(lambda: passes.stored_pass(batch), ledger or Ledger())
    return batch, stored


def look_further(session: Session, source: Source, plan: Plan, progress: Progress, seen: Observation) -> Observation:
    """What was seen, with another look at samples that were run as shipped alone so far.

    Raises:
        DataError: the data cannot be read, or do not fit the model.
    """
    return Passes(session, source, plan, progress, look=Look.after(seen.compared or 0)).further(seen)
