"""The options of a fine-tuning with Batch Renormalization, and what they come to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bncheck.cli.options.completing import words
from bncheck.cli.process import say
from bncheck.errors import UsageError

if TYPE_CHECKING:
    from bncheck.repair.training.options import FineTuneOptions

PANEL = "Fine-tuning (renorm)"

TrainData = Annotated[
    str | None,
    typer.Option(
        metavar="D",
        help=(
            "What to train on, in its own order and batches, best FILE.py:CALLABLE that gives the training's loader; "
            "--data then judge, or with --heldout choose the best state. Without it --data, drawn at random."
        ),
        rich_help_panel="The data",
    ),
]
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
    typer.Option(
        metavar="sgd|adam|adamw", autocompletion=words("sgd|adam|adamw"), help="sgd by default.", rich_help_panel=PANEL
    ),
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
        metavar="all|norm",
        autocompletion=words("all|norm"),
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
RenormOut = Annotated[
    str | None, typer.Option("--out", metavar="FILE", help="Keep the repaired model.", rich_help_panel=PANEL)
]


@contextlib.contextmanager
def kept_when_interrupted(resume: str | None) -> Iterator[None]:
    """Ctrl-C says where the state of the training is kept, if it is."""
    try:
        yield
    except KeyboardInterrupt:
        if resume is not None and Path(resume).exists():
            say(f"The training up to its last whole interval is kept in {resume}: the same command goes on from there.")
        raise


def refuse_without_renorm(switch: str, given: dict[str, Any]) -> None:
    """Raise UsageError for options that do nothing without `switch`."""
    named = [f"--{name.replace('_', '-')}" for name, value in given.items() if value not in (None, False)]
    if named:
        raise UsageError(f"{', '.join(named)}: for {switch} alone.")


def fine_tune_options(given: dict[str, Any]) -> FineTuneOptions:
    """What was typed, as options; what was not keeps its default.

    Raises:
        UsageError: a value means nothing, or the loss cannot be imported.
    """
    from pathlib import Path

    from bncheck.repair.training.options import FineTuneOptions
    from bncheck.user_code import import_callable

    chosen = {name: value for name, value in given.items() if value is not None}
    loss, resume = chosen.get("loss"), chosen.pop("resume", None)
    if loss and ":" in loss:
        chosen["loss"] = import_callable(loss, "--loss")
    if resume:
        chosen["checkpoint"] = Path(resume)
    if chosen.pop("amp", False):
        chosen["precision"] = "float16" if chosen.get("device", "").startswith("cuda") else "bfloat16"
    return FineTuneOptions(**chosen)
