"""Copies of what lies elsewhere: of names that say so, and of nothing else."""

from __future__ import annotations

import atexit
import contextlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from bncheck.api.remote.hub import is_on_hub, model_on_hub, part_on_hub
from bncheck.api.remote.registry import artifact_in_mlflow, model_in_mlflow
from bncheck.errors import DataError, ModelError, UnreadableError, UsageError
from bncheck.extras import missing
from bncheck.files import Fetched, of_mlflow, remote_name
from bncheck.formats import first_line, parts_of, usual_index

_PLAIN = re.compile(r"[^\w.=-]+")


def fetched_model(source: Any) -> Any:
    """A copy of the model that `source` names, with the further files that it names; what lies here as it is.

    Raises:
        UsageError: the library that fetches such a name is not installed, or knows no such place.
        ModelError: it cannot be fetched.
    """
    name = remote_name(source)
    if name is None:
        return source
    if of_mlflow(name):  # with all that was logged beside it
        return model_in_mlflow(name)
    copy = model_on_hub(name) if is_on_hub(name) else _copied(name, ModelError)
    folder = Path(copy).parent

    def fetch(part: Path) -> None:
        """Fetch what is to stand beside the copy."""
        where = part.relative_to(folder)
        if is_on_hub(name):
            part_on_hub(name, copy.commit, where)
        else:
            _copy(f"{name.rpartition('/')[0]}/{where.as_posix()}", part, ModelError)

    if (index := _index_of(copy)) is not None:
        with contextlib.suppress(ModelError):  # there may be none
            fetch(index)
    for part in _missing_parts(Path(copy)):
        fetch(part)
    return copy


def fetched_data(source: Any) -> Any:
    """A copy of the data that `source` names, a file or a folder; what lies here as it is.

    Raises:
        UsageError: as `fetched_model`; a repository of the Hub is named.
        DataError: they cannot be fetched.
    """
    name = remote_name(source)
    if name is None:
        return source
    return artifact_in_mlflow(name, DataError) if of_mlflow(name) else _copied(name, DataError)


def _copied(name: str, failed: type[UnreadableError]) -> Fetched:
    """The copy, in a folder that is removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="bncheck-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    last = _PLAIN.sub("_", name.partition("?")[0].rstrip("/").rpartition("/")[2]).strip(".") or "file"
    target = Path(folder) / last
    _copy(name, target, failed)
    return Fetched(target, name)


def _copy(name: str, target: Path, failed: type[UnreadableError]) -> None:
    try:
        import fsspec
    except ImportError as error:
        raise missing("fsspec", f"Fetching {name}") from error
    try:
        system, path = fsspec.core.url_to_fs(name)
    except (ImportError, ValueError) as error:  # a scheme without its package, or none that is known
        raise UsageError(f"{name}: fsspec cannot reach such a place: {first_line(error)}.") from error
    except Exception as error:  # whatever its libraries raise
        raise failed(_unreachable(name, error)) from error
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not name.lower().startswith("http") and system.isdir(path):
            system.get(path.rstrip("/") + "/", str(target) + "/", recursive=True)
        else:
            system.get_file(path, str(target))
    except Exception as error:  # whatever its libraries raise
        target.unlink(missing_ok=True) if target.is_file() else None
        raise failed(_unreachable(name, error)) from error


def _unreachable(name: str, error: Exception) -> str:
    why = "there is no such file" if isinstance(error, FileNotFoundError) else first_line(error)
    return f"{name} cannot be fetched: {why}. Check the name, the network and your rights to it, or copy it here."


def _index_of(copy: Fetched) -> Path | None:
    """Where the index lies that a file called as one of several has by custom, if it was not fetched with it."""
    path = Path(copy)
    name = usual_index(path.name) if path.is_file() else None
    return None if name is None or (path.parent / name).exists() else path.parent / name


def _missing_parts(path: Path) -> list[Path]:
    """Further files that a model's file names, within its folder, and that were not fetched with it."""
    if not path.is_file():
        return []
    inside = [part for part in parts_of(path) if part.resolve().is_relative_to(path.parent.resolve())]
    return [part for part in inside if not part.exists()]
