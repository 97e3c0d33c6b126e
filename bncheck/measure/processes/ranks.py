"""The processes of one job that share the passes: each runs its shard of the data, what they collect is merged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import reduce
from pathlib import Path
from threading import Timer
from typing import Any, Protocol, TypeVar, cast

from bncheck.errors import BncheckError, UnreadableError, UsageError
from bncheck.measure.processes.portions import WHOLE, JointShard, Shard
from bncheck.measure.processes.step import LockStep, StoppedByAnotherError, others_answering, said
from bncheck.user_code import users_place
from bncheck.vocabulary import argument
from bncheck.watch import Ledger

T = TypeVar("T")


class Mergeable(Protocol):
    """What a pass collects: what two shards collected is what one pass over both would have."""

    def merge(self, other: Any, /) -> Any:
        """What both collected."""
        ...


M = TypeVar("M", bound=Mergeable)


class RankIsDone(Exception):  # noqa: N818  # no error: the first process goes on alone
    """Ends a process of a job that is not the first, once what it collected was handed over."""


class Ranks:
    """A job of one process: there is nobody to share with.

    Attributes:
        rank: the number of this process, from 0.
        count: how many there are.
        step: what keeps forwards in step that are normalized together; `None` where each goes by itself.
    """

    rank, count = 0, 1
    step: LockStep | None = None

    def in_step(self) -> Ranks:
        """The same processes, whose layers normalize by all their samples together where they go by the batch.

        Raises:
            UsageError: there are no others.
        """
        raise UsageError(
            f"{argument('sync')} normalizes by what several processes see together, and this is one alone: start it "
            "with torchrun, or leave it out."
        )

    @property
    def shard(self) -> Shard:
        """The share of the data that is run here."""
        return WHOLE if self.count == 1 else Shard(self.rank, self.count)

    def agreed(self, make: Callable[[], T]) -> T:
        """What `make` gives here; where it fails in any process, all fail by that."""
        return make()

    def merged(self, make: Callable[[], M]) -> M:
        """What all processes made, merged, in each of them."""
        return make()

    def gathered(self, make: Callable[[], M], ledger: Ledger) -> M:
        """What all processes made, merged, in the first; it is booked what the others ran.

        Raises:
            RankIsDone: this is another.
        """
        return make()


class Apart(Ranks):
    """A process whose shard is put together with the others' by files, afterwards: there is nobody to talk to.

    Args:
        shard: the share of the data that is run here.
    """

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    @property
    def shard(self) -> Shard:
        """See `Ranks`."""
        return self._shard


class JobRanks(Ranks):
    """The processes that `torchrun`, `accelerate launch` or SLURM started; they talk by PyTorch's gloo."""

    def __init__(self, rank: int, count: int, step: LockStep | None = None) -> None:
        self.rank, self.count, self.step = rank, count, step

    def in_step(self) -> Ranks:
        """See `Ranks`."""
        return JobRanks(self.rank, self.count, LockStep(self.rank, self.count))

    @property
    def shard(self) -> Shard:
        """See `Ranks`."""
        return super().shard if self.step is None else JointShard(self.rank, self.count)

    def agreed(self, make: Callable[[], T]) -> T:
        """See `Ranks`."""
        import torch.distributed as dist

        made, error = _tried(make)
        told = None if error is None else self._as_told(error)
        errors: list[BncheckError | None] = [None] * self.count
        with others_answering():
            dist.all_gather_object(errors, told)
        failed = [rank for rank, each in enumerate(errors) if each is not None]
        if not failed:
            return cast(T, made)
        # Who was stopped by another says so too, and that is no news where the other is heard.
        first = next((rank for rank in failed if not isinstance(errors[rank], StoppedByAnotherError)), failed[0])
        if first == self.rank and error is not None and (self.rank == 0 or isinstance(error, BncheckError)):
            raise error
        raise cast(BncheckError, errors[first])

    def _as_told(self, error: Exception) -> BncheckError:
        """What the others are told: exceptions of libraries need not be fit to be sent."""
        if isinstance(error, BncheckError):
            return error
        place = users_place(error)
        return UnreadableError(
            f"Process {self.rank} of the job (from 0) raised {said(error)}"
            f"{'' if place is None else f', in {place}'}. Run one process alone to look into it."
        )

    def merged(self, make: Callable[[], M]) -> M:
        """See `Ranks`."""
        import torch.distributed as dist

        mine = self.agreed(make)
        found: list[M] = [mine] * self.count
        with others_answering():
            dist.all_gather_object(found, mine)
        found[self.rank] = mine  # with what cannot be sent, a user's metric
        return reduce(lambda one, other: cast(M, one.merge(other)), found)

    def gathered(self, make: Callable[[], M], ledger: Ledger) -> M:
        """See `Ranks`."""
        import torch.distributed as dist

        mine = self.agreed(make)
        found: list[Any] | None = [None] * self.count if self.rank == 0 else None
        with others_answering():
            dist.gather_object((mine, ledger.total()), found, dst=0)
        if found is None:
            raise RankIsDone
        for _, cost in found[1:]:
            ledger.include(cost)
        others: list[M] = [each for each, _ in found[1:]]
        return reduce(lambda one, other: cast(M, one.merge(other)), [mine, *others])


