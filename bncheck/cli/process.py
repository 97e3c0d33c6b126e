"""What every command does around its work: turn errors into messages and exit codes."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator

import typer

from bncheck.errors import BncheckError

INTERRUPTED = 130


@contextlib.contextmanager
def exit_codes(debug: bool = False) -> Iterator[None]:
    """A user's mistake is one message on stderr and its exit code; Ctrl-C is 130."""
    try:
        yield
    except BncheckError as error:
        if debug:
            traceback.print_exc()
        say(f"bncheck: {error}")
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        say("bncheck: interrupted.")
        raise typer.Exit(INTERRUPTED) from error


def say(message: str) -> None:
    """One line of talk, on stderr: stdout belongs to the report."""
    print(message, file=sys.stderr, flush=True)
