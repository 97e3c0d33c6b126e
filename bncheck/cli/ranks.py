"""A command that several processes of one job were started with: the first speaks, writes and judges for all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from bncheck.cli.process import say
from bncheck.errors import BncheckError

if TYPE_CHECKING:
    from bncheck.measure import Ranks


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
