"""The options, named once; commands share them."""

from __future__ import annotations

from typing import Annotated

import typer

from bncheck.cli.configuration import configured
from bncheck.cli.options.completing import codes, formats, words

MODEL, DATA, IMAGES, JUDGING, OUTPUT = "The model", "The data", "Images", "Judging", "Output"

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="TorchScript, .pt2, .onnx, a state dict (.pt .pth .ckpt), .safetensors, or a pickled module.",
        show_default=False,
    ),
]
OnnxModel = Annotated[str, typer.Argument(metavar="MODEL.onnx", help="The exported model.", show_default=False)]
Out = Annotated[
    str | None,
    typer.Option(
        "--out", metavar="FILE", help="The file to write; inputs are never overwritten.", rich_help_panel=OUTPUT
    ),
]
Models = Annotated[list[str], typer.Argument(metavar="MODEL...", help="Model files.", show_default=False)]
Before = Annotated[str, typer.Argument(metavar="A", help="The checkpoint before.", show_default=False)]
After = Annotated[str, typer.Argument(metavar="B", help="The checkpoint after.", show_default=False)]
SavedReport = Annotated[
    str, typer.Argument(metavar="REPORT.json", help="What --report json=FILE wrote.", show_default=False)
]
Arch = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.py:CALLABLE",
        help="What builds the nn.Module for a state dict; also package.module:CALLABLE. Runs that code.",
        rich_help_panel=MODEL,
    ),
]
ArchKwargs = Annotated[
    str | None,
    typer.Option(metavar="JSON", help="Keyword arguments for --arch: '{\"depth\": 18}'.", rich_help_panel=MODEL),
]
Key = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Which nested state dict of a checkpoint.", rich_help_panel=MODEL),
]
KeyAfter = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="The same of B, if not that of --key: raw against averaged weights.", rich_help_panel=MODEL
    ),
]
Device = Annotated[
    str, typer.Option(metavar="NAME", help="Where to run the model: cpu, cuda, cuda:1, mps.", rich_help_panel=MODEL)
]
Reference = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="The checkpoint this was exported from: folded layers are read through it, and all are compared.",
        rich_help_panel=MODEL,
    ),
]
ReferenceArch = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.py:CALLABLE",
        help="What builds the nn.Module for a --reference that is a state dict, to compare outputs too.",
        rich_help_panel=MODEL,
    ),
]
ReferenceKey = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Which nested state dict of the --reference.", rich_help_panel=MODEL),
]
Output = Annotated[
    str | None,
    typer.Option("--output", metavar="KEY|INDEX", help="Which output is the prediction.", rich_help_panel=MODEL),
]

