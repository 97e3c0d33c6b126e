"""The report as JSON, `schema_version` 1."""

from __future__ import annotations

import json

from bncheck.results.report import Report


def render_json(report: Report) -> str:
    """One JSON document; numbers are finite or null."""
    return json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n"
