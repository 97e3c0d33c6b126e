"""What holds of every command, whatever its files hold; what does not hold is a problem, in words."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz.case import OUT, Case
from fuzz.running import Done, call

CODES = frozenset({0, 1, 2, 3, 4})
"""Of the contract; 130 is Ctrl-C's, and 70 a bug."""
LONGEST_STDERR = 20_000
LONGEST_STDOUT = 2_000_000
MOST_MEMORY = 512 * 2**20
"""Bytes that a command on files of some kilobytes may take beyond what was in use before."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
_FOLDER = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2, "os.rename": 2, "os.link": 2, "os.chmod": 2}
"""Which argument is the open folder that the path begins at."""
_RUNNING = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn")
_REACHING = ("socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.Request")


@dataclass(frozen=True, slots=True)
class Judged:
    """A command that ran, and what is wrong with how it did."""

    done: Done
    problems: tuple[str, ...]


def judge(case: Case, folder: Path) -> Judged:
    """Run a case in a folder of its own, which is made.

    Raises:
        OSError: the case's files cannot be laid out.
    """
    case.write(folder)
    temporary = folder / "tmp"
    temporary.mkdir()
    before = _tree(folder)
    memory = _in_use()
    with _without_bytecode(), temporary_files_in(temporary), _watching.over(folder / OUT, temporary) as seen:
        done = call(case.typed, folder)
    grown = _most_in_use() - memory
    problems = (*_of_ending(done), *_of_text(case, done), *_of_files(before, folder), *seen, *_of(grown))
    return Judged(done, problems)


def _of_ending(done: Done) -> Iterator[str]:
    if done.late:
        yield f"hang: {done.seconds:.0f} s of a processor"
    elif done.escaped:
        last = ([line.strip() for line in done.escaped.splitlines() if 'File "' in line] or ["no line"])[-1]
        yield f"escaped: {done.escaped.strip().splitlines()[-1][:300]} at {last}"
    elif done.code not in CODES:
        yield f"exit code {done.code}: {done.stderr.strip()[-400:]}"


def _of_text(case: Case, done: Done) -> Iterator[str]:
    for name, text, longest in (("stderr", done.stderr, LONGEST_STDERR), ("stdout", done.stdout, LONGEST_STDOUT)):
        if "Traceback (most recent call last)" in text:
            yield f"traceback on {name}: {text.strip()[-300:]}"
        if re.search(r"^\S+\.py:\d+: \w+Warning: ", text, re.MULTILINE):
            yield f"a warning of Python's on {name}: {text.strip()[-300:]}"
        if len(text) > longest:
            yield f"{name} of {len(text)} characters"
        if "\x1b" in text:
            yield f"an escape on {name}"
        if name == "stderr" or not any("github" in word for word in case.typed):
            line = re.search(r"^\s*::.*", text, re.MULTILINE)
            if line:
                yield f"a line that begins with '::' on {name}: {line[0][:100]}"
        line = re.search(r"^.*##\w*\[.*", text, re.MULTILINE)
        if line:
            yield f"a line with '##[' on {name}: {line[0][:100]}"
    if done.code in (2, 3) and not done.stderr.strip():
        yield f"exit code {done.code} without a word"


def _of_files(before: dict[str, bytes], folder: Path) -> Iterator[str]:
    after = _tree(folder)
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"{name} is gone"
        elif name not in before:
            if not name.startswith(f"{OUT}/"):
                yield f"{name} was written"
            elif ".partial" in name or Path(name).name.startswith((".", "tmp")):
                yield f"{name} was left"
        elif before[name] != after[name]:
            yield f"{name} was changed"


def _of(grown: int) -> Iterator[str]:
    if grown > MOST_MEMORY:
        yield f"memory: {grown / 2**20:.0f} MiB more than before"


def _tree(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, with what it holds, or what it is."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(root, name)
            mode = os.lstat(path).st_mode
            known = os.path.relpath(path, folder)
            if stat.S_ISREG(mode):
                with open(path, "rb") as file:
                    found[known] = file.read()
            elif stat.S_ISLNK(mode):
                found[known] = os.fsencode(os.readlink(path))
            else:
                found[known] = str(stat.S_IFMT(mode)).encode()
    return found


def _in_use() -> int:
    """Bytes in use, from which on the most is counted; where Linux does not tell, the most since the process began."""
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        return _most_in_use()
    return _bytes("VmRSS")


def _most_in_use() -> int:
    """The most bytes in use since `_in_use`."""
    import resource

    return _bytes("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _bytes(key: str) -> int:
    try:
        match = re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0


@contextlib.contextmanager
def _without_bytecode() -> Iterator[None]:
    """What Python keeps of modules beside them is no file that a case has written."""
    wrote, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = wrote


@contextlib.contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Temporary files of Python go into that folder, which is made where there is none."""
    folder.mkdir(exist_ok=True)
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _from(path: Any, folder: Any = -1) -> Any:
    """The path, from an open folder where there is one."""
    if not isinstance(folder, int) or folder < 0:
        return path
    with contextlib.suppress(OSError, TypeError):
        return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path))
    return path


class _Watch:
    """Sees what Python opens for writing, removes, runs or connects to: audit hooks stay, so there is one."""

    def __init__(self) -> None:
        self._allowed: tuple[str, ...] = ()
        self._seen: list[str] | None = None
        self._hooked = False

    @contextlib.contextmanager
    def over(self, *allowed: Path) -> Iterator[list[str]]:
        """What is done outside these folders, while the block runs."""
        if not self._hooked:
            sys.addaudithook(self._hear)
            self._hooked = True
        self._allowed = tuple(f"{os.path.realpath(folder)}{os.sep}" for folder in allowed)
        self._seen = []
        try:
            yield self._seen
        finally:
            self._seen = None

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        seen = self._seen
        if seen is None:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = flags & _WRITING if isinstance(flags, int) else any(sign in (mode or "") for sign in "wax+")
            if writes and not isinstance(path, int):
                self._hold(seen, event, path)
        elif event in _CHANGING:
            self._hold(seen, event, _from(arguments[0], *arguments[_FOLDER.get(event, len(arguments)) :][:1]))
        elif event in _RUNNING or event in _REACHING:
            seen.append(f"{event}: {str(arguments)[:200]}")

    def _hold(self, seen: list[str], event: str, path: Any) -> None:
        self._seen = None  # what resolves a path is no matter of the command
        try:
            whole = os.path.realpath(os.fspath(path))
            whole = whole.decode("utf-8", "replace") if isinstance(whole, bytes) else whole
            if whole != os.devnull and not f"{whole}{os.sep}".startswith(self._allowed):
                seen.append(f"{event}: {whole[:200]}")
        except (TypeError, ValueError):
            pass  # no path at all
        finally:
            self._seen = seen


_watching = _Watch()
