"""What every seed has shown, kept in a file, so that figures and tables can be made again without training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.experiments.experiment import Seen

DIGITS = 5
"""Significant digits that are kept."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One experiment that was run.

    Attributes:
        seen: what each seed has shown, in the order of the seeds.
        seconds: of one processor core, all seeds together.
    """

    seen: Sequence[Seen]
    seconds: float


def read(path: Path) -> dict[str, Ran]:
    """By code; empty where there is no such file."""
    if not path.exists():
        return {}
    stored = json.loads(path.read_text(encoding="utf-8"))
    return {
        code: Ran([Seen(one["numbers"], one["curves"]) for one in ran["seeds"]], ran["seconds"])
        for code, ran in stored.items()
    }


def write(path: Path, ran: Mapping[str, Ran]) -> None:
    """All of them, one seed a line."""
    blocks = []
    for code, one in sorted(ran.items()):
        seeds = ",\n".join(
            f"   {json.dumps({'numbers': _rounded(s.numbers), 'curves': {n: _all(c) for n, c in s.curves.items()}})}"
            for s in one.seen
        )
        blocks.append(f' "{code}": {{"seconds": {one.seconds:.0f}, "seeds": [\n{seeds}\n ]}}')
    path.write_text("{\n" + ",\n".join(blocks) + "\n}\n", encoding="utf-8")


def _rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    return dict(zip(numbers, _all(list(numbers.values())), strict=True))


def _all(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
