"""Reports of other versions: those of earlier ones made into what this one reads, others refused.

The one place that knows how reports were written before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bncheck.results.codec import Origin
from bncheck.results.misfit import shown

SCHEMA_VERSION = 1
KEY = "schema_version"
COMPLETE = "complete"
"""The end mark: the last key of a document, true. It is written when all else is known."""
_LEFT_OUT = re.compile(r"(\d{1,15}) samples? left out")


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


def require_complete(document: object, origin: Origin) -> None:
    """Raise UnreadableError where a document that was read lacks its end mark. Those of 0.1.0 had none.

    These are told by what else they had not yet, see `run_before`. They were written whole or not at all, too, and a
    part of a document is no JSON.
    """
    run = document.get("run") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or (isinstance(run, Mapping) and "asked" not in run):
        return
    if COMPLETE not in document:
        raise origin.is_none(
            f"its end mark, {COMPLETE}, is missing. The run that it is of did not finish, or somebody changed it",
            f"whole {origin.what}",
        )
    if document[COMPLETE] is not True:
        raise origin.is_none(f"{COMPLETE} should be true and is {shown(document[COMPLETE])}", f"whole {origin.what}")


def finding_before(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A finding whose layers, and why it was accepted, stood among its evidence."""
    if "layers" in document:
        return document
    evidence, layer = document.get("evidence"), document.get("layer")
    if not isinstance(evidence, Mapping):
        return {**document, "layers": []}  # that is an error of its own
    listed = evidence.get("layers", ())
    return {
        **document,
        "layers": [layer] if layer is not None else listed if isinstance(listed, list | tuple) else [],
        "accepted": evidence.get("accepted"),
        "evidence": {key: value for key, value in evidence.items() if key != "accepted"},
    }


def run_before(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A run that held what it was asked for among its options alone."""
    options = document.get("options")
    if "asked" in document or not isinstance(options, Mapping):
        return document
    return {**document, "asked": asked_among(options)}


def asked_among(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """What options say was asked for, as an `Asked` is written. Those that were not given are none of them."""
    return {
        "fail_on": options.get("fail_on", "warning"),
        "strict": options.get("strict", False),
        "max_gap": options.get("max_gap"),
        "select": _codes(options.get("select")),
        "ignore": _codes(options.get("ignore")),
        "data": options.get("data"),
        "reference": options.get("reference") is not None,
        "arch": options.get("arch") is not None,
        "metric": options.get("metric") is not None,
    }


def report_before(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A report that told in a note how many samples it left out."""
    summary, run = document.get("summary"), document.get("run")
    if not (isinstance(summary, Mapping) and isinstance(run, Mapping)) or "samples_left_out" in summary:
        return document
    notes = run.get("notes", ())
    found = [
        int(told[1])
        for note in (notes if isinstance(notes, list | tuple) else ())
        if isinstance(note, str) and (told := _LEFT_OUT.search(note))
    ]
    return {**document, "summary": {**summary, "samples_left_out": sum(found)}}


def repair_before(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A repair that told where it wrote, and not where it was to write."""
    return {"out": document.get("path"), **document}


def _codes(value: object) -> list[str]:
    """Codes as options keep them: by comma, in a list, or both."""
    values = [value] if isinstance(value, str) else value if isinstance(value, Iterable) else ()
    return [code.strip().upper() for item in values for code in str(item).split(",") if code.strip()]
