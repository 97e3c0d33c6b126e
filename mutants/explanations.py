"""Why survivors survive, as `explained.toml` says."""

from __future__ import annotations

import tomllib
from pathlib import Path

EXPLAINED = Path(__file__).parent / "explained.toml"


def explained() -> dict[str, tuple[str, str]]:
    """Give the kind and the reason, by the mutant's name."""
    tables = tomllib.loads(EXPLAINED.read_text("utf-8"))
    return {name: (kind, one["why"]) for kind, group in tables.items() for one in group for name in one["mutants"]}
