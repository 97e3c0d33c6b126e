"""`bncheck diff`: two checkpoints, and what moved between them."""

from __future__ import annotations

import typer

from bncheck.cli.destinations import read_destinations, stdout_is_free, write_reports
from bncheck.cli.guard import files_of
from bncheck.cli.importing import uncollected
from bncheck.cli.options import declared as opt
from bncheck.cli.options.trusting import AllowOp, say_what_is_trusted
from bncheck.cli.options.typed import as_typed, split_codes
from bncheck.cli.process import exit_codes, stdout_to_stderr
from bncheck.cli.progress import progress_bar
from bncheck.cli.showing import read_showing
from bncheck.progress import begin
from bncheck.results import Difference
from bncheck.settings import Edge, ModelSettings
from bncheck.vocabulary import Spelling


def diff_command(
    context: typer.Context,
    before: opt.Before,
    after: opt.After,
    expect_frozen: opt.ExpectFrozen = None,
    key: opt.Key = None,
    key_after: opt.KeyAfter = None,
    trust_pickle: opt.TrustPickle = False,
    allow_op: AllowOp = None,
    report: opt.DifferenceReports = None,
    verbose: opt.Verbose = False,
    all: opt.Every = False,
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
        showing = read_showing(context)
        destinations = read_destinations(report or [], Difference)
        files = files_of(context, destinations)
        if not quiet:
            say_what_is_trusted(f"{before} and {after}", trust_pickle, allow_op, several=True)
        with stdout_to_stderr(), progress_bar(quiet) as progress:
            begin(progress, "comparing two files")
            with uncollected():
                from bncheck.api import compared

            allowed = tuple(allow_op or ())
            first = ModelSettings(before, key=key, trust_pickle=trust_pickle, allow_ops=allowed)
            second = ModelSettings(after, key=key_after or key, trust_pickle=trust_pickle, allow_ops=allowed)
            edge = Edge("bncheck diff", Spelling.COMMAND_LINE, typed)
            result = compared(first, second, split_codes(expect_frozen), edge)
        files.require_free()
        write_reports(result, destinations)
        if not quiet and stdout_is_free(destinations):
            showing.print_difference(result)
        raise typer.Exit(result.summary.exit_code)
