"""JSON holds all that a result knows, `schema_version` 1."""

from __future__ import annotations

import json

from bncheck.encoding import harmless_json
from bncheck.render.format import Format
from bncheck.render.told import judged_report, repair_alone
from bncheck.results import COMPLETE, Difference, Json, RepairResult, Report


def of_report(report: Report) -> str:
    """One JSON document; numbers are finite or null."""
    return _text(report.to_dict())


def of_repair(repair: RepairResult) -> str:
    """The report on the repaired model, and what was done to it under `repair`."""
    report = judged_report(repair).to_dict()
    end = {COMPLETE: report.pop(COMPLETE)}  # the last key of any document
    return _text({**report, "repair": repair_alone(repair), **end})


def of_difference(difference: Difference) -> str:
    """One JSON document; numbers are finite or null."""
    return _text(difference.to_dict())


def _text(document: Json) -> str:
    return harmless_json(json.dumps(document, indent=2, allow_nan=False)) + "\n"


FORMAT = Format("json", (".json",), of_report, of_repair, of_difference)
