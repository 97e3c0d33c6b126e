"""What the shell offers to complete: words, codes and formats, from the catalogue alone."""

from __future__ import annotations

from collections.abc import Callable

from bncheck.rules import RULES

Complete = Callable[[str], list[str]]


def words(choices: str) -> Complete:
    """One of the words in `choices`, written as they stand in the help: `rgb|bgr|gray`."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in choices.split("|") if word.startswith(incomplete)]

    return complete


def code(incomplete: str) -> list[str]:
    """A code."""
    return [rule.code for rule in RULES if rule.code.startswith(incomplete)]


def codes(incomplete: str) -> list[str]:
    """The last of several codes, separated by commas."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{found}" for found in code(last)]


def formats(incomplete: str) -> list[str]:
    """A format and its `=`; the file after it is the shell's."""
    from bncheck.render import all_formats

    return [f"{each.name}=" for each in all_formats() if each.name.startswith(incomplete)]
