"""`bncheck diff`: two checkpoints, and what moved between them."""

from __future__ import annotations

from typing import Any

import typer

from bncheck.cli.destinations import STDOUT, read_destinations, write_texts
from bncheck.cli.options import declared as opt
from bncheck.cli.options.typed import as_typed, split_codes
from bncheck.cli.process import exit_codes, say, stdout_to_stderr
from bncheck.errors import UsageError
from bncheck.settings import Edge, ModelSettings
from bncheck.vocabulary import Spelling, argument

FORMATS = ("json", "csv")


def diff_command(
    context: typer.Context,
    before: opt.Before,
    after: opt.After,
    expect_frozen: opt.ExpectFrozen = None,
    key: opt.Key = None,
    key_after: opt.KeyAfter = None,
    trust_pickle: opt.TrustPickle = False,
    report: opt.DifferenceReports = None,
    quiet: opt.Quiet = False,
    no_config: opt.NoConfig = False,
    debug: opt.Debug = False,
) -> None:
    """Tell which layers' statistics moved from one checkpoint to another, and which other tensors.

    The files may be of different formats; nothing is run. With --expect-frozen the exit code is 1 where statistics
    moved that were to stay.
    """
    typed = as_typed(locals())
    with exit_codes(debug, context):
        destinations = read_destinations(report or [], [before, after])
        for destination in destinations:
            if destination.format not in FORMATS:
                raise UsageError(f"{argument('report')} {destination.format}: a difference is written as json or csv.")
        if trust_pickle and not quiet:
            say(f"--trust-pickle lets {before} and {after} run code if they are pickles.")
        with stdout_to_stderr():
            from bncheck.api.comparing import compared

            first = ModelSettings(before, key=key, trust_pickle=trust_pickle)
            second = ModelSettings(after, key=key_after or key, trust_pickle=trust_pickle)
            edge = Edge("bncheck diff", Spelling.COMMAND_LINE, typed)
            result = compared(first, second, split_codes(expect_frozen), edge)
        from bncheck.render.difference import FORMATS as RENDERERS

        write_texts([(destination, RENDERERS[destination.format](result)) for destination in destinations])
        if not quiet and all(destination.path != STDOUT for destination in destinations):
            _print(result)
        raise typer.Exit(result.summary.exit_code)


def _print(result: Any) -> None:
    from rich.console import Console

    from bncheck.render.difference import print_difference

    print_difference(result, Console())
