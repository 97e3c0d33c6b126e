"""`bncheck merge`: what the shards of one reading come to; and the writing of a shard, which `inspect --shard` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from bncheck.cli.configuration import configuration_of, say_configuration
from bncheck.cli.destinations import read_destinations, stdout_is_free, write_reports
from bncheck.cli.guard import RunFiles, files_of
from bncheck.cli.importing import uncollected
from bncheck.cli.known import read_known, settle
from bncheck.cli.options import declared as opt
from bncheck.cli.options.arguments import refuse_typed
from bncheck.cli.options.typed import as_typed, read_integers, read_shard, split_codes
from bncheck.cli.process import exit_codes, say, stdout_to_stderr
from bncheck.cli.progress import progress_bar
from bncheck.cli.showing import OF_PAGE, read_showing
from bncheck.errors import UsageError
from bncheck.files import require_existing, written_whole
from bncheck.settings import BATCH_SIZES, Edge, InspectionSettings, JudgingSettings
from bncheck.vocabulary import FailOn, Spelling, argument

_JUDGING = (
    *(
        "report",
        "against",
        "reference_data",
        "baseline",
        "write_baseline",
        "max_gap",
        "deploy_dtype",
        "select",
        "ignore",
        "fail_on",
        "strict",
    ),
    "batch_sizes",
    *OF_PAGE,
)
"""Options of `inspect` that judge, which a shard alone is not."""
_BATCH_SIZES = ",".join(map(str, BATCH_SIZES))


def merge_command(
    context: typer.Context,
    parts: opt.Parts,
    batch_sizes: opt.BatchSizes = _BATCH_SIZES,
    max_gap: opt.MaxGap = None,
    deploy_dtype: opt.DeployDtype = None,
    select: opt.Select = None,
    ignore: opt.Ignore = None,
    fail_on: opt.FailOn = FailOn.WARNING.value,
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
    """Judge what all shards of a reading saw, each written by inspect --shard I/K --write-moments FILE.

    Neither the model nor the data are needed. What takes running samples again is not asked, and a note says so.
    """
    typed = as_typed(locals())
    typed.pop("parts")
    with exit_codes(debug, context):
        showing = read_showing(context)
        destinations = read_destinations(report or [])
        files = files_of(context, destinations)
        require_existing(*parts)
        known = read_known(baseline, write_baseline, ignores=configuration_of(context).ignores)
        judging = JudgingSettings(split_codes(select), split_codes(ignore), max_gap, fail_on, strict, deploy_dtype)
        sizes = read_integers(batch_sizes, "batch_sizes")
        if not quiet:
            say_configuration(context)
        with stdout_to_stderr(), progress_bar(quiet) as progress:
            with uncollected():
                from bncheck.api import merged

            result: Any = merged(parts, judging, sizes, Edge("bncheck merge", Spelling.COMMAND_LINE, typed), progress)
        files.require_free()
        result = settle(result, known, quiet=quiet)
        write_reports(result, destinations)
        if not quiet and stdout_is_free(destinations):
            showing.print(result)
        raise typer.Exit(result.summary.exit_code)


def write_shard(
    context: typer.Context, settings: InspectionSettings, *, shard: str, out: str | None, files: RunFiles, quiet: bool
) -> None:
    """Run a shard and write what it saw; nothing is judged.

    Raises:
        UsageError: there is no file to write, or what judges was asked for.
    """
    index, count = read_shard(shard)
    if out is None:
        raise UsageError(
            f"{argument('shard')} {shard}: name the file that keeps it, {argument('write_moments', 'FILE')}."
        )
    refuse_typed(
        context,
        f"{argument('shard')} writes what one shard saw and judges nothing: give that to merge, with all shards.",
        *_JUDGING,
    )
    refuse_typed(
        context,
        f"with {argument('shard')} nothing is compared with a training sampling, and nothing is trained: leave it out.",
        "train_data",
        "renorm",
    )
    from bncheck.api import part_of_shard

    with progress_bar(quiet) as progress:
        part = part_of_shard(settings, (index, count), progress)
    files.require_free()
    keep_part(part, out, quiet=quiet)


def keep_part(part: Any, out: str, *, quiet: bool) -> None:
    """Write a part to its file, whole or not at all."""
    from bncheck.measure import write_part

    with written_whole(Path(out), argument("write_moments")) as temporary:
        write_part(part, temporary)
    if not quiet:
        shard = "" if part.shard.count == 1 else f" (shard {part.named})"
        say(f"Wrote {out}: what {part.seen.samples:,} samples{shard} show, {Path(out).stat().st_size / 2**20:.1f} MiB.")
