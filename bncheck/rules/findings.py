"""From the evidence to findings: every rule is asked, and one cause is told once."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from bncheck.results import Finding
from bncheck.rules.catalogue import RULES
from bncheck.rules.phenomena import all_of
from bncheck.rules.rule import Rule
from bncheck.vocabulary import Severity

if TYPE_CHECKING:
    from bncheck.evidence import Evidence


def judge(evidence: Evidence, codes: Collection[str] | None = None) -> tuple[Finding, ...]:
    """Give every finding of the rules `codes` (of all by default) that the evidence supports, the gravest first.

    What another finding explains is left out.
    """
    chosen = [rule for rule in RULES if codes is None or rule.code in codes]
    with np.errstate(all="ignore"):  # values out of a file may be of any size; NaN passes no limit
        found = [(rule, finding) for rule in chosen for finding in rule.judge(evidence)]
    kept = [finding for rule, finding in found if not any(_explains(*cause, rule, finding) for cause in found)]
    return tuple(sorted(kept, key=lambda finding: (Severity(finding.severity).rank, finding.code)))


def _explains(cause: Rule, finding: Finding, effect: Rule, found: Finding) -> bool:
    """Tell whether a finding of `cause` makes one of `effect` superfluous; a remark that is not certain does not."""
    if cause.by_layer and not finding.layers:
        return False
    if finding.severity == Severity.INFO and not (cause.certain and found.severity == Severity.INFO):
        return False
    return effect.shows in all_of(cause.explains) and effect.code != cause.code
