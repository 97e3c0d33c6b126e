"""What runs in a child of this process, so that the parent keeps its functions as they are and its caches empty."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

_MOST_MEMORY = 8 << 30
_BROKEN = 3


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended that gave no answer: by a signal, mostly the one for too much time of a processor."""

    status: int

    @property
    def is_broken(self) -> bool:
        """Whether it is this harness that failed, and not what it ran."""
        return os.WIFEXITED(self.status)


def forked(work: Callable[[], T], seconds: float, alarm: int = 600) -> T | Ended:
    """Do some work in a child and give its answer.

    Args:
        work: whose answer can be pickled.
        seconds: of a processor, after which the child is ended.
        alarm: seconds by the clock, likewise: it may wait for something that never comes.
    """
    with tempfile.TemporaryFile() as file:
        child = os.fork()
        if child == 0:
            _in_child(work, seconds, alarm, file)
        _, status = os.waitpid(child, 0)
        if status:
            return Ended(status)
        file.seek(0)
        answer: T = pickle.load(file)
        return answer


def _in_child(work: Callable[[], object], seconds: float, alarm: int, file: Any) -> None:
    code = _BROKEN
    try:
        limit = max(1, round(seconds))
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 2))
        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))
        signal.alarm(alarm)
        pickle.dump(work(), file)
        file.flush()
        code = 0
    except BaseException:  # noqa: BLE001 - the child must not go on as if it were its parent
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(code)
