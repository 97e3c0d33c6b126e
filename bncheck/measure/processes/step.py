"""Forwards in step: several processes run a part each of one batch, and every layer normalizes by all of them.

What each process does next is said before it is done, in a header of one size. So one that has no more samples, fails,
or comes to another layer than the others ends the reading of all, and nobody waits for what does not come.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from enum import IntEnum
from functools import reduce

import numpy as np

from bncheck.core import Moments
from bncheck.encoding import said_by
from bncheck.errors import UnreadableError, UnwindingError
from bncheck.tensors import torch
from bncheck.vocabulary import argument
from bncheck.watch import Site


class StoppedByAnotherError(UnreadableError):
    """Another process of the job failed, which is what is to be heard of."""


class _LeavingError(UnwindingError):
    """Ends a forward that the others have left."""


class _Next(IntEnum):
    BATCH, LAYER, FAILURE = range(3)


class LockStep:
    """Keeps the forwards of several processes in step, and has their layers normalize by all samples together.

    As SyncBatchNorm does: a channel's count, mean and sum of squares of all processes are put together, in float64.

    Args:
        rank: the number of this process, from 0.
        count: how many there are.

    Attributes:
        is_over: whether one of them has no more samples.
    """

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count
        self.is_over = False
        self._left: StoppedByAnotherError | None = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """A pass whose batches are run in step; what ends it here ends it in all processes.

        Raises:
            StoppedByAnotherError: another process failed.
        """
        self.is_over, self._left = False, None
        try:
            yield
            if not self.is_over:
                self.begins(0, ended=True)
        except BaseException as error:
            if self._left is not None:  # a script makes an error of its own of what ends it
                raise self._left from error
            if not self.is_over and isinstance(error, Exception):
                self.is_over = True
                with contextlib.suppress(UnreadableError):
                    self._headers(_Next.FAILURE)
            raise

    def begins(self, samples: int, *, ended: bool = False) -> bool:
        """Whether all processes have samples for the next forward, which is left out where one has none.

        Args:
            samples: that this process has for it.
            ended: whether it will have no more; then the reading is over.
        """
        headers = self._headers(_Next.BATCH, samples=samples, ended=ended)
        self._require(headers, _Next.BATCH)
        self.is_over = bool(headers[:, 1].any())
        return not self.is_over and not bool((headers[:, 3] == 0).any())

    def together(self, site: Site, moments: Moments) -> Moments:
        """The moments of what all processes feed a layer's call."""
        name = zlib.crc32(f"{site.layer}:{site.call}".encode())
        headers = self._headers(_Next.LAYER, channels=len(moments.mean), name=name)
        self._require(headers, _Next.LAYER)
        mine = torch.from_numpy(np.concatenate(([moments.count], moments.mean, moments.m2)))
        parts = self._gathered(mine).numpy()
        channels = len(moments.mean)
        return reduce(
            Moments.__add__, (Moments(float(row[0]), row[1 : channels + 1], row[channels + 1 :]) for row in parts)
        )

    def _require(self, headers: torch.Tensor, kind: _Next) -> None:
        """Leave where the others do not do the same; all of them see that."""
        failed = (headers[:, 0] == _Next.FAILURE).nonzero().flatten().tolist()
        if failed:
            self._leave(f"Process {failed[0]} of the job (from 0) has failed.")
        if kind is _Next.LAYER or bool((headers[:, 0] != kind).any()):
            alike = (headers[:, :3] == headers[0, :3]).all()
            if not alike:
                self._leave(
                    "The processes of the job came to different layers in one forward: which layers are run depends "
                    "on the samples, and what depends on them cannot be normalized by all processes together. Leave "
                    f"{argument('sync')} out."
                )

    def _leave(self, why: str) -> None:
        self.is_over, self._left = True, StoppedByAnotherError(why)
        raise _LeavingError

    def _headers(
        self, kind: _Next, *, channels: int = 0, name: int = 0, samples: int = 0, ended: bool = False
    ) -> torch.Tensor:
        return self._gathered(torch.tensor([kind, channels or int(ended), name, samples], dtype=torch.int64))

    def _gathered(self, mine: torch.Tensor) -> torch.Tensor:
        """The rows of all processes, in the order of their numbers."""
        import torch.distributed as dist

        if dist.get_backend() == "nccl":
            mine = mine.cuda()
        found = [torch.empty_like(mine) for _ in range(self.count)]
        with others_answering():
            dist.all_gather(found, mine)
        return torch.stack(found).cpu()


@contextlib.contextmanager
def others_answering() -> Iterator[None]:
    """An exchange; what PyTorch raises in it is that another process is gone."""
    try:
        yield
    except RuntimeError as error:
        raise UnreadableError(
            f"Another process of the job has ended, or cannot be reached: {said(error)}. Look at what it "
            "said, and start all of them again."
        ) from error


def said(error: Exception) -> str:
    """What an exception says, without its full stop."""
    return said_by(error).rstrip(".")
