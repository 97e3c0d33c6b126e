"""What others want to say on the user's terminal: text that comes from files, made harmless first."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator

from bncheck.encoding import printable

LINES = 20
"""Lines that one program may print before the rest is left out."""
_WIDTH = 200


class ProgramOutput(io.TextIOBase):
    """Where a program out of a model file prints and warns: on stderr, line by line, each marked as the program's.

    Marked lines cannot pass for bncheck's own, nor for commands to a CI system. A warning is shown once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._begun = ""
        self._lines = 0
        self._warned: set[str] = set()

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str, /) -> int:
        """Take it; whole lines are shown."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._show("prints", line)
        self._begun = self._begun[: _WIDTH + 1]  # more is not shown anyway
        return len(text)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """While it is, stdout is this, and warnings come here; which are shown is for the filters to say."""
        # Not `catch_warnings`, which makes Python forget which warnings of the user's own code it has shown.
        before, warnings.showwarning = warnings.showwarning, self._warn
        try:
            with contextlib.redirect_stdout(self):
                yield
        finally:
            warnings.showwarning = before
        if self._begun:
            self.write("\n")

    def _warn(self, message: Warning | str, *_: object, **__: object) -> None:
        text = str(message)
        if text not in self._warned and self._lines <= LINES:
            self._warned.add(text)
            for line in text.split("\n"):
                self._show("warns", line)

    def _show(self, does: str, line: str) -> None:
        self._lines += 1
        if self._lines <= LINES:
            shown = line if len(line) <= _WIDTH else f"{line[:_WIDTH]} ..."
            print(f"The model {does}: {printable(shown)}", file=sys.stderr)
        elif self._lines == LINES + 1:
            print("The model says more, which is left out.", file=sys.stderr)
