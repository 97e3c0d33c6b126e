"""Mutation testing itself: faults are put where they should be, and what is said of survivors is about some."""

from __future__ import annotations

import ast
import gc
from collections.abc import Callable
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

from mutants.campaign import ROOT, Campaign, Effort, Room, plan
from mutants.changes import changes
from mutants.explanations import explained
from mutants.live import LiveFunctions
from mutants.mutant import Source

CODE = '''
from __future__ import annotations
from functools import wraps

LIMIT = 3

def twice(function):
    @wraps(function)
    def both(value):
        return function(function(value))
    return both

class Box:
    """A box."""

    @property
    def size(self) -> int:
        return 2

@twice
def add(value: int = 7) -> int:
    if value > 3:
        raise ValueError(f"{value + 1} is too large" + "!")
    return value + 1
'''


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, ModuleType]:
    path = tmp_path / "small.py"
    path.write_text(CODE, "utf-8")
    spec = util.spec_from_file_location("small", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return path, module


def test_the_plan_names_rooms_and_tests_that_are_there() -> None:
    rooms = plan().values()
    assert {room.name for room in rooms} == {"core", "gate", "rules"}
    assert [room.mutate for room in rooms if not (ROOT / room.mutate).is_dir()] == []
    assert [path for room in rooms for path in room.tests if not (ROOT / path).exists()] == []


def test_what_is_explained_is_a_mutant_of_the_code_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names = set(explained())
    paths = {Path(name.partition("::")[0]) for name in names}
    assert paths <= {path for room in plan().values() for path in room.files}
    assert names - {mutant.name for path in paths for mutant in Source.read(path).mutants} == set()


def test_of_some_files_alone_the_faults_are_chosen_and_what_is_known_of_others_stays() -> None:
    sources = [Source.read(ROOT / "bncheck" / "gate" / name) for name in ("saved.py", "verdict.py")]
    room = Room("no such room", ROOT / "bncheck" / "gate", ())
    chosen = [
        len(Campaign(room, Effort(files=files))._chosen(sources)) for files in ((), ("verdict.py",), ("d.py", "t.py"))
    ]
    assert chosen[0] == chosen[2] == sum(len(source.mutants) for source in sources)
    assert chosen[1] == len(sources[1].mutants)
    assert (Effort(files=("verdict.py",)).continues, Effort().continues) == (True, False)


def test_every_function_is_changed_and_nothing_beside_them(written: tuple[Path, ModuleType]) -> None:
    source = Source.read(written[0])
    found = [(mutant.function, mutant.before, mutant.after) for mutant in source.mutants]
    assert found == [
        ("twice.both", "return function(function(value))", "return None"),
        ("twice", "return both", "return None"),
        ("Box.size", "return 2", "return None"),
        ("Box.size", "2", "3"),
        ("add", "value > 3", "value >= 3"),
        ("add", "3", "4"),
        ("add", "return value + 1", "return None"),
        ("add", "value + 1", "value - 1"),
        ("add", "1", "2"),
    ]
    assert len({mutant.name for mutant in source.mutants}) == len(found)


def test_a_fault_is_put_into_functions_that_live_decorated_or_not(written: tuple[Path, ModuleType]) -> None:
    path, small = written
    gc.freeze()  # as the process of the tests is, once they are collected
    source, live, box = Source.read(path), LiveFunctions([path]), small.Box()
    assert (small.add(1), box.size) == (3, 2)
    by_change = {(mutant.function, mutant.after): mutant for mutant in source.mutants}
    live.run(source.code_of(by_change["add", "value - 1"]))
    assert (small.add(1), box.size) == (-1, 2)
    live.run(source.code_of(by_change["Box.size", "3"]))
    # One fault at a time: the other is gone.
    assert (small.add(1), box.size) == (3, 3)
    with pytest.raises(ValueError, match="too large"):
        small.add(4)


def test_blocks_that_run_are_told(written: tuple[Path, ModuleType]) -> None:
    path, small = written
    source, live = Source.read(path), LiveFunctions([path])
    small.ran = set()
    live.run(source.code_that_tells("ran"))
    block = {mutant.function: mutant.block for mutant in source.mutants}
    assert small.Box().size == 2
    assert small.ran == {block["Box.size"]}
    assert small.add(1) == 3
    assert block["add"] in small.ran
    beyond = set(range(len(source.blocks))) - small.ran
    with pytest.raises(ValueError, match="too large"):
        small.add(9)
    assert len(beyond & small.ran) == 1


@pytest.mark.parametrize(
    ("code", "after"),
    [
        ("a < b <= c", ["a <= b <= c", "a < b < c"]),
        ("a is not b", ["a is b"]),
        ("not a", ["a"]),
        ("-a", ["+a"]),
        ("a // b", ["a / b"]),
        ("a and b", ["a or b"]),
        ("2.5", ["3.5"]),
        ("True", ["False"]),
        ("'words'", []),
        ("a if b else c", ["a", "c"]),
        ("min(a, b=1)", ["min(a)", "max(a, b=1)"]),
        ("np.maximum(a, b)", ["np.minimum(a, b)"]),
        ("f(**a)", []),
    ],
)
def test_changes_of_expressions(code: str, after: list[str]) -> None:
    node = ast.parse(code, mode="eval").body
    assert [ast.unparse(ast.fix_missing_locations(new)) for _, new in changes(node)] == after
    assert ast.unparse(node) == code


@pytest.mark.parametrize(
    ("code", "after"),
    [
        ("if f(a):\n    pass", ["if not f(a):\n    pass"]),
        ("if a > b:\n    pass", []),
        ("yield a", ["pass"]),
        ("f(a)", ["pass"]),
        ("a += 1", ["a -= 1", "a = 1"]),
        ("continue", ["break"]),
        ("return", []),
        ("return None", []),
        ("return a", ["return None"]),
    ],
)
def test_changes_of_statements(code: str, after: list[str]) -> None:
    node = ast.parse(code).body[0]
    assert [ast.unparse(ast.fix_missing_locations(new)) for _, new in changes(node)] == after


def test_conditions_of_comprehensions_are_left_out() -> None:
    node = ast.parse("[a for a in b if a if c]", mode="eval").body
    assert isinstance(node, ast.ListComp)
    unparsed: Callable[[ast.AST], str] = ast.unparse
    assert [unparsed(new).strip() for _, new in changes(node.generators[0])] == ["for a in b if c", "for a in b if a"]
