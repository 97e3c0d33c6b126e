"""The parts of `docs/diagnosis.md`, which two commands write: each its own, the other's left as it is."""

from __future__ import annotations

from pathlib import Path

TASKS = "<!-- What follows is written by python -m benchmarks.diagnosis.tasks -->"
"""The line with which the second part begins."""


def put(path: Path, beginning: str | None, text: str) -> None:
    """Write `text` as the part that begins with that line; `None` is the part before all such lines."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    before, line, after = old.partition(f"\n{TASKS}\n")
    whole = f"{text}{line}{after}" if beginning is None else f"{before}\n{beginning}\n\n{text}"
    path.write_text(whole, encoding="utf-8")
