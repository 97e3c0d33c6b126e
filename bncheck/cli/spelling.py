"""The command line names arguments as options, as what its usage calls them, or as keys of the file they come from."""

from __future__ import annotations

from collections.abc import Callable

import typer

from bncheck.cli.configuration_file import Configuration
from bncheck.vocabulary import Spelling, argument, spelled

ONE_BY_ONE = {"allow_ops": "--allow-op"}
"""Options that are given once for each of their values, which are one argument in Python."""


def spelling_in(context: typer.Context | None) -> Callable[[str], str]:
    """What spells the arguments of a command.

    `--until`, or `bncheck.toml: until` where the value comes from there; `MODEL` where its place names it.
    """
    found = context.obj if context is not None else None
    placed = {} if context is None else _placed(context)

    def spell(name: str) -> str:
        if context is not None and isinstance(found, Configuration) and from_file(context, name):
            return f"{found.source}: {spelled(argument(name), Spelling.FILE)}"
        return placed.get(name) or ONE_BY_ONE.get(name) or spelled(argument(name), Spelling.COMMAND_LINE)

    return spell


def _placed(context: typer.Context) -> dict[str, str]:
    """What the usage of a command calls the arguments that are known by their place."""
    return {
        parameter.name: parameter.human_readable_name
        for parameter in context.command.params
        if parameter.name is not None and parameter.param_type_name == "argument"
    }


def from_file(context: typer.Context, name: str) -> bool:
    """Whether the argument's value comes from a configuration file."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "DEFAULT_MAP"


def is_typed(context: typer.Context, name: str) -> bool:
    """Whether the argument was given on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
