"""Names of files on other machines, and the copies of them that are read."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from bncheck.errors import BncheckError

_NAME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/+(?P<rest>[^/].*)", re.IGNORECASE | re.DOTALL)
_COLLAPSED = frozenset(
    (
        "hf",
        "s3",
        "s3a",
        "gs",
        "gcs",
        "az",
        "abfs",
        "adl",
        "http",
        "https",
        "ftp",
        "sftp",
        "ssh",
        "hdfs",
        "memory",
        "file",
    )
)
"""Schemes by which a name is known even where a `Path` has taken one of its two slashes."""


_OF_MLFLOW = frozenset(("models", "runs"))
"""Schemes of MLflow, whose names have one slash."""


class Fetched(str):
    """The path of a copy of what lies elsewhere.

    Attributes:
        shown: the name that was given for it.
        commit: of the repository it was taken from; `None` where there is none.
    """

    shown: str
    commit: str | None

    def __new__(cls, path: Path | str, shown: str, commit: str | None = None) -> Fetched:
        """The copy at `path` of what `shown` names."""
        made = super().__new__(cls, path)
        made.shown, made.commit = shown, commit
        return made


def remote_name(value: object) -> str | None:
    """The name, where it is of another machine: `hf://org/name`, `s3://bucket/file`, `models:/name/1`; else `None`."""
    if isinstance(value, Fetched) or not isinstance(value, str | Path):
        return None
    match = _NAME.fullmatch(str(value))
    if match is None:
        return None
    if match["scheme"].lower() in _OF_MLFLOW:
        return f"{match['scheme'].lower()}:/{match['rest']}"
    if str(value).startswith(f"{match['scheme']}://"):
        return str(value)
    return f"{match['scheme']}://{match['rest']}" if match["scheme"].lower() in _COLLAPSED else None


def of_mlflow(name: str) -> bool:
    """Whether a name of another machine is one that MLflow gives."""
    return name.partition(":/")[0] in _OF_MLFLOW


def name_here(name: str) -> str:
    """What a file is called here that is made of what has that name elsewhere: `digits-3` of `models:/digits/3`."""
    last = name.rstrip("/").rpartition("/")[2]
    if not of_mlflow(name) or Path(last).suffix:
        return last
    return re.sub(r"[^\w.=-]+", "-", name.partition(":/")[2].strip("/"))


def shown_name(value: object) -> str:
    """A path as it was named."""
    return value.shown if isinstance(value, Fetched) else str(value)


@contextlib.contextmanager
def shown_as_named(value: object) -> Iterator[None]:
    """Within it errors name what was named, and not the copy of it."""
    try:
        yield
    except BncheckError as error:
        if not isinstance(value, Fetched):
            raise
        raise type(error)(*(str(line).replace(str(value), value.shown) for line in error.lines)) from error
