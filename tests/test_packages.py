"""What is published: a wheel that works by itself, and a source archive that its own commands run in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest
from hatchling.build import build_sdist, build_wheel
from packaging.requirements import Requirement

from bncheck.extras import EXTRA_OF
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


def required(installed: Path) -> dict[str, set[str]]:
    """What the wheel requires by extra, `""` for the base install; those that name others hold what these bring."""
    (metadata,) = distributions(path=[str(installed)])
    found: dict[str, set[str]] = {"": set(), **{extra: set() for extra in metadata.metadata.get_all("Provides-Extra")}}
    for line in metadata.requires or ():
        wanted = Requirement(line)
        extra = re.search(r"extra == ['\"](\w+)['\"]", str(wanted.marker or ""))
        found[extra[1] if extra else ""].add(wanted.name)
    return found


def test_the_base_install_brings_no_torch_and_every_extra_what_it_is_for(installed: Path) -> None:
    brought = required(installed)
    heavy = {name.replace("_", "-") for name in EXTRA_OF} | set(EXTRA_OF)
    assert not {name.lower() for name in brought[""]} & heavy
    assert {"numpy", "safetensors", "rich", "typer", "pandas"} <= brought[""]
    for package, extra in EXTRA_OF.items():
        assert {package, package.replace("_", "-")} & {name.lower() for name in brought[extra]}, (package, extra)
    wanted = {"torch", "onnx", "html", "keras", "hub", "parquet", "lightning", "transformers"}
    assert set(EXTRA_OF.values()) == wanted
    assert set().union(*(brought[extra] for extra in wanted)) == brought["all"] <= brought["dev"]


def test_an_extra_that_a_page_or_a_message_names_is_one(installed: Path) -> None:
    pages = [ROOT / "README.md", ROOT / "action.yml", ROOT / "Makefile", ROOT / "Dockerfile"]
    texts = [
        *pages,
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "bncheck").rglob("*.py"),
        *(ROOT / "bncheck").rglob("*.md"),
    ]
    named = {
        extra
        for path in texts
        for found in re.findall(r"(?:bncheck|'\.|/source|SOURCE)\[([a-z,]+)\]", path.read_text("utf-8"))
        for extra in found.split(",")
    }
    assert {"torch", "onnx", "html", "lightning", "dev"} <= named
    assert named <= set(required(installed)) - {""}


def test_the_container_is_built_of_what_is_there() -> None:
    """Its stages copy paths that the build is given, install extras that exist, and start the package's command."""
    steps = [
        line.split(maxsplit=1)
        for line in re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8")).splitlines()
        if line.strip()
    ]
    assert [words[0] for words in steps if words[0] not in ("ARG", "USER", "WORKDIR", "COPY", "RUN", "FROM")] == [
        "ENTRYPOINT",
        "CMD",
    ]
    given = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = {source for word, rest in steps if word == "COPY" for source in rest.split()[:-1]}
    assert copied == given
    assert all((ROOT / path).exists() for path in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    needed = {project["project"]["readme"], *project["project"]["license-files"], "pyproject.toml", "constraints.txt"}
    assert needed | set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == copied
    assert ["ENTRYPOINT", '["bncheck"]'] in steps
    assert "bncheck" in project["project"]["scripts"]
    installing = (ROOT / "docs" / "guide" / "installing.md").read_text("utf-8")
    stages = {rest.split()[-1] for word, rest in steps if word == "FROM"}
    assert set(re.findall(r"--target (\w+)", installing)) <= stages
    arguments = {rest.rstrip("=") for word, rest in steps if word == "ARG"}
    assert set(re.findall(r"--build-arg (\w+)=", installing)) == arguments
