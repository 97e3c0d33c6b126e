"""`bncheck rules` and `bncheck rule CODE`: what is diagnosed, without loading torch."""

from __future__ import annotations

import json

import typer

from bncheck.cli.options import rules as opt
from bncheck.cli.process import exit_codes
from bncheck.errors import not_one_of
from bncheck.rules import GROUPS, RULES, find_rule


def rules_command(
    output_format: opt.Format = "text",
) -> None:
    """List every rule: code, severity, what it stands for."""
    with exit_codes():
        if _as_json(output_format):
            typer.echo(json.dumps([_document(rule.code) for rule in RULES], indent=2))
        else:
            _print_table()


def rule_command(
    code: opt.Code,
    output_format: opt.Format = "text",
) -> None:
    """Explain one rule: what, why it happens, how it was detected, how to repair."""
    with exit_codes():
        rule = find_rule(code)
        if _as_json(output_format):
            typer.echo(json.dumps(_document(rule.code), indent=2))
            return
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(rule.page))


def _as_json(output_format: str) -> bool:
    if output_format not in ("text", "json"):
        raise not_one_of("format", output_format, ("text", "json"))
    return output_format == "json"


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
