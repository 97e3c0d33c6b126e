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
"""


class BncheckError(Exception):
    """A mistake the user can mend; `exit_code` is what the process ends with."""

    exit_code = 2


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
