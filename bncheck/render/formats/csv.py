"""CSV has one row per layer, of a difference one per tensor too; missing values are empty."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from bncheck.render.format import Format
from bncheck.render.told import judged_report
from bncheck.render.words.cells import printable
from bncheck.render.words.judged import concerning, layer_verdict
from bncheck.results import (
    COLUMNS,
    DRIFT_COLUMNS,
    LAYER_COLUMNS,
    Difference,
    Json,
    LayerRepair,
    RepairResult,
    Report,
    drift_cells,
    finite,
)

_WHOLE_NUMBERS = (
    *("channels", "calls", "stored_updates", "worst_channel", "channel"),
    *("updates_before", "updates_after"),
)
_FORMULAS = ("=", "+", "-", "@", "::", "##")
"""How formulas begin in spreadsheets, and commands on the pages of CI servers, which read what goes to stdout; what
begins with a tab or CR has lost it by then."""
_REPAIR_COLUMNS = [f"repair_{field.name}" for field in fields(LayerRepair) if field.name != "name"]


def of_report(report: Report) -> str:
    """One row per layer."""
    return csv_text(*table_of(report))


def table_of(report: Report) -> tuple[list[Json], list[str]]:
    """One row per layer and the columns: the JSON's fields, the verdict as a terminal has it, and drift if there is."""
    findings, margin = concerning(report), report.run.thresholds["margin"]
    rows = [
        {**row, "verdict": layer_verdict(layer, findings.get(layer.name, ()), margin)}
        for row, layer in zip(report.rows(), report.layers, strict=True)
    ]
    if report.drift is None:
        return rows, [*LAYER_COLUMNS, "verdict"]
    drift = drift_cells(report.drift)
    return [{**row, **drift.get(row["name"], {})} for row in rows], [*LAYER_COLUMNS, "verdict", *DRIFT_COLUMNS]


def of_repair(repair: RepairResult) -> str:
    """One row per layer of the repaired model, with what the repair did to it in the last columns."""
    table, columns = table_of(judged_report(repair))
    done = {layer.name: asdict(layer) for layer in repair.layers}
    rows = [
        {**row, **{f"repair_{name}": finite(value) for name, value in done.get(row["name"], {}).items()}}
        for row in table
    ]
    return csv_text(rows, [*columns, *_REPAIR_COLUMNS])


def of_difference(difference: Difference) -> str:
    """One row for every layer and every other tensor."""
    return csv_text(difference.rows(), COLUMNS)


def csv_text(rows: list[Json], columns: list[str]) -> str:
    """The rows as CSV, whole numbers without a point, and texts that are nothing else to whoever opens it."""
    import pandas

    harmless = [{name: _harmless(value) for name, value in row.items()} for row in rows]
    frame = pandas.DataFrame(harmless, columns=columns)
    whole = [column for column in _WHOLE_NUMBERS if column in frame]
    text: str = frame.astype(dict.fromkeys(whole, "Int64")).to_csv(index=False, lineterminator="\n")
    return text


def _harmless(value: Any) -> Any:
    """A text without control characters, a bare CR among them, and not taken for a formula by a spreadsheet.

    Names come from model files. One that begins as formulas do gets an apostrophe before it, as OWASP recommends.
    """
    if not isinstance(value, str):
        return value
    text = printable(value).replace("\n", "\ufffd")
    return f"'{text}" if text.lstrip().startswith(_FORMULAS) else text


FORMAT = Format("csv", (".csv",), of_report, of_repair, of_difference)
