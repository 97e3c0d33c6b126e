"""What every command does around its work: turn errors into messages and exit codes."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import typer

from bncheck.cli import memory
from bncheck.cli.spelling import spelling_in
from bncheck.encoding import one_line
from bncheck.errors import BncheckError, MemoryLimitError, is_out_of_memory
from bncheck.vocabulary import argument

INTERNAL_ERROR = 70
INTERRUPTED = 130


class _Unread(io.TextIOWrapper):
    """A stream whose reader may leave early (`| head`): the rest is dropped, and the exit code stays the verdict's."""

    def write(self, text: str, /) -> int:
        """As of any stream, also where nobody reads it."""
        try:
            return super().write(text)
        except BrokenPipeError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        """As of any stream, also where nobody reads it."""
        try:
            super().flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def prepare_streams() -> None:
    """Make stdout and stderr take any character and outlive their readers; where one is closed, talk to nobody."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115, as long as the process
        elif stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            how = {each: getattr(stream, each) for each in ("encoding", "line_buffering", "write_through")}
            setattr(sys, name, _Unread(stream.buffer, errors="replace", **how))
        elif hasattr(stream, "reconfigure"):  # of a caller in this process, whose it stays
            stream.reconfigure(errors="replace")


@contextlib.contextmanager
def exit_codes(debug: bool = False, context: typer.Context | None = None) -> Iterator[None]:
    """Turn a user's mistake into one message on stderr and its exit code, and Ctrl-C into 130.

    Args:
        debug: print the traceback too.
        context: of the command, which knows what came from a configuration file.
    """
    params = {} if context is None else context.params
    allowed = None
    try:
        allowed = memory.allowed(params.get("max_memory"))
        with memory.limited(allowed if params.get("device", "cpu") == "cpu" else None):
            yield
    except MemoryLimitError as error:
        if debug:
            traceback.print_exc()
        say_error(MemoryLimitError(f"{error.marked} {memory.about_limit(allowed, params)}"), context)
        raise typer.Exit(error.exit_code) from error
    except BncheckError as error:
        if debug:
            traceback.print_exc()
        say_error(error, context)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        say("bncheck: interrupted.")
        raise typer.Exit(INTERRUPTED) from error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        if debug:
            traceback.print_exc()
        told = MemoryLimitError(
            f"There is not enough memory for this: {_first_line(error)}. Try a smaller {argument('batch_size')} or "
            f"{argument('limit')}. {memory.about_limit(allowed, params)}"
        )
        say_error(told, context)
        raise typer.Exit(told.exit_code) from error


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
    print(one_line(message), file=sys.stderr, flush=True)


def say_error(error: BncheckError, context: typer.Context | None) -> None:
    """What an error tells, on stderr; its lines are safe already."""
    print(f"bncheck: {error.told(spelling_in(context))}", file=sys.stderr, flush=True)


def about_bug(error: Exception) -> str:
    """What is said of an exception that nothing has foreseen."""
    return (
        f"internal error: {type(error).__name__}: {_first_line(error)}. This is a bug in bncheck: please report it "
        "with what --debug prints."
    )


def _first_line(error: Exception) -> str:
    try:
        said = str(error).strip().splitlines()
    except Exception:  # noqa: BLE001  # of somebody else's, whose words cannot be had
        said = []
    return (said or ["no message"])[0].rstrip(".")
