"""The errors a user can meet, and the exit code each of them means.

::

    BncheckError
    ├── RefusedError       1   it could be done, but the result would be wrong or worse
    ├── UsageError         2   the command or the configuration is wrong
    │   └── MissingExtraError  ... or asks for what is not installed
    └── UnreadableError    3   a file exists but cannot be read or run
        ├── ModelError         ... the model
        └── DataError          ... the data
            └── UnfitError         ... which the model refuses
                └── MemoryLimitError   ... since they take more memory than there is

A message names the file, what was expected, what was found, and the next thing to try; it is
printed as it stands, without a traceback. Anything else that escapes is a bug in bncheck (70).

A message is one line, or several that are given one by one: what comes from files can start none, see `one_line`.

Arguments are marked in a message, `f"{argument('until')} ..."`, and spelled where it is read: `--until` on the
command line, `bncheck.toml: until` of what came from a file, `until` in Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from bncheck.discovery import meant_word
from bncheck.encoding import one_line, text_of
from bncheck.vocabulary import ALSO_CALLED, Spelling, argument, arguments_named, spelled


class BncheckError(Exception):
    """A mistake the user can mend; `exit_code` is what the process ends with.

    Args:
        lines: the message; nearly always one line.
    """

    exit_code = 2

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines

    @property
    def marked(self) -> str:
        """The message with its arguments marked."""
        return "\n".join(map(str, self.lines))

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of the arguments it is about, in Python's spelling: `("until",)`."""
        return arguments_named(self.marked)

    def told(self, spelling: Spelling | Callable[[str], str]) -> str:
        """The message, its arguments named as they are where it is read, or as a function of the name says."""
        return "\n".join(one_line(spelled(str(line), spelling)) for line in self.lines)

    def __str__(self) -> str:
        """The message as a Python caller reads it."""
        return self.told(Spelling.PYTHON)


class RefusedError(BncheckError):
    """It could be done, but the result would be wrong or worse, so nothing was written (exit code 1)."""

    exit_code = 1


class UsageError(BncheckError):
    """The command or the configuration is wrong (exit code 2)."""


def not_one_of(name: str, value: str, words: Iterable[str], otherwise: str = "") -> UsageError:
    """What is said of a value that is none of the words an argument takes, with the one that may have been meant.

    >>> str(not_one_of("sort", "gpa", ("gap", "order", "name")))
    'sort gpa (did you mean gap?): choose one of gap, order, name.'
    """
    known = tuple(words)
    meant = meant_word(value, known, ALSO_CALLED.get(name))
    return UsageError(f"{argument(name)} {value}{meant}: choose one of {', '.join(known)}{otherwise}.")


class MissingExtraError(UsageError, ImportError):
    """What was asked for needs a package that is not installed; the message has the command that installs it."""


class UnreadableError(BncheckError):
    """A file exists but cannot be read or run (exit code 3)."""

    exit_code = 3


class ModelError(UnreadableError):
    """The model cannot be read, does not fit its architecture, or cannot be run."""


class DataError(UnreadableError):
    """The data cannot be read, are empty, or do not have the shape that is needed."""


class UnfitError(DataError):
    """The data can be read, and the model refuses them."""


class MemoryLimitError(UnfitError):
    """A batch takes more memory than there is, or than the run may use."""


_OUT_OF_MEMORY = re.compile(
    r"can't allocate memory|could not allocate|failed to allocate|unable to allocate|bad_alloc|bad allocation"
    r"|out of memory|cannot allocate memory",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of some library says that memory is used up; only Python and NumPy have a class for it."""
    return isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(text_of(error)) is not None


class UnwindingError(BaseException):
    """Ends a call of somebody else's code from within: no handler of theirs or ours is to take it for an error."""
