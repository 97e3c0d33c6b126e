"""The Typer app and the process around it: exit codes, and errors without tracebacks."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from bncheck import __version__
from bncheck.cli.audit import audit_command
from bncheck.cli.diff import diff_command
from bncheck.cli.gate import gate_command
from bncheck.cli.inspect import inspect_command
from bncheck.cli.process import INTERNAL_ERROR, say
from bncheck.cli.repair import CODES, repair_command
from bncheck.cli.rules import rule_command, rules_command
from bncheck.cli.stamp import stamp_command

HELP = """Tells whether the statistics stored in a model's normalization layers describe the data it runs on.

First steps:

    bncheck inspect model.pt                            the stored values alone

    bncheck inspect model.pt --data val.npz             every layer against your data

    bncheck inspect weights.pt --arch net.py:build --data photos/ --preset imagenet

    bncheck inspect deploy.onnx --reference model.pt    an export, also where BatchNorm was folded away

    bncheck repair model.pt --data train.npz --out repaired.pt

    bncheck diff a.pt b.pt --expect-frozen 'backbone.*'  what moved between two checkpoints

    bncheck gate report.json --max-gap 0.5              judge a saved report again

    bncheck rules                                       what is diagnosed

"""
EXIT_CODES = (
    "Exit codes: 0 fine, 1 findings (see --fail-on), 2 wrong command, 3 unreadable file, 4 not or too little checked, "
    "70 a bug in bncheck, 130 interrupted."
)

app = typer.Typer(
    name="bncheck",
    help=HELP,
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bncheck {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Shared by all commands."""


app.callback(help=HELP, epilog=EXIT_CODES)(root)
app.command("inspect", epilog=EXIT_CODES)(inspect_command)
app.command("stamp", epilog=EXIT_CODES)(stamp_command)
app.command("repair", epilog=CODES)(repair_command)
app.command("diff", epilog=EXIT_CODES)(diff_command)
app.command("gate", epilog=EXIT_CODES)(gate_command)
app.command("audit", epilog=EXIT_CODES, hidden=True)(audit_command)
app.command("rules")(rules_command)
app.command("rule")(rule_command)


def main() -> None:
    """Run the command line; what escapes the commands is a bug in bncheck (exit code 70)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app()
    except Exception as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        say(
            f"bncheck: internal error: {type(error).__name__}: {_first_line(error)}. This is a bug in bncheck: please "
            "report it with what --debug prints."
        )
        raise SystemExit(INTERNAL_ERROR) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0].rstrip(".")
