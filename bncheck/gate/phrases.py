"""What notes say of baselines and ignores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bncheck.gate.baseline import GAP, Baseline, Comparison, Entry, is_count
from bncheck.results.finding import Finding
from bncheck.vocabulary import Worse, argument

THE_MODEL = "the model"
ACCEPTED = "Accepted "
"""How notes begin that say what was accepted; those of a report read back are told anew."""
NAMED = 5
"""How many entries a note names before it says how many more there are."""


def accepted_notes(findings: Sequence[Finding]) -> list[str]:
    """A note for every rule and reason, with the layers; many of a rule are counted."""
    together: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        together.setdefault((finding.code, str(finding.accepted)), []).extend(finding.layers)
    notes, told = [], Counter[str]()
    for (code, why), layers in together.items():
        told[code] += 1
        if told[code] <= NAMED:
            several = f" in {len(layers)} layers" if len(layers) > 1 else ""
            notes.append(f"{ACCEPTED}{code}{several or ''.join(f' in {name or THE_MODEL}' for name in layers)}: {why}")
    more = (f"{ACCEPTED}{code} {number - NAMED} more times" for code, number in told.items() if number > NAMED)
    return [*notes, *more]


def why_no_worse(before: Sequence[Entry], now: Sequence[Entry]) -> str:
    """Why a finding is accepted, all entries of which are known and no worse."""
    if len(now) > 1:
        return "in the baseline, and none of them worse"
    (was,), (entry,) = before, now
    if was.value is None or entry.value is None or was.is_incomparable_with(entry):
        return "in the baseline"
    return f"in the baseline at {amount(was.value, was.unit)}, now {amount(entry.value, entry.unit)}"


def why_worse(was: Entry, now: Entry) -> str:
    """What got worse, and by how much."""
    return f"Worse than in the baseline: {place(now)} {_change(was, now)}"


def new_note(entries: Sequence[Entry]) -> str:
    """Layers of a known finding that are new."""
    return f"Not in the baseline: {listed(entries)}"


def unfit_note(entries: Sequence[Entry]) -> str:
    """Errors that no baseline can hold."""
    return (
        f"No baseline can hold {listed(entries)}: how bad {_it(entries)} cannot be told, so nothing would show that "
        "it got worse"
    )


def gone_note(entries: Sequence[Entry], path: str) -> str:
    """What is in the baseline and was looked for in vain."""
    them = "it" if len(entries) == 1 else "them"
    return (
        f"No longer found, though in the baseline: {listed(entries)}. "
        f"Add {argument('write_baseline')} {path} to take {them} out"
    )


def earlier_note(entries: Sequence[Entry], baseline: Baseline) -> str:
    """What was compared by its severity alone, for an earlier version wrote the baseline."""
    return (
        f"{baseline.path} was written by an earlier version and does not say how bad {listed(entries)} was in the "
        f"rule's own number, so the severity alone was compared. Add {argument('write_baseline')} {baseline.path} to "
        "write how bad it is now"
    )


def listed(entries: Iterable[Entry]) -> str:
    """The first few of them, and how many more there are."""
    places = [place(entry) for entry in entries]
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return f"{', '.join(places[:NAMED])}{more}"


def place(entry: Entry) -> str:
    """The rule and the layer."""
    return f"{entry.code} in {entry.layer or THE_MODEL}"


def amount(value: float, unit: str | None) -> str:
    """A value with its unit; gaps stand alone, being what all tables are about.

    >>> amount(0.7612, "gap"), amount(64, "channel"), amount(0.1, "accuracy")
    ('0.761', '64 channels', '0.1 (accuracy)')
    """
    if unit is None or unit == GAP:
        return f"{value:.3g}"
    if is_count(unit):
        return f"{value:g} {unit}{'' if value == 1 else 's'}"
    return f"{value:.3g} ({unit})"


def _change(was: Entry, now: Entry) -> str:
    comparison = was.comparison(now)
    if comparison is Comparison.GRAVER:
        return f"was {was.severity} there, {now.severity} now"
    if was.value is None:
        told = "cannot be told now either" if now.value is None else f"is {amount(now.value, now.unit)} now"
        return f"could not be told there, and {told}"
    before = amount(was.value, was.unit)
    if now.value is None:
        return f"was {before} there, and cannot be told now"
    after = amount(now.value, now.unit)
    if comparison is Comparison.UNTOLD:
        return f"was {before} there, and is {after} now, which is another quantity"
    sign = "+" if was.worse is Worse.HIGHER else "-"
    tolerance = f" ({sign} {was.tolerance:.2g})" if was.tolerance else ""
    return f"was {before}{tolerance} there, {after} now"


def _it(entries: Sequence[Entry]) -> str:
    return "it is" if len(entries) == 1 else "they are"
