"""Batches in processes of their own, so that a case that ends the process is a finding and not the end."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from fuzz.campaign import Batch, Finding, run_batch
from fuzz.case import Case, Format

LONGEST_SILENCE = 900
"""Seconds on the clock without a new case: many times what 20 s of a processor are on a busy machine."""
MOST_MEMORY = 6 * 2**30
"""Bytes that a worker may allocate; bncheck's own limit goes by the machine's memory."""


class HarnessError(Exception):
    """The fuzzers themselves are wrong."""


def in_a_worker(format: Format, kind: str, number: int, seed: int) -> Batch:
    """The batch, run in a forked process; if that ends early, with the case it ended at as a finding."""
    with tempfile.TemporaryDirectory(prefix="bncheck-fuzz-now-") as folder:
        last = Path(folder) / "case"
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _work(lambda before: run_batch(format, kind, number, seed, before), last, writing)
        os.close(writing)
        batch, told = _heard(reading, child)
        _, status = os.waitpid(child, 0)
        if batch is None:
            batch = Batch(format.name, kind, seed)
            if not last.exists():
                raise HarnessError(f"the worker for {format.name} ended before its first case: {told}")
            case = pickle.loads(last.read_bytes())
            how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"
            batch.findings.append(Finding(case, (f"the process ended: {how} {told}".strip(),)))
        return batch


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
