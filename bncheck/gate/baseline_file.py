"""The file of a baseline: JSON with one finding and layer a line, sorted, so that its history reads well.

::

    {
      "bncheck_baseline": 2,
      "findings": [
        {"code": "BN603", "layer": "stem.bn", "severity": "warning", "value": 0.7612, "unit": "gap", "tolerance": 0.077}
      ]
    }

What is better the higher it is says so: `"worse": "lower"`. Files of version 1 are read; their entries have no unit,
see `Entry.comparison`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from bncheck.errors import UsageError
from bncheck.gate.baseline import Baseline, Entry
from bncheck.results import MisfitError, Origin, Written, decoded, encoded, json_in
from bncheck.vocabulary import Severity, Worse, argument

VERSION, READ = 2, (1, 2)
_KEY = "bncheck_baseline"


def _require_tolerance(line: _Line) -> _Line:
    """Null stands for what is not finite, and nothing is within that."""
    if math.isnan(line.tolerance):
        raise MisfitError("a number", None).within("tolerance")
    return line


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """An entry as the file holds it."""

    code: str
    layer: str | None = None
    severity: Severity
    value: float | None = None
    unit: str | None = None
    tolerance: float = 0.0
    worse: Worse = Worse.HIGHER

    __json__: ClassVar = Written(
        added=frozenset({"layer", "value", "unit", "tolerance", "worse"}),
        closed=True,
        settled=_require_tolerance,
    )


@dataclass(frozen=True, slots=True)
class _File:
    """What the file holds beside its version."""

    findings: tuple[_Line, ...]


def read_baseline(path: str | Path) -> Baseline:
    """The baseline in a file.

    Raises:
        UsageError: there is no such file.
        UnreadableError: it holds no baseline.
    """
    name = str(path)
    origin = Origin(name, "baseline")
    try:
        document = json_in(path, origin)
    except FileNotFoundError as error:
        raise UsageError(
            f"{argument('baseline')} {name}: there is no such file. The first time, add "
            f"{argument('write_baseline')} {name}: it is made of what is found now."
        ) from error
    version = document.get(_KEY) if isinstance(document, Mapping) else None
    if type(version) is not int or version not in READ:
        raise origin.is_none(
            f'it lacks {{"{_KEY}": {VERSION}}}'
            if version is None
            else f'it has {{"{_KEY}": {json.dumps(version)[:40]}}}, and this bncheck reads 1 and 2'
        )
    read = decoded(_File, document, origin)
    return Baseline(name, tuple(_entry_of(line) for line in read.findings))


def baseline_text(entries: Iterable[Entry]) -> str:
    """The file that holds these entries."""
    ordered = sorted(entries, key=lambda entry: (entry.code, entry.layer is not None, entry.layer or ""))
    lines = ",\n".join(f"    {json.dumps(_document(entry), ensure_ascii=False)}" for entry in ordered)
    listed = f"[\n{lines}\n  ]" if lines else "[]"
    return f'{{\n  "{_KEY}": {VERSION},\n  "findings": {listed}\n}}\n'


def _entry_of(line: _Line) -> Entry:
    return Entry(line.code, line.layer, line.severity, line.value, line.tolerance, line.unit, line.worse)


def _document(entry: Entry) -> dict[str, Any]:
    """The line of an entry, without what is usual."""
    line = _Line(
        code=entry.code,
        layer=entry.layer,
        severity=entry.severity,
        value=entry.value,
        unit=entry.unit,
        tolerance=entry.tolerance,
        worse=entry.worse,
    )
    document: dict[str, Any] = {
        key: value for key, value in encoded(line).items() if key == "layer" or value is not None
    }
    if entry.worse is Worse.HIGHER:
        del document["worse"]
    if entry.value is None:
        del document["tolerance"]
    return document
