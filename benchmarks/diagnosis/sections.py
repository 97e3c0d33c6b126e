"""The parts of `docs/diagnosis.md`, which several commands write: each its own, the others' left as they are."""

from __future__ import annotations

from pathlib import Path

TASKS = "<!-- What follows is written by python -m benchmarks.diagnosis.tasks -->"
"""The line with which the second part begins."""
MORE = "<!-- What follows is written by python -m benchmarks.diagnosis.tasks --more -->"
"""The line with which the third part begins."""
CALIBRATION = "<!-- What follows is written by python -m benchmarks.diagnosis.tasks.calibration -->"
"""The line with which the last part begins."""


def put(path: Path, beginning: str | None, text: str) -> None:
    """Write `text` as the part that begins with that line; `None` is the part before all such lines."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = {**_parts(old), beginning: text}
    later = [f"{line}\n\n{parts[line]}" for line in (TASKS, MORE, CALIBRATION) if line in parts]
    path.write_text("\n".join([parts[None], *later]), encoding="utf-8")


def _parts(page: str) -> dict[str | None, str]:
    """The text under each of these lines."""
    parts: dict[str | None, str] = {}
    for line in (CALIBRATION, MORE, TASKS):
        page, found, text = page.partition(f"\n{line}\n\n")
        if found:
            parts[line] = text
    return {None: page, **parts}
