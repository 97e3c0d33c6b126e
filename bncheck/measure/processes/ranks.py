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

from bncheck.encoding import said_by
from bncheck.errors import BncheckError, UnreadableError, UsageError
from bncheck.measure.processes.portions import WHOLE, Shard
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
    """

    rank, count = 0, 1

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

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count

    def agreed(self, make: Callable[[], T]) -> T:
        """See `Ranks`."""
        import torch.distributed as dist

        made, error = _tried(make)
        errors: list[BncheckError | None] = [None] * self.count
        with _others_answering():
            dist.all_gather_object(errors, error)
        for each in errors:
            if each is not None:
                raise each
        return cast(T, made)

    def merged(self, make: Callable[[], M]) -> M:
        """See `Ranks`."""
        import torch.distributed as dist

        mine = self.agreed(make)
        found: list[M] = [mine] * self.count
        with _others_answering():
            dist.all_gather_object(found, mine)
        found[self.rank] = mine  # with what cannot be sent, a user's metric
        return reduce(lambda one, other: cast(M, one.merge(other)), found)

    def gathered(self, make: Callable[[], M], ledger: Ledger) -> M:
        """See `Ranks`."""
        import torch.distributed as dist

        mine = self.agreed(make)
        found: list[Any] | None = [None] * self.count if self.rank == 0 else None
        with _others_answering():
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
                f"The environment ({named}) tells of a job of processes, which cannot be joined: {_said(error)}. "
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


@contextmanager
def _others_answering() -> Iterator[None]:
    """An exchange; what PyTorch raises in it is that another process is gone."""
    try:
        yield
    except RuntimeError as error:
        raise UnreadableError(
            f"Another process of the job has ended, or cannot be reached: {_said(error)}. Look at what it "
            "said, and start all of them again."
        ) from error


def _said(error: Exception) -> str:
    return said_by(error).rstrip(".")


def _tried(make: Callable[[], T]) -> tuple[T | None, BncheckError | None]:
    try:
        return make(), None
    except BncheckError as error:
        return None, error
