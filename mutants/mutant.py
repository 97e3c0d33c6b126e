"""The mutants of a file: every change at every place, and the code that a change makes."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

from mutants.changes import changes

_SKIPPED_FIELDS = {"annotation", "returns", "decorator_list", "exc", "cause"}
"""What is no behaviour of a function's body; of an exception, the words: that it is raised hangs on the condition."""


@dataclass(frozen=True, slots=True, eq=False)
class Mutant:
    """One change of one file.

    Attributes:
        path: of the file, from the repository's root.
        function: the name of what it stands in, with its class.
        line: where.
        kind: of the change.
        before: the line's code as it is, in one line.
        after: and changed.
        block: number of the innermost block of statements that holds it.
        parent, slot, new: the place in the tree, and what is put there.
    """

    path: Path
    function: str
    line: int
    kind: str
    before: str
    after: str
    block: int
    parent: ast.AST = field(repr=False)
    slot: tuple[str, int | None] = field(repr=False)
    new: ast.AST = field(repr=False)
    count: int = 1
    """Which of several that read alike."""

    @property
    def name(self) -> str:
        """What it is told by, whatever lines are added above it."""
        which = f" ({self.count})" if self.count > 1 else ""
        return f"{self.path}::{self.function}: {self.before} -> {self.after}{which}"


@dataclass(slots=True)
class Source:
    """A file's tree, with the blocks and the mutants in it."""

    path: Path
    tree: ast.Module
    blocks: list[list[ast.stmt]] = field(default_factory=list)
    mutants: list[Mutant] = field(default_factory=list)
    _numbers: dict[int, int] = field(default_factory=dict)
    _alike: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    @classmethod
    def read(cls, path: Path) -> Source:
        """Parse a file and number what can be changed in its functions."""
        source = cls(path, ast.parse(path.read_text("utf-8")))
        source._walk(source.tree, "", None)
        return source

    def code_of(self, mutant: Mutant) -> CodeType:
        """Compile the file with that change; the tree is as before afterwards."""
        name, index = mutant.slot
        old = _get(mutant.parent, name, index)
        _put(mutant.parent, name, index, ast.fix_missing_locations(ast.copy_location(mutant.new, old)))
        try:
            return compile(self.tree, str(self.path.resolve()), "exec")
        finally:
            _put(mutant.parent, name, index, old)

    def code_that_tells(self, name: str) -> CodeType:
        """Compile the file so that each block adds its number to the set of that global name when it runs."""
        tree = ast.parse(self.path.read_text("utf-8"))
        again = Source(self.path, tree)
        again._walk(tree, "", None)
        for number, block in enumerate(again.blocks):
            call = ast.parse(f"{name}.add({number})").body[0]
            for node in ast.walk(call):
                ast.copy_location(node, block[0])
            block.insert(0, call)
        return compile(tree, str(self.path.resolve()), "exec")

    def _walk(self, node: ast.AST, function: str, block: int | None) -> None:
        for name, index, child in _children(node):
            if name in _SKIPPED_FIELDS or isinstance(child, ast.JoinedStr | ast.arguments) or _is_docstring(child):
                continue
            inside, within = function, block
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inside = f"{function}.{child.name}".lstrip(".")
            if isinstance(child, ast.stmt) and (block is not None or isinstance(node, ast.FunctionDef)):
                within = self._number(getattr(node, name))
            if within is not None:
                self._change(node, (name, index), child, inside, within)
            self._walk(child, inside, within)

    def _number(self, statements: list[ast.stmt]) -> int:
        if id(statements) not in self._numbers:
            self._numbers[id(statements)] = len(self.blocks)
            self.blocks.append(statements)
        return self._numbers[id(statements)]

    def _change(self, parent: ast.AST, slot: tuple[str, int | None], node: ast.AST, function: str, block: int) -> None:
        for kind, new in changes(node):
            line = getattr(node, "lineno", getattr(parent, "lineno", 0))
            before, after = _words(node), _words(new)
            self._alike[function, before, after] += 1
            count = self._alike[function, before, after]
            self.mutants.append(Mutant(self.path, function, line, kind, before, after, block, parent, slot, new, count))


def _children(node: ast.AST) -> Iterator[tuple[str, int | None, ast.AST]]:
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            yield name, None, value
        elif isinstance(value, list):
            yield from ((name, i, one) for i, one in enumerate(value) if isinstance(one, ast.AST))


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _words(node: ast.AST) -> str:
    """The code of a node in one line; of what has a body, its head."""
    return ast.unparse(ast.fix_missing_locations(node)).strip().split("\n")[0][:160]


def _get(parent: ast.AST, name: str, index: int | None) -> ast.AST:
    value = getattr(parent, name)
    one: ast.AST = value if index is None else value[index]
    return one


def _put(parent: ast.AST, name: str, index: int | None, new: ast.AST) -> None:
    if index is None:
        setattr(parent, name, new)
    else:
        getattr(parent, name)[index] = new
