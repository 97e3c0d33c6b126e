"""Batches in processes of their own, so that a case that ends the process is a finding and not the end."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import select
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fuzz.campaign import Batch, Finding, run_batch
from fuzz.case import Case, Format

LONGEST_SILENCE = 900
"""Seconds on the clock without a new case: many times what 20 s of a processor are on a busy machine."""
MOST_MEMORY = 6 * 2**30
"""Bytes that a worker may allocate; bncheck's own limit goes by the machine's memory."""


Wanted = tuple[Format, str, int, int]
"""A format, a kind, how many cases, and the seed."""


class HarnessError(Exception):
    """The fuzzers themselves are wrong."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that runs a batch.

    Attributes:
        format: of the batch.
        kind: of its cases.
        seed: by which they are drawn.
        folder: where the case it is at stands, as long as the worker is not finished.
        reading: the pipe that it tells by.
        child: the process.
    """

    format: str
    kind: str
    seed: int
    folder: tempfile.TemporaryDirectory[str]
    reading: int
    child: int

    @classmethod
    def started(cls, format: Format, kind: str, number: int, seed: int) -> Worker:
        """A worker for so many cases."""
        folder = tempfile.TemporaryDirectory(prefix="bncheck-fuzz-now-")
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _work(lambda before: run_batch(format, kind, number, seed, before), _last(folder.name), writing)
        os.close(writing)
        return cls(format.name, kind, seed, folder, reading, child)

    def finished(self) -> Batch:
        """Its batch, once it is done; if it ended early, with the case it ended at as a finding.

        Raises:
            HarnessError: the fuzzer is wrong, and no command.
        """
        with self.folder as folder:
            batch, told = _heard(self.reading, self.child)
            _, status = os.waitpid(self.child, 0)
            if batch is None:
                batch = Batch(self.format, self.kind, self.seed)
                if not _last(folder).exists():
                    raise HarnessError(f"the worker for {self.format} ended before its first case: {told}")
                case = pickle.loads(_last(folder).read_bytes())
                signalled = os.WIFSIGNALED(status)
                how = f"signal {os.WTERMSIG(status)}" if signalled else f"exit code {os.WEXITSTATUS(status)}"
                batch.findings.append(Finding(case, (f"the process ended: {how} {told}".strip(),)))
            return batch

    def end(self) -> None:
        """Stop it, wherever it is."""
        with contextlib.suppress(OSError):  # it has ended, or nobody reads what it says any more
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
        with contextlib.suppress(OSError):
            os.close(self.reading)
        self.folder.cleanup()


def _last(folder: str) -> Path:
    return Path(folder) / "case"


def in_workers(wanted: Iterable[Wanted], jobs: int) -> Iterator[tuple[Wanted, Batch | HarnessError]]:
    """The batches in their order, so many at once; those that are under way are ended with the iteration."""
    under_way: deque[tuple[Wanted, Worker]] = deque()
    coming = iter(wanted)
    try:
        while True:
            under_way += [(each, Worker.started(*each)) for each in itertools.islice(coming, jobs - len(under_way))]
            if not under_way:
                return
            each, worker = under_way[0]
            try:
                answer: Batch | HarnessError = worker.finished()
            except HarnessError as error:
                answer = error
            under_way.popleft()
            yield each, answer
    finally:
        for _, worker in under_way:
            worker.end()


def _work(run: Callable[[Callable[[Case], None]], Batch], last: Path, writing: int) -> None:
    """What the child does; it never returns."""
    import resource

    code = 1
    try:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        def before(case: Case) -> None:
            last.write_bytes(pickle.dumps(case))
            os.write(writing, b".")

        try:
            answer: object = run(before)
        except BaseException as error:  # noqa: BLE001  # told to the parent
            answer = f"{type(error).__name__}: {str(error)[:2000]}"
        with os.fdopen(writing, "wb") as stream:
            stream.write(b"=" + pickle.dumps(answer))
        code = 0
    finally:
        os._exit(code)


def _heard(reading: int, child: int) -> tuple[Batch | None, str]:
    """What the child sent, and why there is nothing, if there is not."""
    received = b""
    with os.fdopen(reading, "rb", buffering=0) as stream:
        while True:
            ready, _, _ = select.select([stream], [], [], LONGEST_SILENCE)
            if not ready:
                os.kill(child, signal.SIGKILL)
                return None, f"after {LONGEST_SILENCE} s of silence"
            piece = stream.read(1 << 16)
            if not piece:
                break
            received += piece
    answer = received.lstrip(b".")
    if not answer:
        return None, ""
    told = pickle.loads(answer[1:])
    if not isinstance(told, Batch):
        raise HarnessError(str(told))
    return told, ""
