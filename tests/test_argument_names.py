"""Errors and findings name arguments, and the edge spells them: library code spells no option of the command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import bncheck
from bncheck.errors import UsageError
from bncheck.vocabulary import Spelling, argument, with_article

PACKAGE = Path(__file__).parent.parent / "bncheck"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
ELSEWHERE = re.compile(r"`[^`]*`|var\(--[a-z]+\)")
TEMPLATE = re.compile(r"(inspect|repair|diff)( --[a-z-]+[ =]\S*)+$")
"""Commands for a shell, and what CSS calls its own."""


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every string that is no docstring, with its line; one that is formatted is a whole, `{}` for its values."""
    told = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            told.update(id(part) for part in node.values)
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.lineno, node.value


def spelled_in(text: str) -> list[str]:
    """The options that a text spells; commands between backticks are typed out for a shell, and keep theirs.

    So do the templates of commands, which begin with one: they are filled in for a shell or for Python.
    """
    return [] if TEMPLATE.match(text) else OPTION.findall(ELSEWHERE.sub("", text))


def test_an_option_is_found_unless_it_stands_in_a_command_for_the_shell() -> None:
    assert spelled_in("--until is 0, `bncheck repair MODEL --out F` writes") == ["--until"]
    assert spelled_in("a well-kept --") == []
    assert spelled_in("var(--ink) (--output names it)") == ["--output"]
    told = list(texts(ast.parse("f'`bncheck diff {a} --key {b}`, {c} --key'")))
    assert told == [(1, "`bncheck diff {} --key {}`, {} --key")]
    assert spelled_in(told[0][1]) == ["--key"]
    assert spelled_in("repair --data TRAIN") == []
    assert spelled_in("repair takes --data TRAIN") == ["--data"]


PYTESTS_OWN = Path("testing", "pytest_plugin.py")
"""It has options of another command line."""


def test_library_code_spells_no_options() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        if inside != PYTESTS_OWN and inside.parts[0].removesuffix(".py") not in ("cli", "__main__"):
            read = texts(ast.parse(path.read_text(encoding="utf-8")))
            found += [f"{inside}:{line} {spelled_in(text)}" for line, text in read if spelled_in(text)]
    assert not found


def test_an_error_knows_its_arguments() -> None:
    with pytest.raises(UsageError, match=r"^until -1: it must be at least 0\.$") as raised:
        bncheck.inspect(torch.nn.BatchNorm1d(3), until=-1)
    assert raised.value.arguments == ("until",)
    assert raised.value.told(Spelling.COMMAND_LINE) == "--until -1: it must be at least 0."
    assert raised.value.told(lambda name: f"bncheck.toml: {name}") == "bncheck.toml: until -1: it must be at least 0."


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"batch_size": 0}, ("batch_size",)),
        ({"limit": 0}, ("limit",)),
        ({"batch_sizes": (0,)}, ("batch_sizes",)),
        ({"seed": -1}, ("seed",)),
        ({"max_gap": float("nan")}, ("max_gap",)),
        ({"fail_on": "always"}, ("fail_on",)),
        ({"deploy_dtype": "int8"}, ("deploy_dtype",)),
        ({"select": ["BN9"]}, ("select",)),
        ({"select": ["BN6"], "ignore": ["BN6"]}, ("select", "ignore")),
        ({"reference_key": "ema"}, ("reference_arch", "reference_key", "reference")),
        ({"train_data": torch.zeros(4, 3)}, ("train_data", "data")),
        ({"data": "no/such.npz"}, ("data",)),
    ],
)
def test_every_argument_out_of_its_range_is_named(arguments: dict[str, object], named: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as raised:
        bncheck.inspect(torch.nn.BatchNorm1d(3), **arguments)  # type: ignore[arg-type]
    assert raised.value.arguments == named
    assert not OPTION.search(str(raised.value))
    assert argument(named[0]) not in str(raised.value)


@pytest.mark.parametrize(
    ("noun", "said"),
    [("int", "an int"), ("list", "a list"), ("ONNX", "an ONNX"), ("UserDict", "a UserDict")],
)
def test_types_are_named_with_their_article(noun: str, said: str) -> None:
    assert with_article(noun) == said