ALONE = Ranks()
_JOB = frozenset({"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"})
JOIN_WITHIN = 300
"""Seconds in which all processes of a job must have come: those of one start come within a minute."""
TELL_AFTER = 10
"""Seconds after which a process says whom it waits for."""


def is_job(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment tells of several processes, of which this is one."""
    return environment.keys() >= _JOB and environment["WORLD_SIZE"] != "1" and not is_inherited()


def is_inherited() -> bool:
    """Whether the variables are those of a process that started this one: it is of the job, this one is none of it.

    A launcher sets them for what it starts and has none itself.
    """
    try:
        held = Path(f"/proc/{os.getppid()}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(each.startswith(b"RANK=") for each in held)


@contextmanager
def ranks_of_job(
    environment: Mapping[str, str] = os.environ, told: Callable[[str], None] = lambda sentence: None
) -> Iterator[Ranks]:
    """The processes of the job that the environment tells of, as `torchrun` and those that set the same variables do.

    A process group that is there already is used, and left there.

    Args:
        environment: of this process.
        told: called with a sentence on whom it waits for.

    Raises:
        UsageError: the variables tell of no job that there can be.
    """
    if not is_job(environment):
        yield ALONE
        return
    import torch.distributed as dist

    ours = not dist.is_initialized()
    if ours:
        named = ", ".join(f"{name}={environment[name]}" for name in sorted(_JOB))
        if environment["RANK"] == "0":
            told(f"This is the first of {environment['WORLD_SIZE']} processes of a job; it waits for the others.")
        telling = Timer(
            TELL_AFTER,
            told,
            [
                f"Waiting for the other processes of a job, which the environment tells of ({named}); at most "
                f"{JOIN_WITHIN} seconds. Start them all, or unset these variables to run alone."
            ],
        )
        telling.daemon = True
        telling.start()
        try:
            _join(timedelta(seconds=JOIN_WITHIN))
        except Exception as error:
            raise UsageError(
                f"The environment ({named}) tells of a job of processes, which cannot be joined: {said(error)}. "
                "Start them all, or unset these variables to run alone."
            ) from error
        finally:
            telling.cancel()
    try:
        yield JobRanks(dist.get_rank(), dist.get_world_size())
    finally:
        if ours:
            dist.destroy_process_group()


def _join(within: timedelta) -> None:
    """Join the job once all its processes are there.

    That they come is waited for at the store where they meet: the group's own timeout is that of every exchange, which
    may take as long as the slowest pass.
    """
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    store, rank, count = next(rendezvous("env://", timeout=within))
    store.set_timeout(within)
    store.set(f"{_HERE}/{rank}", "")
    store.wait([f"{_HERE}/{each}" for each in range(count)], within)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=count, timeout=_EXCHANGE_WITHIN)


_HERE = "bncheck/here"
_EXCHANGE_WITHIN = timedelta(days=1)


def _tried(make: Callable[[], T]) -> tuple[T | None, Exception | None]:
    try:
        return make(), None
    except RankIsDone:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is: the others would wait for ever
        return None, error
