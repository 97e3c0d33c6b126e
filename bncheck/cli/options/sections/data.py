"""The options that say which data are read, and how they are drawn."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.models import OptionInfo

from bncheck.cli.options.sections import repair

PANEL = "The data"


def _train_data(told: str) -> OptionInfo:
    info: OptionInfo = typer.Option(metavar="D", help=told, rich_help_panel=PANEL)
    return info


def _until(panel: str, ending: str = "") -> OptionInfo:
    told = f"Stop reading once every layer's mean is known to X standard deviations{ending}."
    info: OptionInfo = typer.Option(metavar="X", help=told, rich_help_panel=panel)
    return info


Data = Annotated[
    str | None,
    typer.Option(
        metavar="D",
        help=(
            ".npz (x, optional y), .npy, .pt, .safetensors, .csv, .parquet, a folder of images, a WebDataset .tar, "
            "or FILE.py:CALLABLE that gives batches. Without it the stored values alone are audited."
        ),
        rich_help_panel=PANEL,
    ),
]
TrainData = Annotated[
    str | None,
    _train_data(
        "The training sampling, read in its own order and batches, best by FILE.py:CALLABLE that gives the "
        "training's loader: tells stale statistics from another domain."
    ),
]
TrainedOn = Annotated[
    str | None,
    _train_data(
        "What to train on, in its own order and batches, best FILE.py:CALLABLE that gives the training's loader; "
        "--data then judge, or with --heldout choose the best state. Without it --data, drawn at random."
    ),
]
RepairedFrom = Annotated[
    str | None,
    typer.Option(
        metavar="D",
        help="What to repair from, like the training data if possible; see inspect.",
        rich_help_panel=PANEL,
    ),
]
HeldOut = Annotated[
    str | None,
    typer.Option(
        "--heldout",
        metavar="D",
        help="What to judge on. Without it each half of --data judges what the other gave; renorm: see --train-data.",
        rich_help_panel=PANEL,
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The column of a table that holds the labels.", rich_help_panel=PANEL),
]
Fill = Annotated[
    str | None,
    typer.Option(
        metavar="V|mean|median",
        help="Fill the missing values of a table with a number, or with the mean or median of their column.",
        rich_help_panel=PANEL,
    ),
]
Input = Annotated[
    str | None,
    typer.Option(
        "--input",
        metavar="KEY,...",
        help="The parts of a batch that the model is called with, by key or by index from 0.",
        rich_help_panel=PANEL,
    ),
]
Label = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="KEY|none",
        help="The part of a batch that the labels are, by key or index from 0; none uses none of them.",
        rich_help_panel=PANEL,
    ),
]
SkipBadSamples = Annotated[
    bool,
    typer.Option(
        "--skip-bad-samples",
        help="Leave samples that hold NaN or infinity out, and count them; without it they are an error.",
        rich_help_panel=PANEL,
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, metavar="N", help="Samples in a forward.", rich_help_panel=PANEL)]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Draw N samples at random.", rich_help_panel=PANEL)]
Until = Annotated[float | None, _until(PANEL)]
UntilOfRepair = Annotated[float, _until(repair.PANEL, "; 0 reads all")]
By = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN|FILE.py:CALLABLE",
        help="Slice the data (site, camera, hour) by a column of a table, a key of a dict or tar, label, or code that "
        "names each sample's slice: how far each lies from what is stored, in the same pass.",
        rich_help_panel=PANEL,
    ),
]
BatchSizes = Annotated[
    str,
    typer.Option(metavar="N,N,...", help="Batch sizes of the what-if table.", rich_help_panel=PANEL),
]
Exhaustive = Annotated[
    bool,
    typer.Option(
        "--exhaustive",
        help="Run every sample by the batch and recalibrated too, however early it is known what that shows, and "
        "measure large maps whole.",
        rich_help_panel=PANEL,
    ),
]
Fast = Annotated[
    bool,
    typer.Option(
        "--fast",
        help="Run every sample as shipped and nothing more: no batch statistics, no search for causes and costs.",
        rich_help_panel=PANEL,
    ),
]
Sync = Annotated[
    bool,
    typer.Option(
        "--sync",
        help="Under torchrun: where layers go by the batch, it is that of all processes, as for SyncBatchNorm.",
        rich_help_panel=PANEL,
    ),
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Of every random draw.", rich_help_panel=PANEL)]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Memory the run may use, like 4G; by default three quarters of the machine's. On the CPU under Linux.",
        rich_help_panel=PANEL,
    ),
]
SampleMemory = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        help="MiB for samples that are held for longer than a forward; fewer are where they are large.",
        rich_help_panel=PANEL,
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Processes that read and decode the files of a folder or a tar; 0 for this one alone.",
        rich_help_panel=PANEL,
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/K",
        help="Run shard I of K alone (from 1), and judge nothing: --write-moments keeps what it saw, for merge.",
        rich_help_panel=PANEL,
    ),
]
