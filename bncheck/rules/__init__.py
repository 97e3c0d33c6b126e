"""The rules: from the evidence to findings. They never see a model.

One file for each code with its page beside it, in folders by subject; `catalogue` finds them, `findings` asks them.
What more than one of them needs stands in `judging`. Importing this room loads neither numpy nor any rule's module.
"""

from bncheck.rules.catalogue import GROUPS, RULES, find_rule, load, matching, rules_from
from bncheck.rules.findings import judge
from bncheck.rules.judged import judged_rules
from bncheck.rules.limit import CODE as LIMIT
from bncheck.rules.limit import beyond_limit, require_limit
from bncheck.rules.phenomena import Phenomenon
from bncheck.rules.rule import Rule
from bncheck.rules.symptoms import SYMPTOMS, Symptom

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
