"""The pages in the repository: what they link to is there, and what they name exists."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest
from house import FLOORS

import bncheck

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
INTEGRATIONS = ROOT / "bncheck" / "integrations" / "README.md"


@pytest.mark.parametrize("page", [*PAGES, INTEGRATIONS], ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    inside = [link for link in links if not link.startswith("http")]
    assert [link for link in inside if not (page.parent / link).exists()] == []


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_contributing_names_what_is_there() -> None:
    paths = set(re.findall(r"`((?:bncheck|tests|benchmarks|docs)/[\w./<>]+?)/?`", CONTRIBUTING))
    assert len(paths) > 40
    # Of what is to be written, the folder is there; that of a format or a subject is new itself.
    there = {re.sub(r"/(<\w+>/)?(NAME|bnxxx)\b.*", "", path) for path in paths}
    assert {path for path in there if not (ROOT / path).exists()} == set()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:\$ |`)make ([a-z-]+)", CONTRIBUTING))
    assert named
    assert named <= targets


@pytest.mark.parametrize("of", ["a batch", "a file"])
def test_a_walk_enters_each_room_once(of: str) -> None:
    walk = CONTRIBUTING.partition(f"## The walk of {of}")[2].partition("\n## ")[0]
    rooms = re.findall(r"`bncheck/(\w+)", walk)
    assert len(rooms) >= 7
    assert len(set(rooms)) == len(rooms)
    assert set(rooms) <= set(FLOORS)


def test_contributing_has_the_floors_that_are_tested() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", CONTRIBUTING, re.MULTILINE)
    named = {int(floor): set(re.findall(r"`(\w+)/?`", rooms)) for floor, rooms in rows}
    order = {room: floor for floor, rooms in named.items() for room in rooms}
    assert set(order) == set(FLOORS) - {"__init__", "__main__"}
    # Two of the lowest floor stand on the other two.
    assert all((order[a] < order[b]) <= (FLOORS[a] < FLOORS[b]) for a in order for b in order)
    assert all((FLOORS[a] < FLOORS[b]) <= (order[a] <= order[b]) for a in order for b in order)


def test_the_version_stands_in_one_place() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert pyproject["project"]["dynamic"] == ["version"]
    home = ROOT / pyproject["tool"]["hatch"]["version"]["path"]
    assert re.findall(r'^__version__ = "(.+)"$', home.read_text(encoding="utf-8"), re.MULTILINE) == [
        bncheck.__version__
    ]


def test_pictures_are_small() -> None:
    pictures = sorted((ROOT / "docs" / "images").glob("*.png"))
    names = [picture.name for picture in pictures]
    assert names == ["gate.png", "repair.png", "report.png", "terminal.png", "training.png"]
    assert all(picture.stat().st_size < 200_000 for picture in pictures)


def test_every_picture_is_taken_by_the_command_and_shown_on_a_page() -> None:
    shots = runpy.run_path(str(ROOT / "docs" / "screenshots.py"))["SHOTS"]
    shown = {f"{shot.name}.png" for shot in shots if shot.shown}
    assert shown == {picture.name for picture in (ROOT / "docs" / "images").glob("*.png")}
    texts = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in sorted(shown) if f"images/{name})" not in texts] == []
