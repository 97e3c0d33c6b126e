"""How the command line names arguments: as options, or as keys of the file that their values come from."""

from __future__ import annotations

from collections.abc import Callable

import typer

from bncheck.cli.configuration_file import Configuration
from bncheck.vocabulary import Spelling, argument, spelled


def spelling_in(context: typer.Context | None) -> Callable[[str], str]:
    """What spells the arguments of a command: `--until`, or `bncheck.toml: until` where the value comes from there."""
    found = context.obj if context is not None else None

    def spell(name: str) -> str:
        if context is not None and isinstance(found, Configuration) and from_file(context, name):
            return f"{found.source}: {spelled(argument(name), Spelling.FILE)}"
        return spelled(argument(name), Spelling.COMMAND_LINE)

    return spell


def from_file(context: typer.Context, name: str) -> bool:
    """Whether the argument's value comes from a configuration file."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "DEFAULT_MAP"


def is_typed(context: typer.Context, name: str) -> bool:
    """Whether the argument was given on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
