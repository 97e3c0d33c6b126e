"""The Typer app and the process around it: exit codes, and errors without tracebacks."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from bncheck import __version__
from bncheck.cli.listing import EVERY_EXIT_CODE, HELP_OPTIONS, LazyGroup
from bncheck.cli.process import INTERNAL_ERROR, about_bug, prepare_streams, say

HELP = """Tells whether the statistics stored in a model's normalization layers describe the data it runs on.

\b
First steps:
  # what a model stores, alone; then every layer against your data
  bncheck inspect model.pt
  bncheck inspect model.pt --data val.npz

\b
  # a state dict needs the function that builds its module
  bncheck inspect weights.pth --arch net.py:build --data photos/

\b
  # an export, also where BatchNorm was folded away
  bncheck inspect deploy.onnx --reference model.pt --data val.npz

\b
  # what a finding means, and new statistics for the model
  bncheck rule BN102
  bncheck repair model.pt --data train.npz --out repaired.pt
"""

app = typer.Typer(
    name="bncheck",
    cls=LazyGroup,
    help=HELP,
    epilog=EVERY_EXIT_CODE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=HELP_OPTIONS,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bncheck {__version__}")
        raise typer.Exit


@app.callback(help=HELP, epilog=EVERY_EXIT_CODE)
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Shared by all commands."""


def main() -> None:
    """Run the command line; what escapes the commands is a bug in bncheck (exit code 70)."""
    prepare_streams()
    try:
        app()
    except (SystemExit, KeyboardInterrupt):  # how the commands end, and Ctrl-C before one has begun
        raise
    except BaseException as error:
        if "--debug" in sys.argv:
            traceback.print_exc()
        say(f"bncheck: {about_bug(error)}")
        raise SystemExit(INTERNAL_ERROR) from error
