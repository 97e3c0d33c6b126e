"""A command that several processes of one job were started with: the first speaks, writes and judges for all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from bncheck.cli.process import say
from bncheck.errors import BncheckError, UsageError

if TYPE_CHECKING:
    from bncheck.measure import Ranks


def refuse_in_job(what: str) -> None:
    """Refuse in a job of several processes what one process does: each would do all of it, and write it.

    Raises:
        UsageError: this is a process of one.
    """
    from bncheck.measure import is_job

    if is_job():
        raise UsageError(
            f"{what} runs in one process, and the environment (RANK, WORLD_SIZE) tells of a job of several, each of "
            "which would do all of it: start it once, without torchrun or with these variables unset."
        )


def own_device(device: str, environment: Mapping[str, str] = os.environ) -> str:
    """The device of this process of a job: of several GPUs of a machine each takes its own, where none is named.

    Where a launcher shows each process one GPU alone, that is its own.
    """
    local = environment.get("LOCAL_RANK", "")
    if device != "cuda" or not local.isdecimal():
        return device
    import torch

    found = torch.cuda.device_count()
    return f"cuda:{int(local) % found}" if found else device


@contextmanager
def job_ranks() -> Iterator[Ranks]:
    """The processes that share the command; the others end here, in silence, once the first needs them no more.

    What fails in one of them fails in all, and the first says it: a process that ended with an error might have the
    first one ended before it can.
    """
    from bncheck.measure import RankIsDone, ranks_of_job

    with ranks_of_job(told=say) as ranks:
        try:
            yield ranks
        except RankIsDone as done:
            raise typer.Exit(0) from done
        except BncheckError as error:
            if ranks.rank == 0:
                raise
            raise typer.Exit(0) from error
