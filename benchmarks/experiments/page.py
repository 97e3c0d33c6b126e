"""Figures into docs/experiments, tables into the page that tells their story."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.experiments.drawing import save
from benchmarks.experiments.experiment import Experiment
from benchmarks.experiments.record import Ran
from benchmarks.readme import put

FOLDER = Path(__file__).parents[2] / "docs"
PAGE = "why-batch-statistics.md"
RECORD = "experiments/seeds.json"


def publish(experiments: Mapping[str, Experiment], ran: Mapping[str, Ran], folder: Path) -> None:
    """Draw what was run and, where `folder` has the page, put each table between its two marks.

    Args:
        experiments: by code.
        ran: by code; a code that is no experiment any more is left out.
        folder: `docs/`.
    """
    known = {code: one for code, one in ran.items() if code in experiments}
    for code, one in known.items():
        save(experiments[code].draw(one.seen), folder / "experiments" / f"{code.lower()}.svg")
    page = folder / PAGE
    if not page.exists():
        return
    text = page.read_text(encoding="utf-8")
    for code, one in known.items():
        text = put(text, code, experiments[code].table(one.seen))
    page.write_text(put(text, "time", _time(known)), encoding="utf-8")


def _time(ran: Mapping[str, Ran]) -> str:
    """How long it took, a row for each experiment."""
    minutes = {code: one.seconds / 60 for code, one in sorted(ran.items())}
    lines = [f"| experiment | {' | '.join(minutes)} | all |", "|---|" + "---:|" * (len(minutes) + 1)]
    shown = " | ".join(f"{value:.1f}" for value in (*minutes.values(), sum(minutes.values())))
    return "\n".join([*lines, f"| minutes of one core | {shown} |"])
