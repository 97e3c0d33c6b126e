"""The errors a user can meet, and the exit code each of them means.

::

    BncheckError
    ├── RefusedError       1   it could be done, but the result would be wrong or worse
    ├── UsageError         2   the command or the configuration is wrong
    └── UnreadableError    3   a file exists but cannot be read or run
        ├── ModelError         ... the model
        └── DataError          ... the data
            └── UnfitError         ... which the model refuses

A message names the file, what was expected, what was found, and the next thing to try; it is
printed as it stands, without a traceback. Anything else that escapes is a bug in bncheck (70).

Arguments are marked in a message, `f"{argument('until')} ..."`, and spelled where it is read: `--until` on the
command line, `bncheck.toml: until` of what came from a file, `until` in Python.
"""

from __future__ import annotations

from collections.abc import Callable

from bncheck.vocabulary import Spelling, arguments_named, spelled


class BncheckError(Exception):
    """A mistake the user can mend; `exit_code` is what the process ends with."""

    exit_code = 2

    @property
    def marked(self) -> str:
        """The message with its arguments marked."""
        return super().__str__()

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of the arguments it is about, in Python's spelling: `("until",)`."""
        return arguments_named(self.marked)

    def told(self, spelling: Spelling | Callable[[str], str]) -> str:
        """The message, its arguments named as they are where it is read, or as a function of the name says."""
        return spelled(self.marked, spelling)

    def __str__(self) -> str:
        """The message as a Python caller reads it."""
        return self.told(Spelling.PYTHON)


class RefusedError(BncheckError):
    """It could be done, but the result would be wrong or worse, so nothing was written (exit code 1)."""

    exit_code = 1


class UsageError(BncheckError):
    """The command or the configuration is wrong (exit code 2)."""


class UnreadableError(BncheckError):
    """A file exists but cannot be read or run (exit code 3)."""

    exit_code = 3


class ModelError(UnreadableError):
    """The model cannot be read, does not fit its architecture, or cannot be run."""


class DataError(UnreadableError):
    """The data cannot be read, are empty, or do not have the shape that is needed."""


class UnfitError(DataError):
    """The data can be read, and the model refuses them."""
