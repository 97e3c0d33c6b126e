"""Models and data that MLflow keeps: `models:/NAME/VERSION` of its registry, `runs:/ID/PATH` of a run.

Source: https://mlflow.org/docs/latest/python_api/mlflow.artifacts.html
"""

from __future__ import annotations

import atexit
import importlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from bncheck.api.remote.hub import MODELS, NAMED
from bncheck.errors import ModelError, UnreadableError, UsageError
from bncheck.files import Fetched
from bncheck.formats import first_line

_CONFIGURATION = "config.json"
_FORM = (
    "a model of MLflow is named models:/NAME/VERSION or models:/NAME@ALIAS, an artifact of a run runs:/ID/PATH, both "
    "with /FILE if need be"
)


def model_in_mlflow(name: str) -> Fetched:
    """The file of a logged model that holds it, or the folder with its configuration, as `mlflow.artifacts` gives it.

    Raises:
        UsageError: MLflow is not installed, the name is none, or one of several files has to be named.
        ModelError: it cannot be fetched, or holds no model that bncheck reads.
    """
    return _chosen(artifact_in_mlflow(name, ModelError), name)


def artifact_in_mlflow(name: str, failed: type[UnreadableError]) -> Fetched:
    """A copy of the artifact, in a folder that is removed when the process ends.

    Raises:
        UsageError: MLflow is not installed, or the name is none.
        UnreadableError: it cannot be fetched.
    """
    scheme, _, rest = name.partition(":/")
    parts = rest.strip("/").split("/")
    is_whole = len(parts) > 1 or "@" in rest or (scheme.lower() == "models" and rest.startswith("m-"))
    if not is_whole or ".." in parts or not all(parts):
        raise UsageError(f"{name}: {_FORM}.")
    artifacts = _artifacts(name)
    folder = tempfile.mkdtemp(prefix="bncheck-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        given = Path(artifacts.download_artifacts(artifact_uri=name, dst_path=folder))
    except Exception as error:  # of its own, of the network, of the store
        raise failed(
            f"{name} cannot be fetched: {type(error).__name__}: {first_line(error)}. Check the name, and that "
            "MLFLOW_TRACKING_URI names the server that has it."
        ) from error
    return Fetched(given, name)


def _artifacts(name: str) -> Any:
    try:
        return importlib.import_module("mlflow.artifacts")
    except ImportError as error:
        raise UsageError(f"{name} is fetched by MLflow; install it with pip install mlflow-skinny.") from error


def _chosen(copy: Fetched, name: str) -> Fetched:
    """The file, or of a folder the only model in it."""
    folder = Path(copy)
    if folder.is_file():
        return copy
    files = sorted(path for path in folder.rglob("*") if path.name.endswith(MODELS) and path.is_file())
    described = {path.parent for path in files if (path.parent / _CONFIGURATION).is_file()}
    if len(described) == 1 and all(path.parent in described for path in files):
        return Fetched(described.pop(), name)
    if len(files) == 1:
        return Fetched(files[0], name)
    if not files:
        raise ModelError(f"{name} holds no model that bncheck reads: name a file of it, {name}/FILE.")
    inside = [path.relative_to(folder).as_posix() for path in files]
    raise UsageError(
        f"{name} holds several models: name one, such as {name}/{inside[0]} (of {', '.join(inside[:NAMED])})."
    )
