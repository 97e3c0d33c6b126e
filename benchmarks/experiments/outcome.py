"""What an experiment gives: named series of one number per seed, and the table they are printed as."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """One table of an experiment.

    Attributes:
        code: `E2`.
        title: one line.
        unit: of the numbers.
        series: what was tried to its value for every seed.
    """

    code: str
    title: str
    unit: str
    series: Mapping[str, Sequence[float]]

    def table(self) -> str:
        """Markdown: mean, standard deviation over seeds, lowest and highest."""
        seeds = len(next(iter(self.series.values())))
        lines = [f"{self.code}: {self.title} ({self.unit}, {seeds} seeds)", ""]
        lines += ["| | mean | sd | lowest | highest |", "|---|---|---|---|---|"]
        for name, values in self.series.items():
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            lines.append(
                f"| {name} | {statistics.fmean(values):.1f} | {spread:.1f} | {min(values):.1f} | {max(values):.1f} |"
            )
        return "\n".join(lines)


def by_series(rows: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Rows of one seed each, turned into one list per name."""
    return {name: [row[name] for row in rows] for name in rows[0]}
