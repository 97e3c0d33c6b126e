"""Prints constraints that pin every dependency to the lowest version that pyproject.toml promises (`make lowest`).

torch is the exception: it stays as constraints.txt pins it, since older builds for the CPU alone are not on every index
and the others weigh gigabytes.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOOLS = {"ruff", "mypy", "pandas-stubs"}
"""What checks the source and runs no test: their newest version is as good."""
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)\s*>=\s*(?P<lowest>[\w.]+)")


def lowest(pyproject: str) -> list[str]:
    """A line `name==version` for every requirement with a lower bound, extras included."""
    project = tomllib.loads(pyproject)["project"]
    named = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    found = [match for match in map(_REQUIREMENT.match, named) if match]
    return [f"{one['name']}=={one['lowest']}" for one in found if one["name"] not in TOOLS | {"torch"}]


if __name__ == "__main__":
    print(*lowest((ROOT / "pyproject.toml").read_text(encoding="utf-8")), sep="\n")
    print((ROOT / "constraints.txt").read_text(encoding="utf-8"), end="")
