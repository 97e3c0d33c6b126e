from .catalogue import GROUPS, RULES, find_rule, load, matching, rules_from
from .findings import judge
from .judged import judged_rules
from .limit import LIMIT, beyond_limit, require_limit
from .phenomena import Phenomenon
from .rule import Rule
from .symptoms import SYMPTOMS, Symptom

__all__ = [
    "GROUPS",
    "LIMIT",
    "RULES",
    "SYMPTOMS",
    "Phenomenon",
    "Rule",
    "Symptom",
    "beyond_limit",
    "find_rule",
    "judge",
    "judged_rules",
    "load",
    "matching",
    "require_limit",
    "rules_from",
]
