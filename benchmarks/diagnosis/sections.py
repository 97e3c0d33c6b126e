"""The parts of `docs/diagnosis.md`, which several commands write: each its own, the others' left as they are."""

from __future__ import annotations

from pathlib import Path

TASKS = "<!-- What follows is written by python -m benchmarks.diagnosis.tasks -->"
"""The line with which the second part begins."""
MORE = "<!-- What follows is written by python -m benchmarks.diagnosis.tasks --more -->"
"""The line with which the third part begins."""
STATIC = "<!-- What follows is written by python -m benchmarks.diagnosis.static -->"
"""The line with which the part on files without data begins."""
COPIES = "<!-- What follows is written by python -m benchmarks.diagnosis.static.copies -->"
"""The line with which the part on averaged weights begins."""
CALIBRATION = "<!-- What follows is written by python -m benchmarks.diagnosis.tasks.calibration -->"
"""The line with which the last part begins."""
_ORDER = (STATIC, COPIES, TASKS, MORE, CALIBRATION)


def put(path: Path, beginning: str | None, text: str) -> None:
    """Write `text` as the part that begins with that line; `None` is the part before all such lines."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = {**_parts(old), beginning: text}
    later = [f"{line}\n\n{parts[line]}" for line in _ORDER if line in parts]
    path.write_text("\n".join([parts[None], *later]), encoding="utf-8")


def _parts(page: str) -> dict[str | None, str]:
    """The text under each of these lines."""
    parts: dict[str | None, str] = {}
    for line in reversed(_ORDER):
        page, found, text = page.partition(f"\n{line}\n\n")
        if found:
            parts[line] = text
    return {None: page, **parts}
