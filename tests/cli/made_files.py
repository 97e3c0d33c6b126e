"""The folder of files that the commands are called with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Files:
    """Models and data by what is the matter with them."""

    folder: Path

    def __getattr__(self, name: str) -> str:
        found = sorted(self.folder.glob(f"{name}.*"))
        assert len(found) == 1, f"no test file {name}"
        return str(found[0])
