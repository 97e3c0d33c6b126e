"""GitHub Actions takes workflow commands: annotations of the model file."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.render.format import Format, Result
from bncheck.render.paths import path_from_here
from bncheck.render.told import told
from bncheck.render.words.cells import count, printable
from bncheck.render.words.ranking import worst_first
from bncheck.render.words.report import ALIKE, alike
from bncheck.results import ERROR, INFO, WARNING, RepairResult
from bncheck.rules import RULES

COMMANDS = {ERROR: "error", WARNING: "warning", INFO: "notice"}
_TITLES = {rule.code: rule.title for rule in RULES}


def of_any(result: Result) -> str:
    """One line for every finding that counts; many of a kind are summed up, since GitHub shows ten of a level.

    What takes the green light away without a finding is an error, a repair's outcome a notice.
    """
    return "".join(f"{line}\n" for line in _lines(result))


def _lines(result: Result) -> Iterator[str]:
    about = told(result)
    path = path_from_here(about.model.path).as_posix()
    if about.alarm:
        yield _command("error", path, "bncheck", about.alarm)
    elif isinstance(result, RepairResult):
        yield _command("notice", path, "bncheck repair", about.headline)
    for group in alike(about.findings):
        first = group[0]
        title = f"{first.code} {_TITLES.get(first.code, '')}".strip()
        messages = [finding.message for finding in worst_first(group)[:ALIKE]]
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


FORMAT = Format("github", (), of_any, of_any, of_any)
