"""`bncheck rules` and `bncheck rule CODE`: what is diagnosed, without loading torch."""

from __future__ import annotations

import json

import typer

from bncheck.cli.options import rules as opt
from bncheck.cli.process import exit_codes
from bncheck.errors import UsageError
from bncheck.rules import GROUPS, RULES, find_rule


def rules_command(
    output_format: opt.Format = "text",
) -> None:
    """List every rule: code, severity, what it stands for."""
    with exit_codes():
        if output_format == "json":
            typer.echo(json.dumps([_document(code) for code in (rule.code for rule in RULES)], indent=2))
        elif output_format == "text":
            _print_table()
        else:
            raise UsageError(f"--format {output_format}: choose text or json.")


def rule_command(
    code: opt.Code,
) -> None:
    """Explain one rule: what, why it happens, how it was detected, how to repair."""
    with exit_codes():
        rule = find_rule(code)
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(rule.page))


def _document(code: str) -> dict[str, object]:
    rule = find_rule(code)
    return {
        "code": rule.code,
        "title": rule.title,
        "severity": rule.severity,
        "needs": list(rule.needs),
        "page": rule.page,
    }


def _print_table() -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("code", "at most", "what", "needs"):
        table.add_column(name, no_wrap=name != "what")
    group = ""
    for rule in RULES:
        if rule.code[:3] != group:
            group = rule.code[:3]
            table.add_row()
            table.add_row(group, "", GROUPS[group], "", style="bold")
        table.add_row(rule.code, rule.severity, rule.title, ", ".join(rule.needs))
    Console().print(table)
