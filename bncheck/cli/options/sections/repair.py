"""The options of a repair."""

from __future__ import annotations

from typing import Annotated

import typer

from bncheck.cli.options.completing import words

PANEL = "The repair"

Method = Annotated[
    str,
    typer.Option(
        metavar="recalibrate|blend|instance|renorm",
        autocompletion=words("recalibrate|blend|instance|renorm"),
        help=(
            "recalibrate: the statistics of the data; blend: mixed with the stored ones (Schneider et al. 2020); "
            "instance: InstanceNorm goes without; renorm: fine-tune with Batch Renormalization."
        ),
        rich_help_panel=PANEL,
    ),
]
DataFree = Annotated[
    bool,
    typer.Option(
        "--data-free",
        help=(
            "recalibrate, a last resort without --data: layers that lost their statistics get those of generated "
            "pictures, of the size of --resize. Nothing judges them."
        ),
        rich_help_panel=PANEL,
    ),
]
Prior = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        help="blend: what the stored statistics are worth, in samples; without it the labels choose.",
        rich_help_panel=PANEL,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Write although the result is measured to be worse, or the samples are too few.",
        rich_help_panel=PANEL,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write over an existing --out.", rich_help_panel=PANEL)]
