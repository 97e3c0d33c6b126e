"""Which tables stand beside that of the layers."""

from __future__ import annotations

from bncheck.render.words.beside.drift import table_of_drift
from bncheck.render.words.beside.slices import SHOWN, table_of_slices
from bncheck.render.words.beside.table import SideTable
from bncheck.results import Report, compared_with

__all__ = ["SideTable", "side_tables"]


def side_tables(report: Report, most: int = SHOWN) -> list[SideTable]:
    """The tables that there is something to put into, of so many rows at the most."""
    tables = (table_of_drift(report.drift, most), table_of_slices(report.slices, most, compared_with(report.run.noted)))
    return [table for table in tables if table is not None]
