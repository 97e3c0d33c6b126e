"""`bncheck` as a user calls it: from the entry point on, in this process or in one of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from called import Done, call

__all__ = ["SCHEMA", "Done", "call", "call_process", "refused", "users_code"]
SCHEMA = json.loads(files("bncheck").joinpath("report.schema.json").read_text("utf-8"))
USERS_CODE = Path(__file__).with_name("users_code.py")


def call_process(*arguments: object, **options: Any) -> Done:
    """Run it as `python -m bncheck`, its output piped."""
    command = [sys.executable, "-m", "bncheck", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=600, **options)
    return Done(done.returncode, done.stdout, done.stderr)


def refused(done: Done, code: int) -> str:
    """The message of a command that was refused with that code: one, on stderr alone, no traceback."""
    assert (done.code, done.stdout) == (code, ""), done
    assert "Traceback" not in done.stderr
    assert 'File "' not in done.stderr
    messages = [line for line in done.stderr.splitlines() if line.startswith("bncheck: ")]
    assert len(messages) == 1, done.stderr
    return done.stderr


def users_code(name: str) -> str:
    """`FILE.py:CALLABLE` of something in the users' code."""
    return f"{USERS_CODE}:{name}"
