"""What is known and fails nothing: layers ignored for a reason, findings of a baseline that are no worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

from bncheck.gate.again import settled
from bncheck.gate.baseline import Baseline, Comparison, Entry, current_entries, entries_of
from bncheck.results import (
    INCONCLUSIVE,
    INFO,
    NAMED,
    NOT_CHECKED,
    SKIPPED,
    Accepted,
    AcceptedMore,
    EarlierBaseline,
    Finding,
    GraverThanBaseline,
    NoLongerFound,
    Note,
    NotInBaseline,
    Place,
    Report,
    UnfitForBaseline,
    UntoldInBaseline,
    UnusedIgnore,
    WorseThanBaseline,
    amount,
)
from bncheck.rules import RULES, judged_rules
from bncheck.settings import LayerIgnore


def accept(report: Report, ignores: Sequence[LayerIgnore] = (), baseline: Baseline | None = None) -> Report:
    """The report with what is known marked as accepted, and the exit code that is left.

    A finding of several layers is accepted only if all of them are. What of the ignores and the baseline is of no
    use any more stands in the notes.
    """
    notes: list[Note] = []
    findings = [_ignored(finding, ignores) for finding in report.findings]
    if baseline is not None:
        findings = [_known(finding, baseline, notes) for finding in findings]
        notes += _about(baseline, findings, report)
    report = _untold(report)  # a saved one says what it accepted; findings of it may be gone
    accepted = _told([finding for finding in findings if finding.accepted is not None])
    unused = [_unused(ignore, report) for ignore in ignores if _is_unused(ignore, report)]
    return settled(report, findings, (*accepted, *notes, *unused))


def unaccepted(report: Report) -> Report:
    """The report as it was before anything in it was accepted, to be judged by another baseline."""
    findings = tuple(replace(finding, accepted=None) for finding in report.findings)
    return replace(_untold(report), findings=findings)


def shrunk(report: Report, baseline: Baseline) -> tuple[Entry, ...]:
    """The baseline without what is gone, and with what got better as it is now; nothing is added to it.

    Values within their tolerance stay as they are, so that the file does not change with the noise.
    """
    current, gone = current_entries(report.findings), set(gone_from(report, baseline))
    return tuple(_tightened(entry, current.get(entry.key)) for entry in baseline.entries if entry not in gone)


def gone_from(report: Report, baseline: Baseline) -> tuple[Entry, ...]:
    """Entries that were looked for and not found; what this run could not have found is not among them."""
    if report.summary.verdict in (INCONCLUSIVE, NOT_CHECKED):
        return ()
    current = current_entries(report.findings)
    hidden = {
        code for rule in RULES for code in rule.suppresses if any(found.code == rule.code for found in report.findings)
    }
    judged = {rule.code: "statistics" in rule.needs for rule in judged_rules(report)}
    unseen = {layer.name for layer in report.layers if layer.status == SKIPPED}

    def was_looked_for(entry: Entry) -> bool:
        by_values = judged.get(entry.code)
        return by_values is not None and entry.code not in hidden and (by_values or entry.layer not in unseen)

    return tuple(entry for entry in baseline.entries if entry.key not in current and was_looked_for(entry))


def _tightened(entry: Entry, now: Entry | None) -> Entry:
    """The entry as it is to be kept; one of an earlier version gets what is measured now, if it can be held."""
    if now is None or not (entry.admits(now) and now.admits(now)):
        return entry
    known = entry.with_unit(now)
    if known is None:
        return now
    if known.value is None or now.value is None or known.excess(now.value) >= -known.tolerance:
        return known
    return now


def _ignored(finding: Finding, ignores: Sequence[LayerIgnore]) -> Finding:
    reasons = []
    for layer in finding.layers:
        ignore = next((ignore for ignore in ignores if ignore.covers(finding.code, layer)), None)
        if ignore is None:
            return finding
        reasons.append(ignore.reason + (f" ({ignore.source})" if ignore.source else ""))
    return _accepted(finding, f"ignored, {'; '.join(dict.fromkeys(reasons))}") if reasons else finding


def _known(finding: Finding, baseline: Baseline, notes: list[Note]) -> Finding:
    if finding.accepted is not None or finding.severity == INFO:
        return finding
    known, now = baseline.by_key(), entries_of(finding)
    worse = [entry for entry in now if entry.key in known and not known[entry.key].admits(entry)]
    new = [entry for entry in now if entry.key not in known]
    notes += [_worse(known[entry.key], entry) for entry in worse[:NAMED]]
    if baseline.is_new and new:
        notes.append(UnfitForBaseline(_places(new)))
    elif new and len(new) < len(now):
        notes.append(NotInBaseline(_places(new)))
    if worse or new:
        return finding
    why = "new in the baseline" if baseline.is_new else _no_worse([known[entry.key] for entry in now], now)
    return _accepted(finding, why)


def _about(baseline: Baseline, findings: Sequence[Finding], report: Report) -> list[Note]:
    """What of the baseline is gone, and what was compared by less than it should be."""
    notes: list[Note] = []
    known = baseline.by_key()
    now = [entry for finding in findings if finding.severity != INFO for entry in entries_of(finding)]
    by_severity = [entry for entry in now if entry.key in known and known[entry.key].is_incomparable_with(entry)]
    if by_severity:
        notes.append(EarlierBaseline(_places(by_severity), baseline.path))
    gone = gone_from(report, baseline)
    if gone:
        notes.append(NoLongerFound(_places(gone), baseline.path))
    return notes


def _accepted(finding: Finding, why: str) -> Finding:
    return replace(finding, accepted=why)


def _told(findings: Sequence[Finding]) -> list[Note]:
    """A note for every rule and reason, with the layers; many of a rule are counted."""
    together: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        together.setdefault((finding.code, str(finding.accepted)), []).extend(finding.layers)
    notes: list[Note] = []
    told = Counter[str]()
    for (code, why), layers in together.items():
        told[code] += 1
        if told[code] <= NAMED:
            notes.append(Accepted(code, tuple(layers), why))
    return [*notes, *(AcceptedMore(code, number - NAMED) for code, number in told.items() if number > NAMED)]


def _untold(report: Report) -> Report:
    return replace(report, run=replace(report.run, noted=tuple(note for note in report.run.noted if not note.accepts)))


def _no_worse(before: Sequence[Entry], now: Sequence[Entry]) -> str:
    if len(now) > 1:
        return "in the baseline, and none of them worse"
    (was,), (entry,) = before, now
    if was.value is None or entry.value is None or was.is_incomparable_with(entry):
        return "in the baseline"
    return f"in the baseline at {amount(was.value, was.unit)}, now {amount(entry.value, entry.unit)}"


def _worse(was: Entry, now: Entry) -> Note:
    comparison = was.comparison(now)
    if comparison is Comparison.GRAVER:
        return GraverThanBaseline(now.code, now.layer, was.severity, now.severity)
    if comparison is Comparison.UNTOLD or was.value is None or now.value is None or now.unit is None:
        return UntoldInBaseline(now.code, now.layer, was.value, was.unit, now.value, now.unit)
    return WorseThanBaseline(now.code, now.layer, was.value, now.value, now.unit, was.tolerance, was.worse)


def _places(entries: Iterable[Entry]) -> tuple[Place, ...]:
    return tuple(entry.key for entry in entries)


def _is_unused(ignore: LayerIgnore, report: Report) -> bool:
    """Whether the rules it is about were judged, and found nothing in its layers."""
    if report.summary.verdict in (INCONCLUSIVE, NOT_CHECKED):
        return False
    if not any(rule.code.startswith(ignore.codes) for rule in judged_rules(report)):
        return False
    return not any(ignore.covers(finding.code, layer) for finding in report.findings for layer in finding.layers)


def _unused(ignore: LayerIgnore, report: Report) -> Note:
    names = [layer.name for layer in report.layers]
    named = any(fnmatchcase(name, ignore.layer) for name in names)
    nearest = None if named else next(iter(get_close_matches(ignore.layer, names, n=1)), None)
    return UnusedIgnore(ignore.codes, ignore.layer, ignore.reason, ignore.source, named, nearest)
