"""What is known and fails nothing: layers ignored for a reason, findings of a baseline that are no worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

from bncheck.gate.again import settled
from bncheck.gate.baseline import Baseline, Entry, Key, entries_of
from bncheck.results.finding import Finding
from bncheck.results.report import INCONCLUSIVE, INFO, NOT_CHECKED, SKIPPED, Report
from bncheck.rules.catalogue import RULES
from bncheck.rules.judged import judged_rules

THE_MODEL = "the model"
_TOLD = "Accepted "
NAMED = 5
"""How many entries a note names before it says how many more there are."""


@dataclass(frozen=True, slots=True)
class LayerIgnore:
    """Findings that are meant to be there.

    Attributes:
        layer: names of layers, with `*` and `?`.
        codes: of rules, whole or prefixes.
        reason: why.
        source: the file that says so.
    """

    layer: str
    codes: tuple[str, ...]
    reason: str
    source: str = ""

    def covers(self, code: str, layer: str) -> bool:
        """Whether it speaks of that finding in that layer."""
        return code.startswith(self.codes) and fnmatchcase(layer, self.layer)


def accept(report: Report, ignores: Sequence[LayerIgnore] = (), baseline: Baseline | None = None) -> Report:
    """The report with what is known marked as accepted, and the exit code that is left.

    A finding of several layers is accepted only if all of them are. What of the ignores and the baseline is of no
    use any more stands in the notes.
    """
    notes: list[str] = []
    findings = [_ignored(finding, ignores) for finding in report.findings]
    if baseline is not None:
        findings = [_known(finding, report, baseline, notes) for finding in findings]
        notes += _no_longer_found(report, baseline)
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
    current, gone = _current(report), set(gone_from(report, baseline))
    return tuple(_tightened(entry, current.get(entry.key)) for entry in baseline.entries if entry not in gone)


def gone_from(report: Report, baseline: Baseline) -> tuple[Entry, ...]:
    """Entries that were looked for and not found; what this run could not have found is not among them."""
    if report.summary.verdict in (INCONCLUSIVE, NOT_CHECKED):
        return ()
    current = _current(report)
    hidden = {
        code for rule in RULES for code in rule.suppresses if any(found.code == rule.code for found in report.findings)
    }
    judged = {rule.code: "statistics" in rule.needs for rule in judged_rules(report)}
    unseen = {layer.name for layer in report.layers if layer.status == SKIPPED}

    def was_looked_for(entry: Entry) -> bool:
        by_values = judged.get(entry.code)
        return by_values is not None and entry.code not in hidden and (by_values or entry.layer not in unseen)

    return tuple(entry for entry in baseline.entries if entry.key not in current and was_looked_for(entry))


def _current(report: Report) -> dict[Key, Entry]:
    return {entry.key: entry for finding in report.findings for entry in entries_of(finding, report)}


def _tightened(entry: Entry, now: Entry | None) -> Entry:
    if now is None or now.value is None or entry.value is None or now.value >= entry.value - entry.tolerance:
        return entry
    return now


def _ignored(finding: Finding, ignores: Sequence[LayerIgnore]) -> Finding:
    reasons = []
    for layer in finding.layers:
        ignore = next((ignore for ignore in ignores if ignore.covers(finding.code, layer)), None)
        if ignore is None:
            return finding
        reasons.append(ignore.reason + (f" ({ignore.source})" if ignore.source else ""))
    return _accepted(finding, f"ignored, {'; '.join(dict.fromkeys(reasons))}") if reasons else finding


def _known(finding: Finding, report: Report, baseline: Baseline, notes: list[str]) -> Finding:
    if finding.accepted is not None or finding.severity == INFO:
        return finding
    known, now = baseline.by_key(), entries_of(finding, report)
    worse = [entry for entry in now if entry.key in known and not known[entry.key].admits(entry)]
    new = [entry for entry in now if entry.key not in known]
    notes += [_worse(known[entry.key], entry) for entry in worse[:NAMED]]
    if new and len(new) < len(now):
        notes.append(f"Not in the baseline: {_listed(new)}")
    if worse or new:
        return finding
    why = "new in the baseline" if baseline.is_new else _no_worse([known[entry.key] for entry in now], now)
    return _accepted(finding, why)


def _accepted(finding: Finding, why: str) -> Finding:
    return replace(finding, accepted=why)


def _told(findings: Sequence[Finding]) -> list[str]:
    """A note for every rule and reason, with the layers; many of a rule are counted."""
    together: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        together.setdefault((finding.code, str(finding.accepted)), []).extend(finding.layers)
    notes, told = [], Counter[str]()
    for (code, why), layers in together.items():
        told[code] += 1
        if told[code] <= NAMED:
            several = f" in {len(layers)} layers" if len(layers) > 1 else ""
            notes.append(f"{_TOLD}{code}{several or ''.join(f' in {name or THE_MODEL}' for name in layers)}: {why}")
    return [*notes, *(f"{_TOLD}{code} {number - NAMED} more times" for code, number in told.items() if number > NAMED)]


def _untold(report: Report) -> Report:
    notes = tuple(note for note in report.run.notes if not note.startswith(_TOLD))
    return replace(report, run=replace(report.run, notes=notes))


def _no_worse(before: Sequence[Entry], now: Sequence[Entry]) -> str:
    if len(now) > 1:
        return "in the baseline, and none of them worse"
    (was,), (entry,) = before, now
    if was.value is None or entry.value is None:
        return "in the baseline"
    return f"in the baseline at {was.value:.3g}, now {entry.value:.3g}"


def _worse(was: Entry, now: Entry) -> str:
    place = _place(now)
    if was.severity != now.severity and was.value is not None and was.admits(replace(now, severity=was.severity)):
        return f"Worse than in the baseline: {place} was {was.severity} there, {now.severity} now"
    if now.value is None:
        return f"Worse than in the baseline: {place} was {was.value:.3g} there, and cannot be told now"
    if was.value is None:
        return f"Worse than in the baseline: {place} was {was.severity} there, {now.severity} now"
    return f"Worse than in the baseline: {place} was {was.value:.3g} (+ {was.tolerance:.2g}) there, {now.value:.3g} now"


def _no_longer_found(report: Report, baseline: Baseline) -> list[str]:
    gone = gone_from(report, baseline)
    if not gone:
        return []
    return [
        f"No longer found, though in the baseline: {_listed(gone)}. Add --write-baseline {baseline.path} to take "
        f"{'it' if len(gone) == 1 else 'them'} out"
    ]


def _is_unused(ignore: LayerIgnore, report: Report) -> bool:
    """Whether the rules it is about were judged, and found nothing in its layers."""
    if report.summary.verdict in (INCONCLUSIVE, NOT_CHECKED):
        return False
    if not any(rule.code.startswith(ignore.codes) for rule in judged_rules(report)):
        return False
    return not any(ignore.covers(finding.code, layer) for finding in report.findings for layer in finding.layers)


def _unused(ignore: LayerIgnore, report: Report) -> str:
    source = f" of {ignore.source}" if ignore.source else ""
    told = f"the ignore{source} for {', '.join(ignore.codes)} in {ignore.layer} ({ignore.reason})"
    names = [layer.name for layer in report.layers]
    if any(fnmatchcase(name, ignore.layer) for name in names):
        return f"Of no use any more: {told}"
    close = get_close_matches(ignore.layer, names, n=1)
    return f"Of no use: {told}; no layer has such a name{f', {close[0]!r} is the nearest' if close else ''}"


def _listed(entries: Iterable[Entry]) -> str:
    places = [_place(entry) for entry in entries]
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return f"{', '.join(places[:NAMED])}{more}"


def _place(entry: Entry) -> str:
    return f"{entry.code} in {entry.layer or THE_MODEL}"
