"""The part of YAML that the project's own files are written in: mappings, lists, texts, blocks of text, comments.

Lists are of mappings, or of words in one line.
"""

from __future__ import annotations

import re
from typing import Any


def read_yaml(text: str) -> Any:
    """Mappings, lists and strings; scalars are not given types."""
    lines = [line.rstrip() for line in text.splitlines()]
    value, rest = _block([(len(line) - len(line.lstrip()), line.lstrip()) for line in lines])
    assert not rest, f"left over: {rest[0]}"
    return value


def _skip(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    while lines and (not lines[0][1] or lines[0][1].startswith("#")):
        lines = lines[1:]
    return lines


def _block(lines: list[tuple[int, str]]) -> tuple[Any, list[tuple[int, str]]]:
    lines = _skip(lines)
    indent, first = lines[0]
    return _list(lines, indent) if first.startswith("- ") else _mapping(lines, indent)


def _list(lines: list[tuple[int, str]], indent: int) -> tuple[list[Any], list[tuple[int, str]]]:
    items = []
    while lines and lines[0][0] == indent and lines[0][1].startswith("- "):
        item, lines = _mapping([(indent + 2, lines[0][1][2:]), *lines[1:]], indent + 2)
        items.append(item)
        lines = _skip(lines)
    return items, lines


def _mapping(lines: list[tuple[int, str]], indent: int) -> tuple[dict[str, Any], list[tuple[int, str]]]:
    made: dict[str, Any] = {}
    lines = _skip(lines)
    while lines and lines[0][0] == indent:
        match = re.fullmatch(r"([\w-]+):(?: (.*))?", lines[0][1])
        assert match, f"not a key: {lines[0][1]}"
        key, value = match.groups()
        assert key not in made, f"{key} twice"
        lines = lines[1:]
        if value == "|":
            made[key], lines = _text(lines, indent)
        elif value is None:
            made[key], lines = _block(lines)
        else:
            made[key] = _scalar(value)
        lines = _skip(lines)
    assert not lines or lines[0][0] < indent, f"indented otherwise: {lines[0]}"
    return made, lines


def _text(lines: list[tuple[int, str]], indent: int) -> tuple[str, list[tuple[int, str]]]:
    inner = lines[0][0]
    taken = []
    while lines and (lines[0][0] > indent or not lines[0][1]):
        taken.append(" " * max(0, lines[0][0] - inner) + lines[0][1])
        lines = lines[1:]
    return "\n".join(taken).rstrip("\n") + "\n", lines


def _scalar(text: str) -> str | list[str]:
    if words := re.fullmatch(r"\[([\w-]+(?:, [\w-]+)*)\]", text):
        return words[1].split(", ")
    if text.startswith("'"):
        assert re.fullmatch(r"'(?:[^']|'')*'", text), text
        return text[1:-1].replace("''", "'")
    assert not re.match(r"[\[{&*!%@`\"]", text), f"quote it: {text}"
    assert ": " not in text, f"quote it: {text}"
    assert " #" not in text, f"quote it: {text}"
    return text
