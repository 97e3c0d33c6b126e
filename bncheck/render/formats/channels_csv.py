"""CSV by channel has one row per channel of a report; a difference compares layers and has none."""

from __future__ import annotations

from bncheck.render.format import Format
from bncheck.render.formats.csv import csv_text
from bncheck.render.told import judged_report
from bncheck.results import CHANNEL_COLUMNS, RepairResult, Report


def of_report(report: Report) -> str:
    """One row per channel of every measured layer; missing values are empty."""
    return csv_text(report.channel_rows(), CHANNEL_COLUMNS)


def of_repair(repair: RepairResult) -> str:
    """The channels of the repaired model."""
    return of_report(judged_report(repair))


FORMAT = Format("channels-csv", (), of_report, of_repair, None)
