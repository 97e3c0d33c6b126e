"""Where reports go: `--report [FORMAT=]PATH`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bncheck.discovery import meant_word
from bncheck.encoding import encodable
from bncheck.errors import UsageError
from bncheck.files import written_whole
from bncheck.render import Result, all_formats, format_of, known_suffixes, renderer
from bncheck.results import Report
from bncheck.vocabulary import argument

STDOUT = "-"


@dataclass(frozen=True, slots=True)
class Destination:
    """A report's format and the file it goes to (`-`: stdout)."""

    format: str
    path: str


def read_destinations(values: Sequence[str], of: type[Result] = Report) -> tuple[Destination, ...]:
    """The destinations that `--report` names.

    Args:
        values: as typed.
        of: what is going to be written.

    Raises:
        UsageError: a format is unknown or missing or has no place for such a result, or two reports want stdout.
    """
    destinations = tuple(_read(value) for value in values)
    for destination in destinations:
        renderer(destination.format).require(of)
    if sum(destination.path == STDOUT for destination in destinations) > 1:
        raise UsageError("--report: only one report can go to stdout (-).")
    return destinations


def stdout_is_free(destinations: Sequence[Destination]) -> bool:
    """Whether no report goes to stdout, where nothing else may stand beside it."""
    return all(destination.path != STDOUT for destination in destinations)


def write_reports(result: Result, destinations: Sequence[Destination]) -> None:
    """Write the result in every format asked for; a file appears whole or not at all.

    With `github` the step's summary is added to where GitHub wants it.
    """
    for destination in destinations:
        if destination.format == "github":
            _add_step_summary(result)
        write_texts([(destination, renderer(destination.format)(result))])


def write_texts(texts: Iterable[tuple[Destination, str]]) -> None:
    """Write every text to its destination."""
    for destination, rendered in texts:
        text = encodable(rendered)
        if destination.path == STDOUT:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            with written_whole(Path(destination.path), argument("report")) as temporary:
                temporary.write_text(text, encoding="utf-8")


def _read(value: str) -> Destination:
    name, separator, path = value.partition("=")
    names = [each.name for each in all_formats()]
    if separator and name in names:
        if not path:
            raise UsageError(f"--report {value}: name a file after the =, or - for stdout.")
        return Destination(name, path)
    if value in names:
        raise UsageError(f"--report {value}: name a file as well, --report {value}=PATH, or - for stdout as PATH.")
    by_suffix = format_of(Path(value).suffix)
    if value != STDOUT and by_suffix is not None:
        return Destination(by_suffix.name, value)
    meant = meant_word(name, names) if separator else meant_word(Path(value).suffix, known_suffixes())
    raise UsageError(
        f"--report {value}{meant}: the format cannot be told from that; write FORMAT=PATH with FORMAT one of "
        f"{', '.join(names)}, for example --report json={'-' if value == STDOUT else 'report.json'}."
    )


def _add_step_summary(result: Result) -> None:
    """GitHub names the file in the environment of every step; other servers do not."""
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return
    try:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(encodable(renderer("markdown")(result)))
    except OSError as error:
        raise UsageError(f"GITHUB_STEP_SUMMARY names {name}, which cannot be written: {error.strerror}.") from error
