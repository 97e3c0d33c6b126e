"""What stands for a class, a function or an object that a pickle asks for and bncheck does not make: names and data.

Nothing here can be called, and none of it has a method that a pickle's operations reach: no `__call__`, `__reduce__`,
`__setstate__`, `append` or `__setitem__`. The machine that reads the pickle writes into the fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_LONGEST_NAME = 1000


@dataclass(frozen=True, slots=True, eq=False)
class ForeignName:
    """A class or function, by its name alone: `module.name`."""

    name: str

    @classmethod
    def of(cls, module: str, name: str) -> ForeignName:
        """Of any length; nobody needs more of it than this keeps."""
        return cls(f"{module}.{name}"[:_LONGEST_NAME])


@dataclass(slots=True, eq=False)
class ForeignObject:
    """What a call, or a class without one, would have made; the machine fills it while it reads.

    Attributes:
        maker: what would have been called: a name, or whatever else the pickle put there.
        arguments: that it would have been called with.
        state: that it would have been given (`__setstate__`, or attributes by name).
        items: that would have been appended or added.
        entries: that would have been set by key.
    """

    maker: Any
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)

    @property
    def class_name(self) -> str:
        """Of its class, or of the function that would have made it; `object` where the pickle computed that too."""
        return self.maker.name if isinstance(self.maker, ForeignName) else "object"

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What it would have had by name: attributes, those in slots, and entries; the graph modules' first argument.

        Attributes come before entries of the same name.
        """
        parts = self.state if isinstance(self.state, tuple) and len(self.state) == 2 else (self.state,)
        tables = [part for part in parts if isinstance(part, dict)]
        if not tables and self.arguments and isinstance(self.arguments[0], dict):
            tables = [self.arguments[0]]
        found: dict[str, Any] = {}
        for table in (self.entries, *tables):
            found.update((name, value) for name, value in table.items() if isinstance(name, str))
        return found
