"""Write `docs/which-cause.md` from the rules: `python docs/make.py`."""

from __future__ import annotations

import re
from pathlib import Path

from bncheck.rules import SYMPTOMS, Symptom, find_rule

PAGE = Path(__file__).with_name("which-cause.md")
PROJECT = PAGE.parent.parent


def page() -> str:
    """Markdown: a section for each symptom, a row for each cause."""
    lines = [
        "# Which cause do I have?",
        "",
        "Start from what you see. The command beside it tells the causes apart; the finding it prints has a code, and",
        "`bncheck rule CODE` explains it whole. This page is made from the rules by `make docs`.",
        "",
        *(f"- [{_plain(symptom.title)}](#{_anchor(symptom.title)})" for symptom in SYMPTOMS),
    ]
    for symptom in SYMPTOMS:
        lines += ["", *_section(symptom)]
    return "\n".join(lines) + "\n"


def _section(symptom: Symptom) -> list[str]:
    rows = []
    for code in symptom.codes:
        rule = find_rule(code)
        link = f"../{rule.path.relative_to(PROJECT).as_posix()}"
        rows.append(
            f"| [{code}]({link}), {rule.title} | {_cell(_opening(rule.page, 'What'))} "
            f"| {_cell(_opening(rule.page, 'How to repair'))} |"
        )
    head = [f"## {symptom.title}", "", symptom.look.replace(":\n", ": "), ""]
    return [*head, "| | what it is | what to do |", "|---|---|---|", *rows]


def _opening(text: str, heading: str) -> str:
    """The first sentence below a heading."""
    paragraph = text.split(f"## {heading}\n", 1)[1].strip().split("\n\n")[0].split("\n```")[0]
    paragraph = re.sub(r"^- ", "", paragraph).split("\n- ")[0]
    sentence = re.split(r"(?<=[.:])\s", " ".join(paragraph.split()), maxsplit=1)[0]
    sentence = sentence.split(" (")[0] if sentence.count("(") > sentence.count(")") else sentence
    return sentence[:1].upper() + sentence[1:].rstrip(":.;") + "."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _plain(title: str) -> str:
    return title.replace("`", "")


def _anchor(title: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
