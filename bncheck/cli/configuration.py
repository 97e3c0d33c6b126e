"""Options from a file, under those of the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo

from bncheck.cli.configuration_file import Configuration, OptionKind, find_configuration
from bncheck.cli.process import exit_codes, say
from bncheck.cli.spelling import is_typed

_NAMES: Mapping[str, Literal["path", "code", "data", "report"]] = {
    "FILE": "path",
    "MODEL": "path",
    "FILE.py:CALLABLE": "code",
    "D": "data",
    "[FORMAT=]PATH": "report",
}
"""What options name, by their placeholder."""
_VALUES: Mapping[type, Literal["text", "whole", "number", "flag"]] = {bool: "flag", int: "whole", float: "number"}
_ABOUT_THE_PROCESS = frozenset({"no-config", "debug", "version", "help"})
_OWN_RUN = {
    "gate": frozenset({"report", "write-baseline", "quiet"}),
    "merge": frozenset({"report", "write-baseline", "quiet"}),
    "diff": frozenset({"report", "key"}),
    "repair": frozenset({"data", "train-data", "limit", "until", "steps", "lr", "out", "report"}),
}
"""Options of commands that share their names with those of `inspect` and mean another run's files: what a model is
inspected on is not what it is repaired from."""


def configured(context: typer.Context, without: bool) -> bool:
    """Callback of `--no-config`: unless it is given, put what the file says under the command line."""
    if without or context.resilient_parsing:
        return without
    with exit_codes():
        commands = context.find_root().command.commands  # type: ignore[attr-defined]
        found = find_configuration(Path.cwd(), lambda: options_of(commands))
    named = {one.name: _option(one.opts) for one in context.command.params if one.name is not None}
    mine = {name: option for name, option in named.items() if option}
    left_out = _OWN_RUN.get(context.info_name or "", frozenset())
    chosen = {name: found.values[option] for name, option in mine.items() if option in found.values}
    context.default_map = {name: value for name, value in chosen.items() if mine[name] not in left_out}
    context.obj = found
    return without


def configuration_of(context: typer.Context) -> Configuration:
    """What was found; nothing with `--no-config`."""
    return context.obj if isinstance(context.obj, Configuration) else Configuration()


def say_configuration(context: typer.Context) -> None:
    """Name the options that come from the file, so that nobody wonders."""
    found, used = configuration_of(context), context.default_map or {}
    typed = {name for name in used if is_typed(context, name)}
    names = sorted(name.replace("_", "-") for name in used.keys() - typed)
    if names:
        say(f"Options of {found.source}: {', '.join(names)}.")


def options_of(commands: Mapping[str, Any]) -> dict[str, OptionKind]:
    """The options of all commands that can stand in a file."""
    kinds: dict[str, OptionKind] = {}
    for command in commands.values():
        names = {parameter.name: _option(parameter.opts) for parameter in command.params}
        for name, kind in _kinds(inspect.unwrap(command.callback)).items():
            option = names.get(name)
            if option and option not in _ABOUT_THE_PROCESS:
                kinds.setdefault(option, kind)
    return kinds


@cache
def _kinds(function: Callable[..., Any]) -> dict[str, OptionKind]:
    """By parameter, what the function's annotations say of its options."""
    hints = get_type_hints(function, include_extras=True)
    found = {}
    for name, hint in hints.items():
        info = next((each for each in getattr(hint, "__metadata__", ()) if isinstance(each, OptionInfo)), None)
        if info is not None and get_origin(hint) is Annotated:
            plain = _plain(get_args(hint)[0])
            repeatable = get_origin(plain) is list
            value = _VALUES.get(plain, "text")
            found[name] = OptionKind(value, repeatable, info.min, _NAMES.get(info.metavar or ""))
    return found


def _plain(hint: Any) -> Any:
    """The type without `| None`."""
    if not isinstance(hint, UnionType):
        return hint
    return next(each for each in get_args(hint) if each is not NoneType)


def _option(opts: list[str]) -> str | None:
    """The option's long name without its dashes; `None` for an argument."""
    return next((name.removeprefix("--") for name in opts if name.startswith("--")), None)
