"""How much memory a run may use: what exceeds it ends in a message, where the system would end the process."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bncheck.errors import UsageError
from bncheck.vocabulary import argument

SHARE = 0.75
"""Of the machine's memory, where nothing else is said."""
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,6})?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_CONTROL_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def read_memory(text: str) -> int:
    """Bytes, of sizes such as 4G, 1.5GiB, 800M.

    Raises:
        UsageError: it is none.
    """
    match = _SIZE.fullmatch(text.strip())
    size = 0 if match is None else int(float(match[1]) * _UNITS[match[2].upper()])
    if size < 1:
        raise UsageError(f"{argument('max_memory')} {text}: expected a size, like 4G or 800M.")
    return size


def memory_of_machine() -> int | None:
    """Bytes of the machine, or of the container that it is; `None` where nothing tells."""
    known = [_number(Path(file)) for file in _CONTROL_GROUPS]
    with contextlib.suppress(AttributeError, OSError, ValueError):
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min((size for size in known if size is not None and size > 0), default=None)


def allowed(given: str | None) -> int | None:
    """How many bytes the run may use: as given, or a share of the machine's; `None` for any."""
    if given is not None:
        return read_memory(given)
    machine = memory_of_machine()
    return None if machine is None else int(SHARE * machine)


@contextlib.contextmanager
def limited(allowed: int | None) -> Iterator[bool]:
    """Within the block allocations fail beyond so many bytes, and libraries raise what `is_out_of_memory` knows.

    The kernel is asked to refuse private memory (RLIMIT_DATA), as it does at once and for every library. The address
    space (RLIMIT_AS) would count files that are only mapped. What the process had reserved before and does not use is
    left out of account. Where there is no such limit, on Windows and macOS, the system's own is left. What is given is
    whether the limit is kept.
    """
    before = _limit_of_data(allowed)
    try:
        yield before is not None
    finally:
        if before is not None:
            import resource

            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_DATA, before)


def _limit_of_data(allowed: int | None) -> tuple[int, int] | None:
    """Set the limit; what it was, or `None` where none is set."""
    used = _used()
    if allowed is None or used is None:
        return None
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    reserved, resident = used
    wanted = reserved + max(0, allowed - resident)
    others = [size for size in before if size != resource.RLIM_INFINITY]
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (min([wanted, *others]), before[1]))
    except (OSError, ValueError):
        return None
    return before


def _used() -> tuple[int, int] | None:
    """Bytes of private memory that are reserved, and of memory that is in use; `None` where Linux does not tell."""
    try:
        status = Path("/proc/self/status").read_text("utf-8")
    except OSError:
        return None
    found = {key: re.search(rf"^{key}:\s+(\d+) kB", status, re.MULTILINE) for key in ("VmData", "VmRSS")}
    data, resident = found["VmData"], found["VmRSS"]
    return None if data is None or resident is None else (int(data[1]) * 1024, int(resident[1]) * 1024)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text("ascii"))
    except (OSError, ValueError):  # there is none, or it says `max`
        return None


def not_kept(given: str, device: str) -> str:
    """What is said where the user's limit is not kept."""
    if device == "cpu":
        why = "this system does not tell how much memory a process uses (Linux does, in /proc), or takes no limit"
    else:
        why = f"the memory of {argument('device')} {device} is its own, which bncheck does not limit"
    return (
        f"{argument('max_memory')} {given} is not kept: {why}. A run that needs more ends as the system ends it; "
        f"set the limit of a container or a job, or a smaller {argument('batch_size')}."
    )


def about_limit(size: int | None, params: dict[str, Any]) -> str:
    """What can be done where memory is used up, as a sentence; `params` are the command's."""
    shown = "" if size is None else f" ({size / 2**30:.3g} GiB now)"
    more = (
        f"allow more with {argument('max_memory')}{shown}" if "max_memory" in params else "use a machine that has more"
    )
    return f"Or {more}."
