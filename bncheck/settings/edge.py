"""Where a run is asked for: the command line, or Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bncheck.vocabulary import Spelling


@dataclass(frozen=True, slots=True)
class Edge:
    """Says how a run was asked for, so that its report can tell and spell it.

    Attributes:
        command: how the report says it was made.
        spelling: how arguments are named where it is read.
        typed: the options as the user set them, for the report to print; `None` to print the settings. Nothing else
            reads them.
    """

    command: str
    spelling: Spelling = Spelling.PYTHON
    typed: Mapping[str, Any] | None = None


def name_of_callable(function: object) -> str:
    """The name by which a reader knows any callable: that of the function within a `partial`, of an object its class's.

    >>> import math
    >>> name_of_callable(partial(math.hypot, 1.0))
    'hypot'
    """
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__qualname__", None)  # objects have none, unless they make up attributes
    return name if isinstance(name, str) else type(function).__qualname__
