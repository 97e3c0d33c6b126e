from .catalogue import GROUPS, RULES, find_rule, load, matching, rules_from
from .decided import is_decided
from .findings import judge
from .judged import judged_rules, why_not_judged
from .judging.harm import harm_of, is_better
from .judging.localised import localised
from .limit import beyond_limit, require_limit
from .phenomena import Phenomenon
from .rule import Rule
from .symptoms import SYMPTOMS, Symptom

__all__ = [
    "GROUPS",
    "RULES",
    "SYMPTOMS",
    "Phenomenon",
    "Rule",
    "Symptom",
    "beyond_limit",
    "find_rule",
    "harm_of",
    "is_better",
    "is_decided",
    "judge",
    "judged_rules",
    "load",
    "localised",
    "matching",
    "require_limit",
    "rules_from",
    "why_not_judged",
]
