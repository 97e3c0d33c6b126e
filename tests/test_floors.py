"""The house: modules import only from lower floors, and what must start fast does not load what is slow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hand_made import full_report

from bncheck.render import renderer

PACKAGE = Path(__file__).parent.parent / "bncheck"
FLOORS = {
    "__init__": 0,
    "errors": 0,
    "encoding": 0,
    "thresholds": 0,
    "statistics": 0,
    "files": 1,
    "talk": 0,
    "user_code": 1,
    "layers": 1,
    "report": 1,
    "probed": 1,
    "folding": 2,
    "catalogue": 2,
    "difference": 2,
    "repair_report": 2,
    "evidence": 3,
    "render": 3,
    "gate": 3,
    "data": 2,
    "rules": 4,
    "models": 3,
    "observe": 4,
    "assembly": 5,
    "judging": 5,
    "inspection": 6,
    "stamping": 6,
    "comparing": 6,
    "testing": 7,
    "repair": 7,
    "integrations": 8,
    "cli": 8,
    "__main__": 9,
}
LONGEST = 300


def room(module: str) -> str:
    """The room of a dotted module name: what comes after `bncheck`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports_of(path: Path) -> list[str]:
    """Dotted names of the package's own modules that `path` imports, wherever in the file."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "bncheck":
            # `from bncheck import x` may name a module or an attribute of the package itself.
            plain = node.module == "bncheck"
            names += [f"bncheck.{a.name}" if plain and a.name in FLOORS else node.module for a in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name.split(".")[0] == "bncheck"]
    return names


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_import_downwards_or_from_their_own_room(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports_of(path):
        target = room(name)
        if own == "__init__" and path.name == "__init__.py":
            continue  # the package's face: it re-exports lazily
        assert target == own or FLOORS[target] < FLOORS[own], f"{own} (floor {FLOORS[own]}) imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_every_room_has_a_floor() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
    assert rooms == set(FLOORS)


def loaded_by(statement: str) -> set[str]:
    """Top-level packages in `sys.modules` after `statement` in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("module", ["statistics", "report", "render", "gate", "catalogue", "rules"])
def test_values_and_renderers_do_without_torch(module: str) -> None:
    assert "torch" not in loaded_by(f"import bncheck.{module}")


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["--version"], ["rules", "--format", "json"], ["rule", "BN102"]),
        *(["inspect", "--help"], ["repair", "--help"], ["stamp", "--help"]),
    ],
)
def test_help_and_rules_load_nothing_slow(arguments: list[str]) -> None:
    loaded = loaded_by(
        f"import sys\nsys.argv = ['bncheck', *{arguments!r}]\n"
        "from bncheck.__main__ import main\ntry:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert not loaded & {"torch", "onnx", "pandas", "numpy", "matplotlib", "jinja2"}


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
    assert not loaded & {f"bncheck.cli.{name}" for name in ("inspect", "repair", "gate", "options", "progress")}
    assert not any(name.startswith("bncheck.gate") for name in loaded)


@pytest.mark.parametrize("format_name", ["json", "markdown", "junit", "sarif", "github", "html"])
def test_reports_are_written_without_what_is_slow(format_name: str) -> None:
    loaded = loaded_by(f"from bncheck.render import renderer\nrenderer({format_name!r})")
    assert not loaded & {"torch", "onnx", "pandas", "numpy"}


def test_the_page_is_drawn_without_torch_and_the_notebook_without_matplotlib() -> None:
    making = "import sys; sys.path.insert(0, 'tests'); from hand_made import full_report\n"
    assert "torch" not in loaded_by(f"{making}from bncheck.render import renderer\nrenderer('html')(full_report())")
    loaded = loaded_by(f"{making}full_report()._repr_html_()")
    assert "jinja2" in loaded
    assert not loaded & {"torch", "onnx", "matplotlib", "itables"}
