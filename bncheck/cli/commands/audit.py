"""`bncheck audit`: the stored values of several files, for the pre-commit hook."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

import typer

from bncheck.cli.configuration import configuration_of
from bncheck.cli.importing import uncollected
from bncheck.cli.options import declared as opt
from bncheck.cli.options.trusting import AllowOp
from bncheck.cli.options.typed import split_codes
from bncheck.cli.process import about_bug, exit_codes, say, say_error, stdout_to_stderr
from bncheck.cli.progress import progress_bar
from bncheck.cli.showing import read_showing
from bncheck.encoding import one_line
from bncheck.errors import BncheckError, UnreadableError
from bncheck.extras import extras_named
from bncheck.files import remote_name, require_existing
from bncheck.gate import accept
from bncheck.progress import begin, foresee
from bncheck.settings import Edge, InspectionSettings, JudgingSettings, ModelSettings
from bncheck.vocabulary import FailOn, Spelling

_ORDER = (2, 3, 1)


def audit_command(
    context: typer.Context,
    models: opt.Models,
    allow_op: AllowOp = None,
    select: opt.Select = None,
    ignore: opt.Ignore = None,
    fail_on: opt.FailOn = FailOn.WARNING.value,
    verbose: opt.Verbose = False,
    format: opt.Form = None,
    statistics: opt.Statistics = False,
    quiet: opt.Quiet = False,
    no_config: opt.NoConfig = False,
    debug: opt.Debug = False,
) -> None:
    """Audit the stored values of several model files; nothing is run.

    What stops one file does not keep the others from being audited. The exit code is the first of 2, 3 and 1 that any
    of them has, 4 where none of them has statistics to check, else 0.
    """
    codes = []
    reports = []
    told: dict[str, str] = {}
    with exit_codes(debug, context):
        showing = read_showing(context)
        for number, model in enumerate(models):
            try:
                if remote_name(model) is None:
                    require_existing(model)
                with stdout_to_stderr(), progress_bar(quiet, number) as progress, extras_named("bncheck audit"):
                    foresee(progress, list(map(_auditing, models[number:])))
                    begin(progress, _auditing(model))
                    with uncollected():
                        from bncheck.api import inspected

                    judging = JudgingSettings(split_codes(select), split_codes(ignore), fail_on=fail_on)
                    chosen = ModelSettings(model, allow_ops=tuple(allow_op or ()))
                    edge = Edge("bncheck audit", Spelling.COMMAND_LINE)
                    report = inspected(InspectionSettings(chosen, judging=judging, edge=edge))
                report = accept(report, configuration_of(context).ignores)
            except BncheckError as error:
                if debug:
                    traceback.print_exc()
                say_error(error, context)
                codes.append(error.exit_code)
            except Exception as error:  # noqa: BLE001  # the others are audited all the same
                if debug:
                    traceback.print_exc()
                say(f"bncheck: {model} could not be audited: {about_bug(error)}")
                codes.append(UnreadableError.exit_code)
            else:
                if told.setdefault(report.model.path, model) != model:
                    continue  # another shard of a model that was told
                codes.append(report.summary.exit_code)
                reports.append(report)
                if not quiet:
                    showing.print_one_of_several(report)
        if not quiet:
            showing.print_counts(reports)
        raise typer.Exit(together(codes))


def _auditing(model: str) -> str:
    return f"auditing {one_line(model)}"


def together(codes: Sequence[int]) -> int:
    """The exit code of several files."""
    for code in _ORDER:
        if code in codes:
            return code
    return 0 if 0 in codes else 4
