"""The options that say what is written and told."""

from __future__ import annotations

from typing import Annotated

import typer

from bncheck.cli.configuration import configured
from bncheck.cli.options.completing import formats, words
from bncheck.cli.options.sections import repair, training
from bncheck.vocabulary import Page
from bncheck.vocabulary import Sort as Order

PANEL = "Output"
_ORDERS, _PAGES = "|".join(Order), "|".join(Page)

Out = Annotated[
    str | None,
    typer.Option(
        "--out", metavar="FILE", help="The file to write; inputs are never overwritten.", rich_help_panel=PANEL
    ),
]
OutOfRepair = Annotated[
    str,
    typer.Option(
        metavar="FILE",
        help="The file to write; for a sharded model its index, or the folder for both. Never the input.",
        rich_help_panel=repair.PANEL,
    ),
]
OutOfRenorm = Annotated[
    str | None, typer.Option("--out", metavar="FILE", help="Keep the repaired model.", rich_help_panel=training.PANEL)
]
Reports = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        metavar="[FORMAT=]PATH",
        autocompletion=formats,
        help=(
            "Write csv, channels-csv, slices-csv, json, html, markdown, junit, sarif or github (annotations, step "
            "summary), by suffix or by name; - is stdout. Repeatable."
        ),
        rich_help_panel=PANEL,
    ),
]
DifferenceReports = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        metavar="[FORMAT=]PATH",
        help="Write json or csv, by suffix or by name; - is stdout. Repeatable.",
        rich_help_panel=PANEL,
    ),
]
WriteMoments = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write what the layers saw, safetensors: for merge. It holds means and variances, and no sample.",
        rich_help_panel=PANEL,
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Every finding in full, batch sizes, notes, what the numbers are.",
        rich_help_panel=PANEL,
    ),
]
Every = Annotated[
    bool,
    typer.Option("--all", help="Every layer, not only those that deserve a look.", rich_help_panel=PANEL),
]
Sort = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar=_ORDERS,
        autocompletion=words(_ORDERS),
        help="Layers by their gap, the largest first, by name, or in the order of the network (as without it).",
        rich_help_panel=PANEL,
    ),
]
Form = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar=_PAGES,
        autocompletion=words(_PAGES),
        help="concise: a line for each finding, FILE:layer: CODE message.",
        rich_help_panel=PANEL,
    ),
]
Statistics = Annotated[
    bool, typer.Option("--statistics", help="How many findings of each code, alone.", rich_help_panel=PANEL)
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only errors and the reports asked for.", rich_help_panel=PANEL)
]
NoConfig = Annotated[
    bool,
    typer.Option(
        "--no-config",
        is_eager=True,
        callback=configured,
        help="Leave out [tool.bncheck] of pyproject.toml, and bncheck.toml.",
        rich_help_panel=PANEL,
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Tracebacks with errors.", rich_help_panel=PANEL)]
