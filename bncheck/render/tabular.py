"""The report as CSV: one row per layer, or one per channel."""

from __future__ import annotations

import pandas

from bncheck.results.report import CHANNEL_COLUMNS, LAYER_COLUMNS, Json, Report

_WHOLE_NUMBERS = ("channels", "calls", "stored_updates", "worst_channel", "channel")


def render_csv(report: Report) -> str:
    """One row per layer; missing values are empty."""
    return _csv(report.rows(), LAYER_COLUMNS)


def render_channels_csv(report: Report) -> str:
    """One row per channel of every measured layer; missing values are empty."""
    return _csv(report.channel_rows(), CHANNEL_COLUMNS)


def _csv(rows: list[Json], columns: list[str]) -> str:
    frame = pandas.DataFrame(rows, columns=columns)
    whole = [column for column in _WHOLE_NUMBERS if column in frame]
    text: str = frame.astype(dict.fromkeys(whole, "Int64")).to_csv(index=False, lineterminator="\n")
    return text
