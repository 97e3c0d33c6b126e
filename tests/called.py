"""`bncheck` from its entry point on, called in this process: what a test costs is the run and no start of Python."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from typing import Any

import pandas

from bncheck.__main__ import main


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What stdout holds, which must be JSON to the letter: no NaN, no Infinity."""
        return json.loads(self.stdout, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def call(*arguments: object) -> Done:
    """Run it in this process."""
    stdout, stderr = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["bncheck", *map(str, arguments)]
    code: object = 0
    try:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
    assert isinstance(code, int), f"ended with {code!r}"
    return Done(code, stdout.getvalue(), stderr.getvalue())


def read_back(text: str) -> pandas.DataFrame:
    """The CSV as pandas has it, every digit of it: what pandas 3 does by itself, its forerunners have to be told."""
    told = {} if int(pandas.__version__.partition(".")[0]) >= 3 else {"float_precision": "round_trip"}
    return pandas.read_csv(io.StringIO(text), **told)  # type: ignore[call-overload, no-any-return]
