"""Who imports what in the package, read from the source: by statement and by string, and what a room's door offers."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "bncheck"
ORDER = (
    ("__init__", "vocabulary", "discovery", "encoding", "progress"),
    ("errors", "talk"),
    ("extras",),
    ("core", "tensors"),
    ("files", "user_code", "settings", "results"),
    ("evidence",),
    ("data", "rules", "nn"),
    ("watch",),
    ("gate", "render"),
    ("predictions",),
    ("formats",),
    ("weights",),
    ("measure",),
    ("probes",),
    ("repair",),
    ("api",),
    ("integrations", "testing"),
    ("cli",),
    ("__main__",),
)
"""The rooms, floor by floor from the ground: a module imports from lower floors or from its own room."""
FLOORS = {room: floor for floor, rooms in enumerate(ORDER) for room in rooms}
FACE = "__init__"
"""The package itself: it re-exports lazily, so it may name every room, and every room may ask it for the version."""


@dataclass(frozen=True, slots=True)
class Import:
    """One name that one module takes from another; `name` is None where the module itself is named."""

    importer: str
    module: str
    name: str | None
    line: int

    @property
    def own(self) -> str:
        return room_of(self.importer)

    @property
    def target(self) -> str:
        return room_of(self.module)

    def __str__(self) -> str:
        taken = self.module if self.name is None else f"{self.name} of {self.module}"
        return f"{self.importer}:{self.line} imports {taken}"


def room_of(module: str) -> str:
    """The room of a dotted module name: what comes after `bncheck`."""
    return [*module.split("."), FACE][1]


@functools.cache
def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Every module of the package under its dotted name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def imports() -> tuple[Import, ...]:
    """Every import of the package's own modules in the package, wherever in a file and however written."""
    return tuple(one for name, path in modules().items() for one in imports_of(name, path.read_text(encoding="utf-8")))


def imports_of(importer: str, source: str) -> Iterator[Import]:
    """What the module `importer` with that source imports of the package, by statement and by string."""
    tree = ast.parse(source)
    package = importer if importer in modules() and modules()[importer].stem == "__init__" else parent(importer)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = _absolute(node, package)
            for alias in node.names if module.split(".")[0] == PACKAGE.name else ():
                inner = f"{module}.{alias.name}"
                name = (inner, None) if inner in modules() else (module, alias.name)
                yield Import(importer, *name, node.lineno)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE.name:
                    yield Import(importer, alias.name, None, node.lineno)
    yield from _by_string(importer, package, tree)


def parent(module: str) -> str:
    """The package that a module stands in."""
    return module.rpartition(".")[0]


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _by_string(importer: str, package: str, tree: ast.Module) -> Iterator[Import]:
    """Modules that strings name: whole, or behind a beginning that a file with imports by string spells.

    So `_HOMES = {"diff": "api"}` beside `import_module(f"bncheck.{...}")` imports `bncheck.api`.
    """
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    by_string = [call for call in calls if _called(call.func) in ("import_module", "__import__")]
    beginnings = {""}
    if by_string:
        beginnings |= {node.value for node in strings if re.fullmatch(rf"{PACKAGE.name}\.([\w.]+\.)?", node.value)}
    if any(len(call.args) + len(call.keywords) > 1 for call in by_string):  # import_module(".one", __package__)
        beginnings.add(f"{package}.")
    for node in strings:
        ending = node.value.partition(":")[0]
        for beginning in sorted(beginnings):
            named = beginning + (ending.removeprefix(".") if beginning else ending)
            if "." in named and named in modules():
                yield Import(importer, named, None, node.lineno)


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def climbs(one: Import) -> bool:
    """Whether a module imports from its own floor or a higher one, outside its own room."""
    return one.own != FACE and one.target not in (one.own, FACE) and FLOORS[one.target] >= FLOORS[one.own]


def enters_by_the_window(one: Import) -> bool:
    """Whether a module takes what no door offers it.

    Of another room only names in `__all__` of its `__init__` may be taken, from the room itself. A room within a room
    serves the one that it stands in: modules of others do not name it.
    """
    if one.target == FACE:
        return False
    if one.own != one.target:
        if one.module.count(".") > 1:
            return True
        return one.name is not None and not _offered(one.module, one.name)
    inner = one.module if modules()[one.module].stem == "__init__" else parent(one.module)
    while inner.count(".") > 1:
        if not within(one.importer, parent(inner)):
            return True
        inner = parent(inner)
    return False


def within(module: str, package: str) -> bool:
    """Whether the module is the package or stands somewhere in it."""
    return f"{module}.".startswith(f"{package}.")


def _offered(module: str, name: str) -> bool:
    return name in door(module) if modules()[module].stem == "__init__" else not name.startswith("_")


@functools.cache
def door(room: str) -> frozenset[str]:
    """What a room offers: its `__all__`, from the stub beside it where the room is loaded name by name."""
    init = modules()[room]
    stub = init.with_suffix(".pyi")
    for node in ast.parse((stub if stub.exists() else init).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [getattr(one, "id", None) for one in node.targets] == ["__all__"]:
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many a caller can give, the instance not counted."""
    given = function.args
    several = [one for one in (given.vararg, given.kwarg) if one is not None]
    names = [one.arg for one in [*given.posonlyargs, *given.args, *given.kwonlyargs, *several]]
    return len([name for name in names if name not in ("self", "cls")])


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function and method of the package, under the module's name and its own."""
    for module, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{module}:{node.name}", node
