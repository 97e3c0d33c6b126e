"""The baseline: findings that are known, and how bad they were when they were accepted.

How bad a finding is says its `measure`, in the rule's own number; nothing else of it is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from bncheck.core import THRESHOLDS
from bncheck.results import GAP, INFO, Finding, Measure, Report, is_count
from bncheck.vocabulary import Severity, Worse

_DIGITS = 4

Key = tuple[str, str | None]


class Comparison(Enum):
    """How a finding stands to what is known of it."""

    NO_WORSE = "no worse"
    GRAVER = "graver"
    """Its severity is."""
    WORSE = "worse"
    """Its value is, by more than the tolerance."""
    UNTOLD = "untold"
    """It cannot be told: a value is lacking, or another quantity was measured."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A known finding in one layer.

    Attributes:
        code: of the rule.
        layer: its name, `None` for a finding of the whole model.
        severity: it was accepted with; a graver one is worse.
        value: it was accepted with; `None` where it could not be told.
        tolerance: how much worse is no worse.
        unit: of the value; `None` in files of version 1, which do not say what they measured.
        worse: whether a higher or a lower value is worse.
    """

    code: str
    layer: str | None
    severity: Severity
    value: float | None = None
    tolerance: float = 0.0
    unit: str | None = None
    worse: Worse = Worse.HIGHER

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.code, self.layer

    def is_incomparable_with(self, now: Entry) -> bool:
        """Whether it is of version 1, and what it may hold as a value is none of what is measured now."""
        return self.with_unit(now) is None

    def excess(self, value: float) -> float:
        """By how much that value is worse; negative where it is better."""
        return _excess(self.worse, value, self.value or 0.0)

    def comparison(self, now: Entry) -> Comparison:
        """How `now` stands to this.

        A value that cannot be told admits no error, whether it is lacking here or there; a warning only where it was
        lacking already. An entry of version 1 says no unit: where gaps are measured now its value is one, else it is
        no value of the same quantity, and the severity alone is compared.
        """
        if now.severity.rank < self.severity.rank:
            return Comparison.GRAVER
        known = self.with_unit(now)
        if known is None:
            return Comparison.NO_WORSE
        if known.unit != now.unit or known.worse != now.worse:
            return Comparison.UNTOLD
        if known.value is None or now.value is None:
            lacking_before = known.value is None and now.severity is not Severity.ERROR
            return Comparison.NO_WORSE if lacking_before else Comparison.UNTOLD
        return Comparison.NO_WORSE if known.excess(now.value) <= known.tolerance else Comparison.WORSE

    def admits(self, now: Entry) -> bool:
        """Whether `now` is no worse."""
        return self.comparison(now) is Comparison.NO_WORSE

    def with_unit(self, now: Entry) -> Entry | None:
        """The entry with its unit; `None` where it says none and nothing of it can be compared but the severity.

        Values of version 1 were gaps. Where a rule's own number is a gap they are that; elsewhere they were the gap
        of a layer that has something else.
        """
        if self.unit is not None:
            return self
        if self.value is None or now.unit != GAP:
            return None
        return Entry(self.code, self.layer, self.severity, self.value, self.tolerance, GAP)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The entries of a file; those of a new one are what this very run found."""

    path: str
    entries: tuple[Entry, ...]
    is_new: bool = False

    def by_key(self) -> dict[Key, Entry]:
        """Each under its rule and layer."""
        return {entry.key: entry for entry in self.entries}


def entries_of(finding: Finding) -> tuple[Entry, ...]:
    """The finding as entries: one for each layer it is about, or one for the whole model."""
    names: tuple[str | None, ...] = tuple(dict.fromkeys(finding.layers)) or (None,)
    return tuple(_entry(finding, name) for name in names)


def current_entries(findings: Iterable[Finding]) -> dict[Key, Entry]:
    """The entries of findings, each under its key; of several findings of a rule in a layer the worst."""
    entries: dict[Key, Entry] = {}
    for finding in findings:
        for entry in entries_of(finding):
            known = entries.get(entry.key)
            if known is None or _is_worse(entry, known):
                entries[entry.key] = entry
    return entries


def accepted_now(report: Report) -> tuple[Entry, ...]:
    """Every error and warning of the report that a baseline can hold and that is not accepted for another reason."""
    counting = [found for found in report.findings if found.severity != INFO and found.accepted is None]
    return tuple(entry for entry in current_entries(counting).values() if entry.admits(entry))


def _entry(finding: Finding, name: str | None) -> Entry:
    measure = finding.measure
    value = _finite(measure.at(name))
    if value is None:
        return Entry(finding.code, name, finding.severity, None, 0.0, measure.unit, measure.worse)
    exact = is_count(measure.unit)
    rounded = value if exact else _rounded(value, _DIGITS)
    return Entry(finding.code, name, finding.severity, rounded, _tolerance(measure, value), measure.unit, measure.worse)


def _tolerance(measure: Measure, value: float) -> float:
    """Tell how much worse is no worse: what is counted is exact, what is stored near so, what is measured has noise."""
    noise = _finite(measure.noise) or 0.0
    if is_count(measure.unit):
        return _rounded(THRESHOLDS.baseline_noises * noise, 2)
    return _rounded(
        max(
            THRESHOLDS.baseline_relative * abs(value),
            THRESHOLDS.baseline_noises * noise,
            THRESHOLDS.baseline_smallest if measure.noise else 0.0,
        ),
        2,
    )


def _is_worse(entry: Entry, known: Entry) -> bool:
    if entry.severity != known.severity:
        return entry.severity.rank < known.severity.rank
    if entry.value is None or known.value is None:
        return entry.value is None
    return known.excess(entry.value) > 0


def _excess(worse: Worse, value: float, known: float) -> float:
    return value - known if worse is Worse.HIGHER else known - value


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
