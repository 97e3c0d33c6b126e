"""The further files that a model's file names, and whether all of them are still what was opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bncheck.errors import ModelError
from bncheck.files import InputFiles
from bncheck.formats.digest import sha256_of
from bncheck.formats.folders.hugging_face import hugging_face_folder
from bncheck.formats.recognition.leading import leading_file
from bncheck.formats.recognition.recognise import format_of


def model_inputs(models: Mapping[str, object]) -> InputFiles:
    """The files of models, by role, each with its parts; modules handed over in Python have none."""
    found = InputFiles.named(models)
    for role, model in models.items():
        if isinstance(model, str | Path):
            found += InputFiles.parts(role, parts_of(Path(model)))
    return found


def parts_of(path: Path) -> tuple[Path, ...]:
    """Shards and external data of the model at `path`, in the order it names them, whether or not they are there.

    For a folder, or one of several shards, the file that leads to the others comes first.

    Nothing of a file that cannot be read: whoever opens it says why.
    """
    try:
        folder = hugging_face_folder(path)
        file = leading_file(path) if folder is None else folder.weights
        found, container = format_of(file)
        return (*(() if file == path else (file,)), *found.parts(file, container))
    except Exception:  # noqa: BLE001  # whatever a damaged file provokes
        return ()


def require_unchanged(path: Path, sha256: str | None) -> None:
    """Refuse to go on with a model whose files are no longer those that were opened.

    Args:
        path: of the model.
        sha256: of its files when they were opened.

    Raises:
        ModelError: one was removed, replaced or changed since.
    """
    try:
        now = sha256_of(path, *parts_of(path))
    except OSError as error:
        raise ModelError(_changed(path, "was removed or cannot be read any more")) from error
    if now != sha256:
        raise ModelError(_changed(path, "is not the file any more that was measured"))


def _changed(path: Path, what: str) -> str:
    return f"{path} {what}: it changed while bncheck ran, and nothing was written. Run it again once it stays as it is."
