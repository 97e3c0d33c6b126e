"""What an experiment is: something seeded that gives numbers and curves, and a figure of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Seen:
    """What one seed has shown.

    Attributes:
        numbers: the rows of the table.
        curves: what the figure shows besides.
    """

    numbers: Mapping[str, float]
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)


OneSeed = Callable[[int, float], Seen]
"""`one(seed, effort)`: an effort of 1 is the whole experiment, and less of it a trial run with fewer steps."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment on one set of data.

    Attributes:
        code: `E2`; on Fashion-MNIST `E2-fashion`.
        title: one line.
        unit: of the numbers in the table.
        one: runs it for one seed; it must be picklable.
        draw: the figure of all seeds.
        seeds: how many.
        form: how a number of the table is printed.
        geometric: the table shows geometric means, and the spread as a factor.
    """

    code: str
    title: str
    unit: str
    one: OneSeed
    draw: Callable[[Sequence[Seen]], Figure]
    seeds: int = 5
    form: str = ".1f"
    geometric: bool = False

    def table(self, seen: Sequence[Seen]) -> str:
        """Markdown: mean, standard deviation over the seeds, lowest and highest."""
        lines = [f"| {self.code}: {self.title} ({self.unit}, {len(seen)} seeds) | mean | sd | lowest | highest |"]
        lines.append("|---|---:|---:|---:|---:|")
        for name, values in by_name([one.numbers for one in seen]).items():
            mean, spread = self._summary(values)
            lowest, highest = (format(value, self.form) for value in (min(values), max(values)))
            lines.append(f"| {name} | {mean:{self.form}} | {spread} | {lowest} | {highest} |")
        return "\n".join(lines)

    def _summary(self, values: Sequence[float]) -> tuple[float, str]:
        """Mean, and standard deviation as it is printed."""
        if self.geometric:
            logarithms = np.log(values)
            return float(np.exp(logarithms.mean())), f"x {np.exp(_spread(logarithms)):{self.form}}"
        return float(np.mean(values)), format(_spread(values), self.form)


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def by_name(rows: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Rows of one seed each, turned into one list per name."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def share_of(steps: int, effort: float, *, least: int = 4) -> int:
    """So many of the steps as the effort allows."""
    return max(round(steps * effort), least)
