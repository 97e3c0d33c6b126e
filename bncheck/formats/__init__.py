"""Trained models from files and from Python: one contract, `Backend`, whatever the format.

A format is a folder here that defines a `FORMAT`; it is found by that. `registered` adds one from elsewhere.
"""

from bncheck.formats.backend import Backend
from bncheck.formats.format import Adoption, Container, Format, Request
from bncheck.formats.in_memory import adopted, from_module
from bncheck.formats.opening import open_any, open_model
from bncheck.formats.origin import Origin
from bncheck.formats.registry import known_formats, registered

__all__ = [
    "Adoption",
    "Backend",
    "Container",
    "Format",
    "Origin",
    "Request",
    "adopted",
    "from_module",
    "known_formats",
    "open_any",
    "open_model",
    "registered",
]
