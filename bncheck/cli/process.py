"""What every command does around its work: turn errors into messages and exit codes."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator

import typer

from bncheck.errors import BncheckError
from bncheck.render.cells import printable

INTERNAL_ERROR = 70
INTERRUPTED = 130


@contextlib.contextmanager
def exit_codes(debug: bool = False) -> Iterator[None]:
    """A user's mistake is one message on stderr and its exit code; Ctrl-C is 130."""
    try:
        yield
    except BncheckError as error:
        if debug:
            traceback.print_exc()
        say(f"bncheck: {printable(str(error))}")
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        say("bncheck: interrupted.")
        raise typer.Exit(INTERRUPTED) from error


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """While it is active what anyone writes to stdout goes to stderr: libraries and child processes too."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # the caller closed it: nothing to keep clean
        yield
        return
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def say(message: str) -> None:
    """One line of talk, on stderr: stdout belongs to the report."""
    print(message, file=sys.stderr, flush=True)
