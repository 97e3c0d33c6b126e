"""What users of Python call on a result: the page of a terminal as text, files by their suffix, a figure to draw on."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from bncheck.discovery import meant_word
from bncheck.encoding import encodable
from bncheck.errors import UsageError
from bncheck.extras import extras_named
from bncheck.files import InputFiles, OutputFile, is_special, require_free, written_whole
from bncheck.render.format import Result, format_of, known_suffixes
from bncheck.render.terminal.difference import print_difference
from bncheck.render.terminal.page import PROSE
from bncheck.render.terminal.repair_table import print_repair
from bncheck.render.terminal.report import print_report
from bncheck.results import CHANNEL_COLUMNS, COLUMNS, LAYER_COLUMNS, RepairResult, Report
from bncheck.vocabulary import argument

_START = 2**20
"""Bytes of a file in which a report names bncheck."""
_TABLES = tuple(",".join(columns).encode() for columns in (LAYER_COLUMNS, CHANNEL_COLUMNS, COLUMNS))
"""How tables of reports begin."""


def plain_text(result: Result) -> str:
    """What a terminal shows of the result, without colours."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=PROSE, color_system=None, force_terminal=False, legacy_windows=False)
    if isinstance(result, Report):
        print_report(result, console)
    elif isinstance(result, RepairResult):
        print_repair(result, console)
    else:
        print_difference(result, console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text.rstrip("\n")


def save(result: Result, path: Path) -> Path:
    """Write the result in the format of the path's suffix; see `Shown.save`.

    Raises:
        UsageError: no format has such a suffix, it names what was inspected, or it cannot be written there.
    """
    found = format_of(path.suffix)
    if found is None:
        known = ", ".join(sorted(known_suffixes()))
        meant = meant_word(path.suffix, known_suffixes())
        raise UsageError(f"path {path}{meant}: no format is written with such a suffix; those are {known}.")
    require_free([OutputFile("path", path)], InputFiles.named(_inspected(result)))
    _require_report(path)
    text = encodable(found(result))
    with written_whole(path, "path") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _require_report(path: Path) -> None:
    """Refuse to replace a file that is no report: it may be anything of the user's, the data of the run among it."""
    try:
        if not path.exists() or is_special(path):  # a pipe is sent what it is sent, and waits for whoever reads it
            return
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError as error:
        raise UsageError(f"path {path}: it cannot be written: {error.strerror or error}.") from error
    if start and b"bncheck" not in start and not start.startswith(_TABLES):
        raise UsageError(f"path {path}: that file is there, and no report of bncheck. Name another, or remove it.")


def plot(report: Report, axes: Any = None) -> Any:
    """Draw the measured layers along the network; see `Report.plot`.

    Raises:
        UsageError: none was measured.
    """
    with extras_named("A plot"):
        from bncheck.render.html.drawing import ON_WHITE
        from bncheck.render.html.figures import draw_depth, measured_layers

    layers = measured_layers(report)
    if not layers:
        raise UsageError(f"No layer was measured, so there is nothing to plot: give {argument('data')} to inspect.")
    if axes is None:
        from matplotlib import pyplot

        axes = pyplot.figure(figsize=(9.2, 3.6)).add_subplot()
    draw_depth(axes, layers, report.run.thresholds["margin"], ON_WHITE.__getitem__)
    axes.legend(fontsize=9)
    return axes


def _inspected(result: Result) -> dict[str, object]:
    """The files that the result is about."""
    if isinstance(result, RepairResult):
        return {"the model": result.before.model.path, "the repaired model": result.path}
    if isinstance(result, Report):
        return {"the model": result.model.path, "the data": None if result.data is None else result.data.source}
    return {"the model": result.before.path, "the other model": result.after.path}
