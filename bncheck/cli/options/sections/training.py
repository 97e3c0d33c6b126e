"""The options of a fine-tuning with Batch Renormalization."""

from __future__ import annotations

from typing import Annotated

import typer

from bncheck.cli.options.completing import words
from bncheck.settings import OPTIMIZERS, TRAINED

PANEL = "Fine-tuning (renorm)"
_OPTIMIZERS, _TRAINED = "|".join(OPTIMIZERS), "|".join(TRAINED)

Steps = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Optimizer steps, one batch each; 2000 by default.", rich_help_panel=PANEL),
]
Epochs = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Passes over the data, instead.", rich_help_panel=PANEL)
]
LearningRate = Annotated[
    float | None,
    typer.Option(metavar="X", help="Highest learning rate; 0.02 for sgd, 0.001 for the others.", rich_help_panel=PANEL),
]
Optimizer = Annotated[
    str | None,
    typer.Option(metavar=_OPTIMIZERS, autocompletion=words(_OPTIMIZERS), help="sgd by default.", rich_help_panel=PANEL),
]
Loss = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE.py:CALLABLE",
        help="cross_entropy (default), binary_cross_entropy, mse, or loss(outputs, labels) -> scalar.",
        rich_help_panel=PANEL,
    ),
]
Train = Annotated[
    str | None,
    typer.Option(
        metavar=_TRAINED,
        autocompletion=words(_TRAINED),
        help="All parameters, or gamma and beta alone.",
        rich_help_panel=PANEL,
    ),
]
Amp = Annotated[
    bool, typer.Option("--amp", help="Mixed precision: float16 on CUDA, bfloat16 elsewhere.", rich_help_panel=PANEL)
]
Resume = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Keep the run's state in FILE and go on from it if it is there; deleted once --out is written.",
        rich_help_panel=PANEL,
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="End after N evaluations (20 a run) without gain; takes --train-data, --data and --heldout.",
        rich_help_panel=PANEL,
    ),
]
Renorm = Annotated[
    bool,
    typer.Option(
        "--renorm",
        help="Fine-tune a copy with Batch Renormalization on --train-data, and judge that; see repair.",
        rich_help_panel=PANEL,
    ),
]
