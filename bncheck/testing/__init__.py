"""For test suites: models whose statistics must describe their data, and formats that must keep bncheck's contract."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bncheck.testing.statistics import assert_statistics_match

if TYPE_CHECKING:
    from bncheck.testing.backends import check_backend
    from bncheck.testing.numbers import LayerNumbers, ReferenceNumbers, reference_numbers

__all__ = ["LayerNumbers", "ReferenceNumbers", "assert_statistics_match", "check_backend", "reference_numbers"]

_HOMES = {
    "LayerNumbers": "numbers",
    "ReferenceNumbers": "numbers",
    "check_backend": "backends",
    "reference_numbers": "numbers",
}


def __getattr__(name: str) -> Any:
    """Import on first use: what asserts statistics alone does not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'bncheck.testing' has no attribute {name!r}")
    return getattr(import_module(f"bncheck.testing.{_HOMES[name]}"), name)
