"""What a project does not want to be told of again."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class LayerIgnore:
    """Findings that are meant to be there.

    Attributes:
        layer: names of layers, with `*` and `?`.
        codes: of rules, whole or prefixes.
        reason: why.
        source: the file that says so.
    """

    layer: str
    codes: tuple[str, ...]
    reason: str
    source: str = ""

    def covers(self, code: str, layer: str) -> bool:
        """Whether it speaks of that finding in that layer."""
        return code.startswith(self.codes) and fnmatchcase(layer, self.layer)
