"""Every operator that the source text in a TorchScript archive can reach, read from its tokens; nothing is compiled.

PyTorch's own compiler decides what the text means, so nothing here guesses at it: the text is taken apart as that
compiler does, and where a name could lead to operators in a way that its printer never writes, that is a complaint.
Python's parser would not do: attributes may be called `async`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# A dot is part of the number before or behind it, as there, so that in `2.` and a new line it leads to no attribute.
_TOKEN = re.compile(
    r"""(?P<space>[ \n]+)|(?P<name>[A-Za-z_]\w*)|(?P<number>\d+(?:\.\d*)?|\.\d+)"""
    r"""|(?P<text>"(?:[^"\\\x00-\x1f\x7f-\x9f]|\\[ -~])*"(?!")|'(?:[^'\\\x00-\x1f\x7f-\x9f]|\\[ -~])*'(?!'))"""
    r"""|(?P<sign>\.\.\.|[!$%&()*+,\-./:;<=>?@\[\]^`{|}~])""",
    re.ASCII,
)
_ROOTS = ("torch", "ops", "__torch__")
_ESCAPE = re.compile(r"\\(?:([0-7]{3})|(.))")
_OPENING, _CLOSING = "([{", ")]}"


class UnusualSourceError(ValueError):
    """The text is written in a way in which PyTorch does not write it."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def used_by(source: str) -> Iterator[str]:
    """The operators (`aten::add`) and classes of other libraries (`torch.classes.mine.Thing`) that the text names.

    An attribute counts as the operator of its name, since the compiler may take it for that: `x.save` as `aten::save`.

    Raises:
        UnusualSourceError: it cannot be told what a part of it names.
    """
    tokens = _tokens(source)
    for place, token in enumerate(tokens):
        if token.kind != "name":
            continue
        if place > 0 and tokens[place - 1].text == ".":
            if not _is_path(tokens, place):
                if token.text in _ROOTS and len(_chain(tokens, place)) > 1:
                    raise UnusualSourceError(f"{'.'.join(_chain(tokens, place))} is an attribute")
                yield f"aten::{token.text}"
        elif token.text in _ROOTS:
            yield from _from_root(_chain(tokens, place))
        elif token.text in ("getattr", "hasattr"):
            yield f"aten::{_attribute_named(tokens, place)}"


def _tokens(source: str) -> list[_Token]:
    found: list[_Token] = []
    place = 0
    while place < len(source):
        match = _TOKEN.match(source, place)
        if match is None:
            line = source.count("\n", 0, place) + 1
            raise UnusualSourceError(f"line {line} has {source[place : place + 12]!r}")
        if match.lastgroup != "space":
            found.append(_Token(str(match.lastgroup), match[0]))
        place = match.end()
    return found


def _chain(tokens: Sequence[_Token], place: int) -> list[str]:
    """The names of `a.b.c` that starts at `place`."""
    names = [tokens[place].text]
    while place + 2 < len(tokens) and tokens[place + 1].text == "." and tokens[place + 2].kind == "name":
        place += 2
        names.append(tokens[place].text)
    return names


def _is_path(tokens: Sequence[_Token], place: int) -> bool:
    """Whether the attribute at `place` is one of a chain that starts at a root, and named there."""
    while place > 1 and tokens[place - 1].text == "." and tokens[place - 2].kind == "name":
        place -= 2
    return tokens[place].text in _ROOTS and tokens[place - 1].text != "."


def _from_root(names: Sequence[str]) -> Iterator[str]:
    root, path = names[0], names[1:]
    if root == "__torch__":
        yield from _from_classes(names)
    elif root == "torch" and path and path[0] != "autograd":  # which is another name for `torch` there
        yield from (f"aten::{name}" for name in path)
    elif root == "ops" and len(path) > 1 and path[1] != "autograd":
        yield f"{path[0]}::{path[1]}"
        yield from (f"aten::{name}" for name in path[2:])
    else:
        raise UnusualSourceError(f"{'.'.join(names)} is no operator")


def _from_classes(names: Sequence[str]) -> Iterator[str]:
    """Types and functions of the archive's own are looked at where they are defined; classes in C++ are named."""
    if list(names[:3]) == ["__torch__", "torch", "classes"] and len(names) > 4:
        yield ".".join(names[1:5])
    elif len(names) < 2 or list(names) == ["__torch__", "torch"] or names[1:3] == ["torch", "classes"]:
        raise UnusualSourceError(f"{'.'.join(names)} is no type")


def _attribute_named(tokens: Sequence[_Token], place: int) -> str:
    """The attribute in `getattr(value, "attribute")`."""
    depth, end = 0, place + 1
    while end < len(tokens):
        depth += (tokens[end].text in _OPENING) - (tokens[end].text in _CLOSING)
        if depth == 0:
            break
        end += 1
    if end < place + 5 or end >= len(tokens) or tokens[end - 1].kind != "text" or tokens[end - 2].text != ",":
        raise UnusualSourceError(f"{tokens[place].text} without the name of an attribute")
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)) if match[1] else match[2], tokens[end - 1].text[1:-1])
