"""The options that say what is judged, and what fails a run."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.models import OptionInfo

from bncheck.cli.options.completing import codes, words
from bncheck.settings import DEPLOY_DTYPES, TASKS
from bncheck.vocabulary import FailOn as Severities

PANEL = "Judging"
_SEVERITIES, _DTYPES, _TASKS = "|".join(Severities), "|".join(DEPLOY_DTYPES), "|".join(TASKS)

_MEANT = (
    "An error is wrong for certain or costs many predictions, a warning costs some, or may; what costs nothing, or is "
    "not known to, is info and never fails."
)


def _fail_on(ending: str = "") -> OptionInfo:
    info: OptionInfo = typer.Option(
        "--fail-on",
        metavar=_SEVERITIES,
        autocompletion=words(_SEVERITIES),
        help=f"From which severity on to exit 1{ending}. {_MEANT}",
        rich_help_panel=PANEL,
    )
    return info


Metric = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.py:CALLABLE",
        help="metric(outputs, labels) -> number, instead of the task's own score; larger is better, unless its "
        "attribute larger_is_better is false.",
        rich_help_panel=PANEL,
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        metavar=_TASKS,
        autocompletion=words(_TASKS),
        help="What predictions are judged by; without it outputs and labels tell.",
        rich_help_panel=PANEL,
    ),
]
MaxGap = Annotated[
    float | None,
    typer.Option(min=0.0, metavar="X", help="A layer whose gap exceeds X is an error (BN600).", rich_help_panel=PANEL),
]
DeployDtype = Annotated[
    str | None,
    typer.Option(
        metavar=_DTYPES,
        autocompletion=words(_DTYPES),
        help="Precision the model is to run in: values it cannot hold are errors (BN204).",
        rich_help_panel=PANEL,
    ),
]
Select = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CODES",
        autocompletion=codes,
        help="Only these rules (codes or prefixes, by comma).",
        rich_help_panel=PANEL,
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CODES",
        autocompletion=codes,
        help="Not these rules (codes or prefixes, by comma).",
        rich_help_panel=PANEL,
    ),
]
ExpectFrozen = Annotated[
    list[str] | None,
    typer.Option(
        "--expect-frozen",
        metavar="GLOB",
        help="Layers whose statistics must not have moved, like 'backbone.*'. Repeatable.",
        rich_help_panel=PANEL,
    ),
]
FailOn = Annotated[str, _fail_on()]
FailOnAgain = Annotated[str | None, _fail_on("; as in the report's own run unless given")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit 4 if any layer or sample was skipped.", rich_help_panel=PANEL)
]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="What inspect --write-moments wrote on other data of this model: how far what each layer sees has moved "
        "since (BN614).",
        rich_help_panel=PANEL,
    ),
]
BaselineFile = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="FILE",
        help="Known findings: they fail only once they get worse.",
        rich_help_panel=PANEL,
    ),
]
WriteBaseline = Annotated[
    str | None,
    typer.Option(
        "--write-baseline",
        metavar="FILE",
        help="Accept what is found now into FILE; with --baseline, only take out what is gone.",
        rich_help_panel=PANEL,
    ),
]
