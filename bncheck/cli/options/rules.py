"""The options of `bncheck rules` and `bncheck rule`."""

from __future__ import annotations

from typing import Annotated

import typer

from bncheck.cli.options.completing import code, words

Format = Annotated[
    str, typer.Option("--format", metavar="text|json", autocompletion=words("text|json"), help="How to print them.")
]
Code = Annotated[str, typer.Argument(metavar="CODE", autocompletion=code, help="Like BN102.")]
