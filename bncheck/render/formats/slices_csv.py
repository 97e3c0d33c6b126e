"""CSV by slice has one row for every slice of the data and layer; a difference has no slices."""

from __future__ import annotations

from bncheck.render.format import Format
from bncheck.render.formats.csv import csv_text
from bncheck.render.told import judged_report
from bncheck.results import SLICE_COLUMNS, RepairResult, Report


def of_report(report: Report) -> str:
    """One row for every slice and layer, the slices whose gap is surest first; missing values are empty."""
    return csv_text(report.slice_rows(), SLICE_COLUMNS)


def of_repair(repair: RepairResult) -> str:
    """The slices of the repaired model's data, if it was asked for any."""
    return of_report(judged_report(repair))


FORMAT = Format("slices-csv", (), of_report, of_repair, None)
