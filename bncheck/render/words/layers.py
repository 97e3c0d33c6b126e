"""Kinds of layers, and the columns of numbers about them, have their names here."""

from __future__ import annotations

KINDS = {
    "batch_norm": "batch",
    "instance_norm": "instance",
    "group_norm": "group",
    "layer_norm": "layer",
    "rms_norm": "rms",
}
MEANINGS = {
    "shift": "the largest over the channels",
    "scale": "the range over the channels",
    "gap": "root mean square over the channels",
    "own": "the gap with upstream errors removed",
    "noise": "what sampling alone would show",
}
