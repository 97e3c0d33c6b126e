"""Where in a forward a normalization layer is called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Site:
    """One of a layer's calls in a forward: the layer's name and which call of it this is, from 0."""

    layer: str
    call: int
