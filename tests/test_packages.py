"""What is published: a wheel that works by itself, and a source archive that its own commands run in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_sdist, build_wheel

from bncheck.rules import RULES

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel holds, as pip would lay it out."""
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        name = build_wheel(str(folder))
    with zipfile.ZipFile(folder / name) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def of_the_wheel(installed: Path, *arguments: str) -> str:
    """What a command of the package in the wheel prints."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=installed).stdout


def test_the_wheel_has_its_pages_templates_and_types(installed: Path) -> None:
    names = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert {rule.path.relative_to(ROOT).as_posix() for rule in RULES} <= names
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "bncheck").rglob("*") if path.is_file()}
    assert {name for name in there if "__pycache__" not in name} == {n for n in names if n.startswith("bncheck/")}
    assert not [name for name in names if not name.startswith(("bncheck/", "bncheck-"))]


@pytest.mark.slow
def test_the_wheel_works_by_itself(installed: Path) -> None:
    assert of_the_wheel(installed, "-c", "import bncheck; print(bncheck.__file__)").startswith(str(installed))
    assert "statistics never updated" in of_the_wheel(installed, "-m", "bncheck", "rule", "BN102")
    sample = ROOT / "sample_models" / "healthy.pt"
    page = installed / "page.html"
    said = of_the_wheel(installed, "-m", "bncheck", "inspect", str(sample), "--report", str(page), "--no-config")
    assert "Nothing wrong in the stored values" in " ".join(said.split())
    assert "</html>" in page.read_text(encoding="utf-8")


def test_the_source_archive_has_what_its_commands_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with tarfile.open(tmp_path / build_sdist(str(tmp_path))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    asked = set(re.findall(r"(?:docs|\.ci)/[\w./-]+\.(?:py|md)", makefile)) | {"mkdocs.yml", "constraints.txt"}
    assert asked <= names
    assert {f"sample_models/{path.name}" for path in (ROOT / "sample_models").glob("*.pt*")} <= names
    assert "tests/test_packages.py" in names
