"""The rules as data: codes, severities, one line each, and a page each. No torch is needed to read them."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files

from bncheck.errors import UsageError
from bncheck.report import ERROR, INFO, WARNING


@dataclass(frozen=True, slots=True)
class Rule:
    """What a code stands for.

    Attributes:
        code: `BN` and three digits, the first of them the group.
        title: what is wrong, in a few words.
        severity: the highest it is given.
        needs: what it is judged by: `statistics`, `data`, `architecture`, `reference`.
        suppresses: codes that say the same less precisely, left out where this one is found.
    """

    code: str
    title: str
    severity: str
    needs: tuple[str, ...]
    suppresses: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """The rule's page, in Markdown: what, why, how it was detected, how to repair, a real thread."""
        return files(__package__).joinpath("pages", f"{self.code}.md").read_text(encoding="utf-8")


DRIFT = ("BN601", "BN602", "BN603")
"""What wrong statistics look like from the data's side: a cause known from the file alone replaces it."""
RULES = (
    Rule("BN101", "statistics missing from the checkpoint", ERROR, ("statistics", "architecture"), DRIFT),
    Rule("BN102", "statistics never updated", ERROR, ("statistics",), DRIFT),
    Rule("BN201", "statistics are not finite", ERROR, ("statistics",), DRIFT),
    Rule("BN202", "negative variance", ERROR, ("statistics",), DRIFT),
    Rule("BN403", "export and reference disagree", ERROR, ("reference",), DRIFT),
    Rule("BN600", "a layer's gap exceeds the limit that was set", ERROR, ("data",)),
    Rule("BN601", "the input is scaled otherwise than the network expects", ERROR, ("data",), ("BN603",)),
    Rule("BN602", "the input's channels are in another order", WARNING, ("data",), ("BN603",)),
    Rule("BN603", "the stored statistics do not describe this data", ERROR, ("data",)),
    Rule("BN610", "the model depends on the composition of its batches", ERROR, ("data",), ("BN603",)),
    Rule("BN701", "exported in training mode", ERROR, ("statistics",), (*DRIFT, "BN703")),
    Rule("BN703", "predictions change with batch mates", ERROR, ("data",)),
    Rule("BN705", "no stored statistics: normalization may have been folded away", INFO, ("statistics",)),
    Rule("BN706", "layer not exercised by this data", INFO, ("data",)),
    Rule("BN707", "too few samples to see a gap that matters", INFO, ("data",)),
)
GROUPS = {
    "BN1": "Absent or never learned",
    "BN2": "Values",
    "BN3": "Settings",
    "BN4": "Weights and statistics from different moments",
    "BN5": "Updates",
    "BN6": "Data against statistics",
    "BN7": "Mode and runtime",
}
SEVERITY_ORDER = {ERROR: 0, WARNING: 1, INFO: 2}


def find_rule(code: str) -> Rule:
    """The rule of that code.

    Raises:
        UsageError: there is none.
    """
    for rule in RULES:
        if rule.code == code.upper():
            return rule
    raise UsageError(f"there is no rule {code!r}{_suggestion(code)}; `bncheck rules` lists them.")


def matching(selectors: tuple[str, ...], option: str) -> frozenset[str]:
    """The codes that `selectors` (whole codes or prefixes, `BN6`) stand for.

    Raises:
        UsageError: a selector matches no rule.
    """
    codes: set[str] = set()
    for selector in selectors:
        matched = {rule.code for rule in RULES if rule.code.startswith(selector.upper())} if selector else set()
        if not matched:
            raise UsageError(
                f"{option} {selector}: no rule matches{_suggestion(selector)}; `bncheck rules` lists them."
            )
        codes |= matched
    return frozenset(codes)


def _suggestion(code: str) -> str:
    close = get_close_matches(code.upper(), [rule.code for rule in RULES], n=len(RULES))
    if not close:
        return ""
    return f" (did you mean {max(close, key=lambda known: _shared_beginning(known, code.upper()))}?)"


def _shared_beginning(one: str, other: str) -> int:
    return next((at for at in range(len(one)) if one[at] != other[at : at + 1]), len(one))
