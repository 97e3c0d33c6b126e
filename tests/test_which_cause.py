"""The page from symptoms to causes: made from the rules, and leaving none out."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from bncheck.rules import RULES, SYMPTOMS

DOCS = Path(__file__).parent.parent / "docs"


def test_the_page_is_what_the_rules_give() -> None:
    made = runpy.run_path(str(DOCS / "make.py"))["page"]()
    assert (DOCS / "which-cause.md").read_text(encoding="utf-8") == made, "run `make docs`"


def test_every_rule_is_behind_a_symptom() -> None:
    assert {code for symptom in SYMPTOMS for code in symptom.codes} == {rule.code for rule in RULES}


def test_the_links_of_the_page_lead_somewhere() -> None:
    text = (DOCS / "which-cause.md").read_text(encoding="utf-8")
    files = re.findall(r"\]\((\.\./[^)]+)\)", text)
    assert len(files) >= len(RULES)
    assert [name for name in files if not (DOCS / name).is_file()] == []
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) == anchors
