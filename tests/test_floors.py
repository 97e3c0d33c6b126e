"""The house: who may import whom, how large its parts may be, and that what must start fast loads nothing slow."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import house
import pytest
from hand_made import full_report

import bncheck
from bncheck.render import renderer

LONGEST = 300
"""Lines in a file."""
MOST_FILES = 15
"""Modules in one folder."""
MOST_PARAMETERS = 8
CLIMBS = {("bncheck.results.report", "bncheck.render")}
"""The only import from a higher floor, importer and module: a notebook asks the report itself for its page."""


def listed(violations: list[house.Import]) -> str:
    return "\n".join(["", *map(str, violations)])


def test_modules_import_from_lower_floors_or_from_their_own_room() -> None:
    everything = house.imports()
    unknown = [one for one in everything if not {one.own, one.target} <= set(house.FLOORS)]
    assert not unknown, listed(unknown)
    climbing = [one for one in everything if house.climbs(one)]
    assert {(one.importer, one.module) for one in climbing} == CLIMBS, listed(climbing)


def test_rooms_are_entered_by_their_doors() -> None:
    violations = [one for one in house.imports() if house.enters_by_the_window(one)]
    assert not violations, listed(violations)


@pytest.mark.parametrize(
    ("importer", "source", "climbing", "by_the_window"),
    [
        ("bncheck.core.gap", "from bncheck.render import renderer", True, False),
        ("bncheck.gate.again", "def f():\n    from bncheck.rules import judge", False, False),
        ("bncheck.gate.again", "from bncheck.rules import _judge", False, True),
        ("bncheck.gate.again", "import bncheck.rules.catalogue", False, True),
        ("bncheck.gate.again", "from bncheck.rules import catalogue", False, True),
        ("bncheck.gate.again", "x = import_module('bncheck.cli.app')", True, True),
        ("bncheck.rules.judged", "T = {'a': 'cli.app'}\nimport_module(f'bncheck.{T[x]}')", True, True),
        ("bncheck.rules.judged", "T = {'a': 'cli'}\nprint(T)", False, False),
        ("bncheck.rules.judged", "from ..cli import app", True, True),
        ("bncheck.rules.judged", "from . import catalogue", False, False),
        ("bncheck.formats.opening", "import_module('.onnx', __package__)", False, False),
        ("bncheck.formats.opening", "from bncheck.formats.onnx import reading", False, False),
        ("bncheck.formats.opening", "from bncheck.formats.onnx.running import taps", False, True),
        ("bncheck.formats.onnx.running.taps", "from bncheck.formats.programs import tap", False, False),
        ("bncheck.errors", "from bncheck import __version__", False, False),
    ],
)
def test_an_import_is_seen_however_it_is_written(
    importer: str, source: str, climbing: bool, by_the_window: bool
) -> None:
    found = list(house.imports_of(importer, source))
    assert any(map(house.climbs, found)) == climbing
    assert any(map(house.enters_by_the_window, found)) == by_the_window


def test_every_room_has_a_floor() -> None:
    rooms = {house.room_of(name) for name in house.modules()}
    assert rooms - set(house.FLOORS) == set()


def test_files_can_be_read_in_one_sitting() -> None:
    lines = {name: len(path.read_text("utf-8").splitlines()) for name, path in house.modules().items()}
    assert {name: number for name, number in lines.items() if number > LONGEST} == {}


def test_folders_can_be_read_at_a_glance() -> None:
    files = Counter(str(path.parent.relative_to(house.PACKAGE.parent)) for path in house.modules().values())
    assert {folder: number for folder, number in files.items() if number > MOST_FILES} == {}


def is_public(name: str) -> bool:
    """Whether users call it with keywords: what the package exports, a command, a callback's constructor."""
    module, _, function = name.partition(":")
    room = house.room_of(module)
    if room == "cli":
        return function.endswith("_command")
    return function in bncheck.__all__ or (room == "integrations" and function == "__init__")


def test_functions_have_few_parameters() -> None:
    many = {name for name, function in house.functions() if house.parameters(function) > MOST_PARAMETERS}
    assert {name for name in many if not is_public(name)} == set()


