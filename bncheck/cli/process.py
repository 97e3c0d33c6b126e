"""What every command does around its work: turn errors into messages and exit codes."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

from bncheck.cli import memory
from bncheck.cli.spelling import spelling_in
from bncheck.encoding import one_line, printable, said_by, text_of
from bncheck.errors import BncheckError, MemoryLimitError, UnreadableError, UsageError, is_out_of_memory
from bncheck.extras import missing_by
from bncheck.user_code import users_place
from bncheck.vocabulary import argument, spelled

INTERNAL_ERROR = 70
INTERRUPTED = 130
_NAME = 200
"""Characters of a file's name that are shown."""


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
        given, device = params.get("max_memory"), params.get("device", "cpu")
        allowed = memory.allowed(given)
        with memory.limited(allowed if device == "cpu" else None) as is_kept:
            if given is not None and not is_kept:
                say(spelled(memory.not_kept(given, device), spelling_in(context)))
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
        place = users_place(error)
        say("bncheck: interrupted." if place is None else f"bncheck: interrupted, in {printable(place)}.")
        raise typer.Exit(INTERRUPTED) from error
    except BaseException as error:
        command = "this" if context is None else f"bncheck {context.info_name}"
        known = _known_as(error, lambda: memory.about_limit(allowed, params), command)
        if known is None:
            raise
        if debug:
            traceback.print_exc()
        say_error(known, context)
        raise typer.Exit(known.exit_code) from error


def _known_as(error: BaseException, about_limit: Callable[[], str], command: str) -> BncheckError | None:
    """What an exception means that is no bug of bncheck's; `None` for what may be one, and for our own end.

    What looks like an orderly end and is not ours, `sys.exit(0)` or `typer.Exit(0)` in the user's code, is no pass.
    """
    if is_out_of_memory(error):
        return MemoryLimitError(
            f"There is not enough memory for this: {_first_line(error)}. Try a smaller {argument('batch_size')} or "
            f"{argument('limit')}. {about_limit()}"
        )
    place = users_place(error)
    if place is not None or not isinstance(error, Exception):
        who = place or "the code that was called"
        return UnreadableError(
            f"{who} raised {said_by(error)}. It is run by what was named on the command line: mend it there."
        )
    if isinstance(error, ImportError) and (missing := missing_by(error, command)) is not None:
        return missing
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes | os.PathLike):
        name = os.fsdecode(error.filename)
        shown = name if len(name) <= _NAME else f"{name[:_NAME]}..."
        kind = UsageError if error.errno == errno.ENAMETOOLONG else UnreadableError
        return kind(f"{shown}: {error.strerror or said_by(error)}.")
    if isinstance(error, ValueError) and "embedded null" in text_of(error):
        return UsageError("the name of a file holds a null character, which no file can have.")
    return None


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
        for stream in (sys.stdout, sys.__stdout__):  # somebody may have written to the one that Python began with
            with contextlib.suppress(AttributeError, ValueError, OSError):  # it is closed, or there is none
                stream.flush()  # type: ignore[union-attr]
        os.dup2(kept, 1)
        os.close(kept)


def say(message: str) -> None:
    """One line of talk, on stderr: stdout belongs to the report."""
    print(one_line(message), file=sys.stderr, flush=True)


def say_error(error: BncheckError, context: typer.Context | None) -> None:
    """What an error tells, on stderr; its lines are safe already."""
    print(f"bncheck: {error.told(spelling_in(context))}", file=sys.stderr, flush=True)


def about_bug(error: BaseException) -> str:
    """What is said of an exception that nothing has foreseen."""
    return (
        f"internal error: {type(error).__name__}: {_first_line(error)}. This is a bug in bncheck: please report it "
        "with what --debug prints."
    )


def _first_line(error: BaseException) -> str:
    said = text_of(error).strip().splitlines()
    return (said or ["no message"])[0].rstrip(".")
