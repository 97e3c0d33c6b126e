"""Reports as text: one file per format. Characters live here, numbers in the report."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from bncheck.errors import UsageError
from bncheck.results.report import Report

_MODULES = {
    "csv": "tabular",
    "channels-csv": "tabular",
    "json": "json_document",
    "html": "html",
    "markdown": "markdown",
    "junit": "junit",
    "sarif": "sarif",
    "github": "github",
}
FORMATS = tuple(_MODULES)
SUFFIXES = {
    ".csv": "csv",
    ".json": "json",
    ".html": "html",
    ".htm": "html",
    ".md": "markdown",
    ".xml": "junit",
    ".sarif": "sarif",
}


def renderer(format_name: str) -> Callable[[Report], str]:
    """The function that writes a report in that format (imported on first use: pandas is slow to load).

    Raises:
        UsageError: there is no such format.
    """
    if format_name not in _MODULES:
        raise UsageError(f"--report: there is no format {format_name!r}; choose one of {', '.join(FORMATS)}.")
    module = import_module(f"bncheck.render.{_MODULES[format_name]}")
    return cast("Callable[[Report], str]", getattr(module, f"render_{format_name.replace('-', '_')}"))
