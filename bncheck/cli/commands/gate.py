"""`bncheck gate`: judge a saved report again, without loading torch."""

from __future__ import annotations

import typer

from bncheck.cli.configuration import configuration_of, say_configuration
from bncheck.cli.destinations import read_destinations, stdout_is_free, write_reports
from bncheck.cli.guard import files_of
from bncheck.cli.known import read_known, settle
from bncheck.cli.options import declared as opt
from bncheck.cli.options.typed import split_codes
from bncheck.cli.process import exit_codes
from bncheck.cli.showing import read_showing
from bncheck.errors import UsageError
from bncheck.gate import Limits, fail_on_named, judge_again, read_report, unaccepted


def gate_command(
    context: typer.Context,
    saved: opt.SavedReport,
    max_gap: opt.MaxGap = None,
    select: opt.Select = None,
    ignore: opt.Ignore = None,
    fail_on: opt.FailOnAgain = None,
    strict: opt.Strict = False,
    baseline: opt.BaselineFile = None,
    write_baseline: opt.WriteBaseline = None,
    report: opt.Reports = None,
    verbose: opt.Verbose = False,
    all: opt.Every = False,
    sort: opt.Sort = None,
    format: opt.Form = None,
    statistics: opt.Statistics = False,
    quiet: opt.Quiet = False,
    no_config: opt.NoConfig = False,
    debug: opt.Debug = False,
) -> None:
    """Judge a saved report again: its verdict and exit code, under other limits if any are given.

    The model and the data are not needed, nor is torch. --report writes the report in other formats.
    """
    with exit_codes(debug, context):
        showing = read_showing(context)
        destinations = read_destinations(report or [])
        files = files_of(context, destinations)
        if any(destination.format == "channels-csv" for destination in destinations):
            raise UsageError("--report channels-csv: a saved report has no channels; ask for them when you inspect.")
        known = read_known(baseline, write_baseline, ignores=configuration_of(context).ignores)
        limits = Limits(
            None if fail_on is None else fail_on_named(fail_on),
            strict or None,
            max_gap,
            split_codes(select),
            split_codes(ignore),
        )
        if not quiet:
            say_configuration(context)
        read = read_report(saved)
        result = judge_again(read if baseline is None else unaccepted(read), limits)
        files.require_free()
        result = settle(result, known, quiet=quiet)
        write_reports(result, destinations)
        if not quiet and stdout_is_free(destinations):
            showing.print(result)
        raise typer.Exit(result.summary.exit_code)