def loaded_by(statement: str) -> set[str]:
    """Top-level packages in `sys.modules` after `statement` in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_values_and_renderers_do_without_torch() -> None:
    assert "torch" not in loaded_by("from bncheck import core, evidence, gate, render, results, rules")


def test_rooms_that_the_documentation_names_are_reached_from_the_package() -> None:
    """In an interpreter that imported `bncheck` alone, spelled as pages and docstrings spell them."""
    root = house.PACKAGE.parent
    pages = [root / "CONTRIBUTING.md", root / "CHANGELOG.md", root / "README.md", *(root / "docs").rglob("*.md")]
    sources = [
        *(page.read_text("utf-8") for page in pages),
        *(path.read_text("utf-8") for path in house.modules().values()),
    ]
    spelled = {name for text in sources for name in re.findall(r"(?:`|with |= )(bncheck\.[a-z]+\.[a-z_]+)[(`]", text)}
    public = {name for name in spelled if name.split(".")[1] in bncheck.__all__ and not is_a_module(name)}
    assert public >= {
        *("bncheck.rules.rules_from", "bncheck.formats.registered", "bncheck.data.reading_also"),
        *("bncheck.testing.check_backend", "bncheck.testing.assert_statistics_match"),
    }
    light = "import sys\nassert not {'torch', 'numpy', 'bncheck.rules'} & set(sys.modules)"
    loaded = loaded_by("\n".join(["import bncheck", light, "bncheck.integrations", *sorted(public)]))
    assert "torch" in loaded


def is_a_module(name: str) -> bool:
    return (house.PACKAGE.parent / f"{name.replace('.', '/')}.py").exists() or (
        house.PACKAGE.parent / name.replace(".", "/")
    ).is_dir()


LIGHT = [
    *(["--help"], ["--version"], ["rules", "--format", "json"], ["rule", "BN102"]),
    *(["inspect", "--help"], ["repair", "--help"], ["stamp", "--help"]),
]


def test_help_and_rules_load_nothing_slow() -> None:
    """One after another in one interpreter: what the first of them loads, the next ones show too."""
    slow = {"torch", "onnx", "pandas", "numpy", "matplotlib", "jinja2"}
    loaded = loaded_by(
        f"import sys\nfrom bncheck.__main__ import main\nfor arguments in {LIGHT!r}:\n"
        "    sys.argv = ['bncheck', *arguments]\n    try:\n        main()\n    except SystemExit as end:\n"
        f"        assert not end.code, arguments\n    assert not {slow!r} & set(sys.modules), arguments"
    )
    assert "typer" in loaded
    assert not loaded & slow


def test_gate_loads_nothing_slow(tmp_path: Path) -> None:
    saved = tmp_path / "report.json"
    older = tmp_path / "older.json"
    for path in (saved, older):
        path.write_text(renderer("json")(full_report()), encoding="utf-8")
    loaded = loaded_by(
        f"import sys\nsys.argv = ['bncheck', 'gate', {str(saved)!r}, '--max-gap', '0.5', "
        f"'--report', {f'json={older}'!r}]\n"
        "from bncheck.__main__ import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert end.code == 1"
    )
    assert "rich" in loaded
    assert not loaded & {"torch", "onnx", "pandas", "numpy"}


def test_a_command_waits_for_no_other() -> None:
    code = (
        "import sys\nsys.argv = ['bncheck', 'rules']\n"
        "from bncheck.__main__ import main\ntry:\n    main()\nexcept SystemExit:\n    print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "bncheck.cli.commands.rules" in loaded
    assert not loaded & {f"bncheck.cli.commands.{name}" for name in ("inspect", "repair", "gate")}
    assert not loaded & {"bncheck.cli.options.declared", "bncheck.cli.progress"}
    assert not any(name.startswith("bncheck.gate") for name in loaded)


def test_reports_are_written_without_what_is_slow() -> None:
    formats = ["json", "markdown", "junit", "sarif", "github", "html"]
    loaded = loaded_by(f"from bncheck.render import renderer\nfor name in {formats}: renderer(name)")
    assert not loaded & {"torch", "onnx", "pandas", "numpy"}


@pytest.mark.slow
def test_the_page_is_drawn_without_torch_and_the_notebook_without_matplotlib() -> None:
    making = "import sys; sys.path.insert(0, 'tests'); from hand_made import full_report\n"
    assert "torch" not in loaded_by(f"{making}from bncheck.render import renderer\nrenderer('html')(full_report())")
    loaded = loaded_by(f"{making}full_report()._repr_html_()")
    assert "jinja2" in loaded
    assert not loaded & {"torch", "onnx", "matplotlib"}
