"""The report as workflow commands of GitHub Actions: annotations of the model file."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.render.words.cells import count, printable
from bncheck.render.words.paths import path_from_here
from bncheck.render.words.report import ALIKE, alike, headline, too_little_checked
from bncheck.results.report import ERROR, INFO, WARNING, Report
from bncheck.rules.catalogue import RULES

COMMANDS = {ERROR: "error", WARNING: "warning", INFO: "notice"}
_TITLES = {rule.code: rule.title for rule in RULES}


def render_github(report: Report) -> str:
    """One line for every finding that counts; many of a kind are summed up, since GitHub shows ten of a level."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    path = path_from_here(report.model.path).as_posix()
    if too_little_checked(report):
        yield _command("error", path, "bncheck", headline(report))
    for group in alike(report.findings):
        first = group[0]
        title = f"{first.code} {_TITLES.get(first.code, '')}".strip()
        messages = [finding.message for finding in group[:ALIKE]]
        if len(group) > ALIKE:
            messages.append(f"And {count(len(group) - ALIKE, 'layer')} more.")
        text = "\n".join([*messages, f"What to do: {first.fix}"])
        yield _command(COMMANDS[first.severity], path, title, text)


def _command(name: str, path: str, title: str, text: str) -> str:
    return f"::{name} file={_property(path)},title={_property(title)}::{_data(text)}"


def _data(text: str) -> str:
    """What may stand after the second `::`."""
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """What may stand between the commas."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
