"""What the user lets a model file do, run by run: neither option may stand in a configuration file."""

from __future__ import annotations

from typing import Annotated

import typer

from bncheck.cli.options.sections.model import PANEL as MODEL
from bncheck.cli.process import say

AllowOp = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-op",
        metavar="NAME",
        help="An operator (NAMESPACE::NAME) that a program may call though it may do more than compute. Repeatable.",
        rich_help_panel=MODEL,
    ),
]


def say_what_is_trusted(files: str, trust_pickle: bool, allow_op: list[str] | None, *, several: bool = False) -> None:
    """Name what the files may do beyond computing.

    Args:
        files: their names, for the sentence.
        trust_pickle: as typed.
        allow_op: as typed.
        several: there are several files.
    """
    if trust_pickle:
        say(f"--trust-pickle lets {files} run code if {'they are pickles' if several else 'it is a pickle'}.")
    if allow_op:
        say(f"--allow-op lets {files} call {', '.join(allow_op)}, whatever that does.")
