"""The options that say what is done to images before the model sees them."""

from __future__ import annotations

from typing import Annotated

import typer

from bncheck.cli.options.completing import words
from bncheck.settings import CHANNELS, LAYOUTS, PRESETS

PANEL = "Images"
_LAYOUTS, _CHANNELS, _PRESETS = "|".join(LAYOUTS), "|".join(CHANNELS), "|".join(PRESETS)

Layout = Annotated[
    str,
    typer.Option(
        metavar=_LAYOUTS,
        autocompletion=words(_LAYOUTS),
        help="Axes of uint8 images.",
        rich_help_panel=PANEL,
    ),
]
Mean = Annotated[
    str | None,
    typer.Option(
        metavar="M,M,M",
        help="Subtracted per channel, in the unit after --scale (0..1 without).",
        rich_help_panel=PANEL,
    ),
]
Std = Annotated[str | None, typer.Option(metavar="S,S,S", help="Divided by, per channel.", rich_help_panel=PANEL)]
Resize = Annotated[
    str | None,
    typer.Option(metavar="N|H,W", help="Shorter side, or height and width.", rich_help_panel=PANEL),
]
Crop = Annotated[
    str | None, typer.Option(metavar="N|H,W", help="From the centre, after resizing.", rich_help_panel=PANEL)
]
Channels = Annotated[
    str | None,
    typer.Option(
        metavar=_CHANNELS,
        autocompletion=words(_CHANNELS),
        help="Order the network expects.",
        rich_help_panel=PANEL,
    ),
]
Scale = Annotated[
    float | None,
    typer.Option(metavar="X", help="Multiplies the values 0..1 (255 for networks fed 0..255).", rich_help_panel=PANEL),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar=_PRESETS,
        autocompletion=words(_PRESETS),
        help="imagenet: resize 256, crop 224, ImageNet mean and std; auto: as the weights say it was in training.",
        rich_help_panel=PANEL,
    ),
]
