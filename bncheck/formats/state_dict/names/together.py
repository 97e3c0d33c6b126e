"""Several networks of one checkpoint as one state dict: `{"netG": ..., "netD": ...}` is `netG.` beside `netD.`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Together(Mapping[str, Any]):
    """The entries of several state dicts, each under where it stands.

    Args:
        parts: the state dicts, by their dotted paths.
    """

    def __init__(self, parts: Mapping[str, Mapping[str, Any]]) -> None:
        self.parts = parts
        self._places = {
            f"{path}.{name}": (part, name) for path, part in parts.items() for name in part if isinstance(name, str)
        }

    def __getitem__(self, name: str) -> Any:
        part, own = self._places[name]
        return part[own]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
