"""The baseline: findings that are known, and how bad they were when they were accepted.

A file of JSON with one finding and layer a line, sorted, so that its history reads well::

    {
      "bncheck_baseline": 1,
      "findings": [
        {"code": "BN603", "layer": "stem.bn", "severity": "warning", "value": 0.7612, "tolerance": 0.077}
      ]
    }
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bncheck.errors import UnreadableError, UsageError
from bncheck.results.finding import Finding
from bncheck.results.report import INFO, MEASURED, SEVERITIES, LayerReport, Report
from bncheck.rules.catalogue import SEVERITY_ORDER
from bncheck.vocabulary import Severity

VERSION = 1
RELATIVE, NOISES, SMALLEST = 0.1, 3.0, 0.01
"""What a value may grow by unless the file says otherwise: the largest of a tenth, three times the noise, and this."""
_DIGITS = 4

Key = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A known finding in one layer.

    Attributes:
        code: of the rule.
        layer: its name, `None` for a finding of the whole model.
        severity: it was accepted with; a graver one is worse.
        value: the gap it was accepted with; `None` where nothing was measured.
        tolerance: how much more is no worse.
    """

    code: str
    layer: str | None
    severity: Severity
    value: float | None = None
    tolerance: float = 0.0

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.code, self.layer

    def admits(self, now: Entry) -> bool:
        """Whether `now` is no worse; a value that can no longer be told is."""
        if SEVERITY_ORDER[now.severity] < SEVERITY_ORDER[self.severity]:
            return False
        if self.value is None:
            return True
        return now.value is not None and now.value <= self.value + self.tolerance


@dataclass(frozen=True, slots=True)
class Baseline:
    """The entries of a file; those of a new one are what this very run found."""

    path: str
    entries: tuple[Entry, ...]
    is_new: bool = False

    def by_key(self) -> dict[Key, Entry]:
        """Each under its rule and layer."""
        return {entry.key: entry for entry in self.entries}


def entries_of(finding: Finding, report: Report) -> tuple[Entry, ...]:
    """The finding as entries: one for each layer it is about, or one for the whole model."""
    layers = {layer.name: layer for layer in report.layers}
    names: tuple[str | None, ...] = tuple(dict.fromkeys(finding.layers)) or (None,)
    return tuple(
        _entry(finding, name, None if name is None else layers.get(name), _value(finding, name, layers, report))
        for name in names
    )


def accepted_now(report: Report) -> tuple[Entry, ...]:
    """Every error and warning of the report that is not accepted for another reason."""
    counting = [found for found in report.findings if found.severity != INFO and found.accepted is None]
    return tuple({entry.key: entry for finding in counting for entry in entries_of(finding, report)}.values())


def read_baseline(path: str | Path) -> Baseline:
    """The baseline in a file.

    Raises:
        UsageError: there is no such file.
        UnreadableError: it holds no baseline.
    """
    name = str(path)
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            f"--baseline {name}: there is no such file. The first time, add --write-baseline {name}: "
            "it is made of what is found now."
        ) from error
    except OSError as error:
        raise UnreadableError(f"{name} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UnreadableError(f"{name} is no baseline: it is not JSON ({error}).") from error
    if not isinstance(document, dict) or document.get("bncheck_baseline") != VERSION:
        raise UnreadableError(f'{name} is no baseline of this bncheck: it lacks {{"bncheck_baseline": {VERSION}}}.')
    findings = document.get("findings")
    if not isinstance(findings, list):
        raise UnreadableError(f"{name}: findings should be a list.")
    return Baseline(name, tuple(_read(item, f"{name}: findings[{at}]") for at, item in enumerate(findings)))


def baseline_text(entries: Iterable[Entry]) -> str:
    """The file that holds these entries."""
    ordered = sorted(entries, key=lambda entry: (entry.code, entry.layer is not None, entry.layer or ""))
    lines = ",\n".join(f"    {json.dumps(_document(entry), ensure_ascii=False)}" for entry in ordered)
    listed = f"[\n{lines}\n  ]" if lines else "[]"
    return f'{{\n  "bncheck_baseline": {VERSION},\n  "findings": {listed}\n}}\n'


def _entry(finding: Finding, name: str | None, layer: LayerReport | None, value: float | None) -> Entry:
    if value is None:
        return Entry(finding.code, name, finding.severity)
    noise = layer.noise if layer is not None and layer.noise is not None and math.isfinite(layer.noise) else 0.0
    tolerance = max(RELATIVE * abs(value), NOISES * noise, SMALLEST)
    return Entry(finding.code, name, finding.severity, _rounded(value, _DIGITS), _rounded(tolerance, 2))


def _value(finding: Finding, name: str | None, layers: Mapping[str, LayerReport], report: Report) -> float | None:
    """How bad it is: the finding's own gap in that layer, else the layer's; for the model, its own or the model's."""
    evidence = finding.evidence
    gaps, listed = evidence.get("gaps"), evidence.get("layers")
    if isinstance(gaps, list | tuple) and isinstance(listed, list | tuple) and len(gaps) == len(listed) and name:
        return _finite(dict(zip(listed, gaps, strict=True)).get(name))
    if name is None:
        own = evidence.get("gap", evidence.get("output_change"))
        return _finite(report.summary.gap if own is None else own)
    layer = layers.get(name)
    return _finite(layer.gap) if layer is not None and layer.status == MEASURED else None


def _finite(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if number else None


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _document(entry: Entry) -> dict[str, Any]:
    document: dict[str, Any] = {"code": entry.code, "layer": entry.layer, "severity": entry.severity}
    return document if entry.value is None else document | {"value": entry.value, "tolerance": entry.tolerance}


def _read(item: object, place: str) -> Entry:
    if not isinstance(item, dict):
        raise UnreadableError(f"{place} should be an object with code, layer and severity.")
    unknown = item.keys() - {"code", "layer", "severity", "value", "tolerance"}
    if unknown:
        raise UnreadableError(f"{place} has {sorted(unknown)[0]!r}, which no baseline has.")
    code, layer, severity = item.get("code"), item.get("layer"), item.get("severity")
    value, tolerance = item.get("value"), item.get("tolerance", 0.0)
    if not isinstance(code, str) or not isinstance(layer, str | None) or severity not in SEVERITIES:
        raise UnreadableError(f"{place} should have a code, a layer (null: the whole model) and a severity.")
    if (value is not None and _finite(value) is None) or _finite(tolerance) is None:
        raise UnreadableError(f"{place}: value and tolerance should be numbers.")
    return Entry(code, layer, Severity(severity), value, float(tolerance))
