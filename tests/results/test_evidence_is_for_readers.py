"""What stands in a finding's evidence is for the reader: no code of ours decides anything by it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "bncheck"
SHOWING = "render"
"""The room that may show all of it, and nothing by its name."""


def reads_in(source: str) -> Iterator[tuple[int, bool]]:
    """The line of every `something.evidence` that is read, and whether it is handed on as a whole.

    That is `.evidence.items()`, or an argument of a call: what is called cannot know a key of it by then, but shows
    or copies them all.
    """
    tree = ast.parse(source)
    modules = {
        (alias.asname or alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "evidence" and isinstance(node.ctx, ast.Load):
            if isinstance(node.value, ast.Name) and node.value.id in modules:
                continue  # a name in a module
            parent = above[node]
            every = isinstance(parent, ast.Attribute) and parent.attr == "items"
            handed_on = isinstance(parent, ast.Call) and node in parent.args and isinstance(parent.func, ast.Name)
            yield node.lineno, every or (handed_on and parent.func.id in ("dict", "finite", "encoded"))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x = finding.evidence['gap']", [False]),
        ("x = finding.evidence.get('gap')", [False]),
        ("evidence = finding.evidence", [False]),
        ("for key in finding.evidence: pass", [False]),
        ("x = 'gap' in finding.evidence", [False]),
        ("look(finding.evidence)", [False]),
        ("x = [(k, v) for k, v in finding.evidence.items()]", [True]),
        ("x = finite(dict(finding.evidence))", [True]),
        ("Finding(code, evidence={'gap': 1})", []),
        ("from bncheck.evidence import Evidence", []),
        ("from bncheck.render.html import view\nshow(view.evidence)", []),
    ],
)
def test_every_way_to_read_it_is_seen(source: str, found: list[bool]) -> None:
    assert [whole for _, whole in reads_in(source)] == found


def test_nothing_reads_it_but_what_shows_all_of_it() -> None:
    reading = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, shows_all in reads_in(path.read_text(encoding="utf-8"))
        if not (shows_all and path.relative_to(PACKAGE).parts[0] == SHOWING)
    ]
    assert reading == []
