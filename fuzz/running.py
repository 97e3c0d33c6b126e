"""A command, called in this process from bncheck's entry point on, with its true streams in files."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

MOST_SECONDS = 20.0
"""Of a processor, for a command on files of some kilobytes."""


class OutOfTimeError(BaseException):
    """A command that takes longer; no `except Exception` keeps it from ending."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended.

    Attributes:
        code: its exit code; -1 where it ended in no ordinary way.
        stdout: what reached the file descriptor, whoever wrote it.
        stderr: as `stdout`.
        seconds: of a processor.
        escaped: what went through the entry point: an exception's traceback, or nothing.
        late: whether it was ended after `MOST_SECONDS`.
    """

    code: int
    stdout: str
    stderr: str
    seconds: float
    escaped: str = ""
    late: bool = False


def call(typed: Sequence[str], folder: Path) -> Done:
    """Run `bncheck` with these arguments in that folder."""
    from bncheck.cli import main

    arguments, here = sys.argv, os.getcwd()
    code: object = 0
    escaped = ""
    late = False
    start = time.process_time()
    sys.argv = ["bncheck", *typed]
    os.chdir(folder)
    try:
        with _streams() as texts, _clock():
            try:
                main()
            except SystemExit as end:
                code = end.code
            except OutOfTimeError:
                late = True
            except BaseException:  # noqa: BLE001  # it is told
                escaped = traceback.format_exc()
    except OutOfTimeError:
        late = True
    finally:
        sys.argv = arguments
        os.chdir(here)
    seconds = time.process_time() - start
    late = late or seconds > MOST_SECONDS
    return Done(code if isinstance(code, int) else -1, texts[0], texts[1], seconds, escaped, late)


@contextlib.contextmanager
def _clock() -> Iterator[None]:
    """Ends what runs longer: first by an exception, and where no Python runs any more by the system's own limit."""
    import resource

    def end(number: int, frame: FrameType | None) -> None:
        raise OutOfTimeError

    try:
        before = signal.signal(signal.SIGPROF, end)
    except ValueError:  # of the main thread alone
        yield
        return
    limits = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + 4 * MOST_SECONDS) + 10, limits[1]))
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_CPU, limits)
        signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def _streams() -> Iterator[list[str]]:
    """Both streams go to files, for C++ too; the list holds their texts once the block is left."""
    texts: list[str] = []
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        kept = sys.stdout, sys.stderr
        for stream in kept:
            stream.flush()
        descriptors = os.dup(1), os.dup(2)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8", write_through=True)
        try:
            yield texts
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            sys.stdout, sys.stderr = kept
            for descriptor, number in zip(descriptors, (1, 2), strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode("utf-8", "replace"))
