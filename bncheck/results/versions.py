"""The version of the JSON that reports are written in."""

from __future__ import annotations

from collections.abc import Mapping

from bncheck.results.codec import Origin
from bncheck.results.misfit import shown

SCHEMA_VERSION = 1
KEY = "schema_version"


def require_version(document: object, origin: Origin) -> None:
    """Raise UnreadableError where a document is of no version, or of one that cannot be read here."""
    if not isinstance(document, Mapping) or KEY not in document:
        raise origin.is_none(f"it has no {KEY}")
    version = document[KEY]
    if type(version) is not int or version != SCHEMA_VERSION:
        raise origin.error(
            f"{origin.name} has {KEY} {shown(version)}; this bncheck reads {SCHEMA_VERSION}. "
            f"Inspect the model again, or judge the {origin.what} with the bncheck that wrote it."
        )