Data = Annotated[
    str | None,
    typer.Option(
        metavar="D",
        help=(
            ".npz (x, optional y), .npy, .pt, .safetensors, .csv, .parquet, a folder of images, a WebDataset .tar, "
            "or FILE.py:CALLABLE that gives batches. Without it the stored values alone are audited."
        ),
        rich_help_panel=DATA,
    ),
]
TrainData = Annotated[
    str | None,
    typer.Option(
        metavar="D",
        help=(
            "The training sampling, read in its own order and batches, best by FILE.py:CALLABLE that gives the "
            "training's loader: tells stale statistics from another domain."
        ),
        rich_help_panel=DATA,
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The column of a table that holds the labels.", rich_help_panel=DATA),
]
BatchSize = Annotated[int, typer.Option(min=1, metavar="N", help="Samples in a forward.", rich_help_panel=DATA)]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Draw N samples at random.", rich_help_panel=DATA)]
BatchSizes = Annotated[
    str,
    typer.Option(metavar="N,N,...", help="Batch sizes of the what-if table.", rich_help_panel=DATA),
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Of every random draw.", rich_help_panel=DATA)]

Layout = Annotated[
    str,
    typer.Option(
        metavar="auto|nhwc|nchw",
        autocompletion=words("auto|nhwc|nchw"),
        help="Axes of uint8 images.",
        rich_help_panel=IMAGES,
    ),
]
Mean = Annotated[
    str | None,
    typer.Option(
        metavar="M,M,M",
        help="Subtracted per channel, in the unit after --scale (0..1 without).",
        rich_help_panel=IMAGES,
    ),
]
Std = Annotated[str | None, typer.Option(metavar="S,S,S", help="Divided by, per channel.", rich_help_panel=IMAGES)]
Resize = Annotated[
    str | None,
    typer.Option(metavar="N|H,W", help="Shorter side, or height and width.", rich_help_panel=IMAGES),
]
Crop = Annotated[
    str | None, typer.Option(metavar="N|H,W", help="From the centre, after resizing.", rich_help_panel=IMAGES)
]
Channels = Annotated[
    str | None,
    typer.Option(
        metavar="rgb|bgr|gray",
        autocompletion=words("rgb|bgr|gray"),
        help="Order the network expects.",
        rich_help_panel=IMAGES,
    ),
]
Scale = Annotated[
    float | None,
    typer.Option(metavar="X", help="Multiplies the values 0..1 (255 for networks fed 0..255).", rich_help_panel=IMAGES),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="imagenet",
        autocompletion=words("imagenet"),
        help="Resize 256, crop 224, ImageNet mean and std.",
        rich_help_panel=IMAGES,
    ),
]

Metric = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.py:CALLABLE",
        help="metric(outputs, labels) -> number, instead of top-1 accuracy; larger is better.",
        rich_help_panel=JUDGING,
    ),
]
MaxGap = Annotated[
    float | None,
    typer.Option(
        min=0.0, metavar="X", help="A layer whose gap exceeds X is an error (BN600).", rich_help_panel=JUDGING
    ),
]
DeployDtype = Annotated[
    str | None,
    typer.Option(
        metavar="float16|bfloat16",
        autocompletion=words("float16|bfloat16"),
        help="Precision the model is to run in: values it cannot hold are errors (BN204).",
        rich_help_panel=JUDGING,
    ),
]
Select = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CODES",
        autocompletion=codes,
        help="Only these rules (codes or prefixes, by comma).",
        rich_help_panel=JUDGING,
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CODES",
        autocompletion=codes,
        help="Not these rules (codes or prefixes, by comma).",
        rich_help_panel=JUDGING,
    ),
]
FailOn = Annotated[
    str,
    typer.Option(
        metavar="error|warning|never",
        autocompletion=words("error|warning|never"),
        help="From which severity on to exit 1.",
        rich_help_panel=JUDGING,
    ),
]
ExpectFrozen = Annotated[
    list[str] | None,
    typer.Option(
        "--expect-frozen",
        metavar="GLOB",
        help="Layers whose statistics must not have moved, like 'backbone.*'. Repeatable.",
        rich_help_panel=JUDGING,
    ),
]
FailOnAgain = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        metavar="error|warning|never",
        autocompletion=words("error|warning|never"),
        help="From which severity on to exit 1; as in the report's own run unless given.",
        rich_help_panel=JUDGING,
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit 4 if any layer or sample was skipped.", rich_help_panel=JUDGING)
]

BaselineFile = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="FILE",
        help="Known findings: they fail only once they get worse.",
        rich_help_panel=JUDGING,
    ),
]
WriteBaseline = Annotated[
    str | None,
    typer.Option(
        "--write-baseline",
        metavar="FILE",
        help="Accept what is found now into FILE; with --baseline, only take out what is gone.",
        rich_help_panel=JUDGING,
    ),
]

Reports = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        metavar="[FORMAT=]PATH",
        autocompletion=formats,
        help=(
            "Write csv, channels-csv, json, html, markdown, junit, sarif or github (annotations, step summary), by "
            "suffix or by name; - is stdout. Repeatable."
        ),
        rich_help_panel=OUTPUT,
    ),
]
DifferenceReports = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        metavar="[FORMAT=]PATH",
        autocompletion=formats,
        help=(
            "Write csv, json, html, markdown, junit, sarif or github (annotations, step summary), by suffix or by "
            "name; - is stdout. Repeatable."
        ),
        rich_help_panel=OUTPUT,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only errors and the reports asked for.", rich_help_panel=OUTPUT)
]
NoConfig = Annotated[
    bool,
    typer.Option(
        "--no-config",
        is_eager=True,
        callback=configured,
        help="Leave out [tool.bncheck] of pyproject.toml, and bncheck.toml.",
        rich_help_panel=OUTPUT,
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Tracebacks with errors.", rich_help_panel=OUTPUT)]
