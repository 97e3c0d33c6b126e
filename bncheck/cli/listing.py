"""The commands, each imported when it is called: `bncheck gate` waits for nothing of `bncheck repair`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_REST = {2: "wrong command", 3: "unreadable file", 70: "a bug in bncheck", 130: "interrupted"}
_INSPECTED = {0: "fine", 1: "findings (see --fail-on)", 4: "not or too little checked"}
_COMPARED = {0: "fine", 1: "what was to stay has moved (--expect-frozen)", 4: "nothing to compare"}
_STAMPED = {0: "written", 1: "not written: the export does not agree with the reference", 4: "nothing to stamp"}
_REPAIRED = {
    0: "written and fine",
    1: "not written because it is worse, or findings remain (see --fail-on)",
    4: "nothing to repair or too little to judge by",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A command before it is imported.

    Attributes:
        home: `module:function` under `bncheck.cli.commands`.
        about: one line for the list of commands.
        codes: its exit codes other than those of all; none are told where it is empty.
    """

    home: str
    about: str
    codes: Mapping[int, str]


COMMANDS = {
    "inspect": Listed(
        "inspect:inspect_command", "Compare what a model's norm layers store with your data.", _INSPECTED
    ),
    "merge": Listed("merge:merge_command", "Judge what all shards of a reading saw, each in a file.", _INSPECTED),
    "repair": Listed("repair:repair_command", "Write the model again with statistics that fit the data.", _REPAIRED),
    "diff": Listed("diff:diff_command", "Tell what moved from one checkpoint to another.", _COMPARED),
    "stamp": Listed("stamp:stamp_command", "Write a checkpoint's statistics into its ONNX export.", _STAMPED),
    "gate": Listed("gate:gate_command", "Judge a saved report again, without model and data.", _INSPECTED),
    "rules": Listed("rules:rules_command", "List what is diagnosed.", {}),
    "rule": Listed("rules:rule_command", "Explain one rule: what, why, how to repair.", {}),
    "audit": Listed("audit:audit_command", "Audit the stored values of several files; nothing is run.", _INSPECTED),
}
HELP_OPTIONS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


def exit_code_words(codes: Mapping[int, str]) -> str | None:
    """The exit codes as lines under a help text; `None` without any of its own."""
    if not codes:
        return None
    lines = [f"  {code:<3}  {meaning}" for code, meaning in sorted({**_REST, **codes}.items())]
    return "\n".join(["\b", "Exit codes:", *lines])


EVERY_EXIT_CODE = exit_code_words(_INSPECTED)


class Sectioned(TyperCommand):
    """A command whose help has its options in sections: those of the model, of the data, ..."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections in the order in which the command's parameters name them."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                is_argument = parameter.param_type_name == "argument"
                named = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None)
                # --help comes last and joins the last section, if there is more than one.
                title = named or (list(sections)[-1] if len(sections) > 1 else "Options")
                sections.setdefault(title, []).append(record)
        width = min(30, max((len(left) for rows in sections.values() for left, _ in rows), default=0))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl([(left.ljust(width), right) for left, right in rows])


class LazyGroup(TyperGroup):
    """The commands of `COMMANDS`, listed without importing them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in order."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """One line each."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, listed.about) for name, listed in COMMANDS.items()])


class _Commands(Mapping[str, Any]):
    """By name; a command is made when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        return _made(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


@cache
def _made(name: str) -> Any:
    """The command; once in a process, since reading what its options are takes as long as a small model."""
    listed = COMMANDS[name]
    module, _, function = listed.home.partition(":")
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    register = alone.command(
        name,
        cls=Sectioned,
        short_help=listed.about,
        epilog=exit_code_words(listed.codes),
        context_settings=HELP_OPTIONS,
    )
    register(getattr(import_module(f"bncheck.cli.commands.{module}"), function))
    return typer.main.get_command(alone)
