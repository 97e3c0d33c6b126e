"""The options that say which model is meant, and how it is opened."""

from __future__ import annotations

from typing import Annotated

import typer

PANEL = "The model"

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="TorchScript, .pt2, .onnx, .keras, .h5, a state dict (.pt .pth .ckpt), .safetensors, or a pickled module.",
        show_default=False,
    ),
]
OnnxModel = Annotated[str, typer.Argument(metavar="MODEL.onnx", help="The exported model.", show_default=False)]
Models = Annotated[list[str], typer.Argument(metavar="MODEL...", help="Model files.", show_default=False)]
Parts = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="What inspect --write-moments wrote, of all shards.", show_default=False),
]
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
        rich_help_panel=PANEL,
    ),
]
ArchKwargs = Annotated[
    str | None,
    typer.Option(metavar="JSON", help="Keyword arguments for --arch: '{\"depth\": 18}'.", rich_help_panel=PANEL),
]
Key = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Which nested state dict of a checkpoint, by its key (ema) or the prefix of its names (generator).",
        rich_help_panel=PANEL,
    ),
]
KeyAfter = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="The same of B, if not that of --key: raw against averaged weights.", rich_help_panel=PANEL
    ),
]
TrustPickle = Annotated[
    bool,
    typer.Option(
        "--trust-pickle", help="Unpickle a file that can run code: only if you made it.", rich_help_panel=PANEL
    ),
]
Device = Annotated[
    str, typer.Option(metavar="NAME", help="Where to run the model: cpu, cuda, cuda:1, mps.", rich_help_panel=PANEL)
]
Autocast = Annotated[
    str | None,
    typer.Option(
        "--amp",
        metavar="float16|bfloat16",
        help="Run the model in mixed precision, by torch.autocast.",
        rich_help_panel=PANEL,
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="The checkpoint this was exported from: folded layers are read through it, and all are compared.",
        rich_help_panel=PANEL,
    ),
]
ReferenceData = Annotated[
    str | None,
    typer.Option(
        metavar="D",
        help="Good data, for an export without normalization layers: what its convolutions give on them is the "
        "reference. Kept by --write-moments for later runs, --against FILE.",
        rich_help_panel=PANEL,
    ),
]
ReferenceArch = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.py:CALLABLE",
        help="What builds the nn.Module for a --reference that is a state dict, to compare outputs too.",
        rich_help_panel=PANEL,
    ),
]
ReferenceKey = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Which nested state dict of the --reference.", rich_help_panel=PANEL),
]
Output = Annotated[
    str | None,
    typer.Option("--output", metavar="KEY|INDEX", help="Which output is the prediction.", rich_help_panel=PANEL),
]
