"""How often the optimizer in a checkpoint has stepped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bncheck.formats.tensors import whole_number

_DEPTH = 1
_PARAMETERS = 64
"""So many parameters' counts are read; they step together."""


def optimizer_steps(content: Any) -> int | None:
    """The steps that the state of the only optimizer in `content` counts.

    `None` where there is none, where it does not count (plain SGD), and where optimizers or parameters disagree.
    """
    counts = set(_steps(content, 0, set()))
    return counts.pop() if len(counts) == 1 else None


def _steps(content: Any, depth: int, met: set[int]) -> Iterator[int]:
    if isinstance(content, Mapping) and "param_groups" in content and isinstance(content.get("state"), Mapping):
        yield from _counted(content["state"])
        return
    if depth > _DEPTH or not isinstance(content, (list, tuple, Mapping)) or id(content) in met:
        return
    met.add(id(content))  # it may stand in a thousand places
    for item in content.values() if isinstance(content, Mapping) else content[:16]:
        yield from _steps(item, depth + 1, met)


def _counted(state: Mapping[Any, Any]) -> Iterator[int]:
    for entry in list(state.values())[:_PARAMETERS]:
        step = whole_number(entry.get("step")) if isinstance(entry, Mapping) else None
        if step is not None:
            yield step
