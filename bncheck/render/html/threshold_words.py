"""What each number that decides is, in the words that stand beside it where it is defined."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache

from bncheck.core import THRESHOLDS


def thresholds_told(values: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """Of each threshold its name, its value and what it is; of those that this version does not know, no words."""
    words = _words()
    return [(name.replace("_", " "), f"{value:.4g}", words.get(name, "")) for name, value in values.items()]


@cache
def _words() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for defined in reversed(type(THRESHOLDS).__mro__[:-1]):
        try:
            source = inspect.getsource(defined)
        except (OSError, TypeError):  # a package without its sources
            continue
        found.update(_documented(ast.parse(textwrap.dedent(source))))
    return found


def _documented(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Every field of a class with the text below it."""
    (defined,) = (each for each in tree.body if isinstance(each, ast.ClassDef))
    for field, below in zip(defined.body, defined.body[1:], strict=False):
        is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            yield field.target.id, " ".join(str(below.value.value).split())  # type: ignore[attr-defined]
