"""The rules as data: codes, severities, one line each, and a page each. No torch is needed to read them."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files

from bncheck.errors import UsageError
from bncheck.results.report import ERROR, INFO, WARNING
from bncheck.vocabulary import Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """What a code stands for.

    Attributes:
        code: `BN` and three digits, the first of them the group.
        title: what is wrong, in a few words.
        severity: the highest it is given.
        needs: what it is judged by: `statistics`, `data`, `training data`, `architecture`, `reference`,
            `expectation` (what the user says must hold).
        suppresses: codes that say the same less precisely, left out where this one is found.
    """

    code: str
    title: str
    severity: Severity
    needs: tuple[str, ...]
    suppresses: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """The rule's page, in Markdown: what, why, how it was detected, how to repair, a real thread."""
        return files(__package__).joinpath("pages", f"{self.code}.md").read_text(encoding="utf-8")


OF_LAYERS = ("BN603", "BN607", "BN611")
"""What shows in single layers when the input or the sampling is at fault."""
DRIFT = ("BN601", "BN602", "BN608", *OF_LAYERS)
"""What statistics that are wrong in themselves show on data; the rule that knows why replaces these."""

RULES = (
    Rule("BN101", "statistics missing from the checkpoint", ERROR, ("statistics", "architecture"), DRIFT),
    Rule("BN102", "statistics never updated", ERROR, ("statistics",), DRIFT),
    Rule("BN103", "statistics of dummy forwards alone", WARNING, ("statistics",), DRIFT),
    Rule("BN104", "the update counter contradicts the statistics", INFO, ("statistics",)),
    Rule("BN105", "statistics not burnt in", WARNING, ("statistics",), DRIFT),
    Rule("BN201", "statistics are not finite", ERROR, ("statistics",), DRIFT),
    Rule("BN202", "negative variance", ERROR, ("statistics",), DRIFT),
    Rule("BN203", "near-zero variance", WARNING, ("statistics", "data"), DRIFT),
    Rule("BN204", "outside the range of half precision", ERROR, ("statistics",)),
    Rule("BN205", "statistics stored in half precision", WARNING, ("statistics", "data"), DRIFT),
    Rule("BN206", "means so large that float32 variances cancel", WARNING, ("statistics", "data"), ("BN203", *DRIFT)),
    Rule("BN301", "momentum of the other convention, or 0", WARNING, ("architecture",)),
    Rule("BN302", "eps decides the output", WARNING, ("architecture", "data"), DRIFT),
    Rule("BN303", "BatchNorm without statistics by configuration", WARNING, ("architecture",), ("BN703",)),
    Rule(
        "BN401",
        "averaged weights with statistics of another model",
        ERROR,
        ("statistics", "data"),
        ("BN102", "BN103", *DRIFT),
    ),
    Rule("BN402", "frozen layers whose statistics moved", WARNING, ("reference", "expectation")),
    Rule("BN403", "export and reference disagree", ERROR, ("reference",), DRIFT),
    Rule("BN501", "layers updated a whole factor more often", WARNING, ("statistics", "data")),
    Rule("BN600", "a layer's gap exceeds the limit that was set", ERROR, ("data",)),
    Rule(
        "BN601",
        "the input is scaled otherwise than the network expects",
        ERROR,
        ("data",),
        ("BN608", "BN610", *OF_LAYERS),
    ),
    Rule("BN602", "the input's channels are in another order", WARNING, ("data",), ("BN608", "BN610", *OF_LAYERS)),
    Rule("BN603", "the stored statistics do not describe this data", ERROR, ("data",)),
    Rule("BN604", "one layer serves several distributions", WARNING, ("data",)),
    Rule("BN605", "batches are not exchangeable", WARNING, ("data", "training data")),
    Rule("BN606", "padding dominates a layer's input", INFO, ("data",)),
    Rule("BN607", "a layer's own statistics are wrong", ERROR, ("data",), ("BN603", "BN608")),
    Rule("BN608", "the statistics lag behind the data's", WARNING, ("data",), ("BN603",)),
    Rule("BN609", "batches too small for their statistics", INFO, ("training data",)),
    Rule("BN610", "the model depends on the composition of its batches", ERROR, ("data",), ("BN608", *OF_LAYERS)),
    Rule("BN611", "dropout before the normalization", WARNING, ("data", "architecture"), ("BN603", "BN607", "BN608")),
    Rule("BN612", "train and eval divide differently in tiny batches", INFO, ("training data",)),
    Rule("BN701", "exported in training mode", ERROR, ("statistics",), (*DRIFT, "BN703")),
    Rule("BN702", "module pickled in training mode", INFO, ("statistics",)),
    Rule("BN703", "predictions change with batch mates", ERROR, ("data",)),
    Rule("BN704", "the runtime's normalization differs from float64 beyond rounding", ERROR, ("data",), DRIFT),
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
    """The rule of that code; its number alone will do.

    Raises:
        UsageError: there is none.
    """
    for rule in RULES:
        if rule.code in (code.upper(), f"BN{code}"):
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
