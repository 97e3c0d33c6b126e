"""Reading a report back from the JSON that `--report json=FILE` wrote."""

from __future__ import annotations

from pathlib import Path

from bncheck.discovery import meant
from bncheck.errors import UsageError
from bncheck.results import ADVICE, Origin, Report, json_in


def read_report(path: str | Path) -> Report:
    """The report in a JSON file; numbers that were not finite, and null there, are NaN again where layers have one.

    Its layers have no `table` of channels: the JSON keeps none.

    Raises:
        UsageError: there is no such file.
        UnreadableError: it holds no report of bncheck, or one of another `schema_version`.
    """
    origin = _origin(str(path))
    try:
        document = json_in(path, origin)
    except FileNotFoundError as error:
        raise UsageError(f"there is no report {path}{meant(path)}. {ADVICE}") from error
    return Report.from_dict(document, origin)


def report_of(document: object, source: str = "the document") -> Report:
    """The report that `Report.to_dict()` made `document` of.

    Raises:
        UnreadableError: as for `read_report`; it is called `source` there.
    """
    return Report.from_dict(document, _origin(source))


def _origin(name: str) -> Origin:
    return Origin(name, "report", ADVICE)
