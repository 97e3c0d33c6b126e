"""Repositories of the Hugging Face Hub: weights and configurations as files, safetensors first; code is never taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from bncheck.errors import ModelError, UsageError
from bncheck.extras import missing
from bncheck.files import Fetched
from bncheck.formats import first_line

_SCHEME = "hf://"
_NAME = re.compile(r"hf://(?P<repository>[^/@]+/[^/@]+)(@(?P<revision>[^/]+))?(/(?P<file>.+))?", re.IGNORECASE)
_CONFIGURATIONS = ("config.json", "preprocessor_config.json")
_SAFE = ("*.safetensors", "*.safetensors.index.json")
_OTHERS = ("*.bin", "*.bin.index.json", "*.pt", "*.pth", "*.ckpt", "*.pt2", "*.onnx", "*.keras", "*.h5")
MODELS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pt2", ".onnx", ".keras", ".h5")
"""How files of models end."""
NAMED = 6
"""Files that a message names at the most."""


def is_on_hub(name: str) -> bool:
    """Whether a name is of the Hub."""
    return name.lower().startswith(_SCHEME)


def model_on_hub(name: str) -> Fetched:
    """A file of a repository, or its folder with a configuration and weights, in the Hub's own cache.

    Raises:
        UsageError: huggingface_hub is not installed, the name is none, or one of several files has to be named.
        ModelError: it cannot be fetched.
    """
    repository, revision, file = _parsed(name)
    library = _library(name)
    if file is not None:
        path = Path(_asked(name, library.hf_hub_download, repository, file, revision=revision))
        return Fetched(path, name, _commit(path))
    folder = _snapshot(name, library, repository, revision, (*_CONFIGURATIONS, *_SAFE))
    if not list(folder.glob("*.safetensors")):
        folder = _snapshot(name, library, repository, _commit(folder) or revision, (*_CONFIGURATIONS, *_OTHERS))
    return _chosen(folder, name)


def part_on_hub(name: str, commit: str | None, part: Path) -> None:
    """Fetch a further file that a file of the repository names, beside it."""
    repository, _, file = _parsed(name)
    path = PurePosixPath(file or "").parent / part.as_posix()
    _asked(name, _library(name).hf_hub_download, repository, str(path), revision=commit)


def _parsed(name: str) -> tuple[str, str | None, str | None]:
    match = _NAME.fullmatch(name.rstrip("/"))
    if match is None or ".." in PurePosixPath(match["file"] or "").parts:
        raise UsageError(
            f"{name}: a model of the Hub is named hf://ORGANISATION/NAME, with @REVISION and /FILE if need be."
        )
    revision = match["revision"]
    return match["repository"], None if revision is None else unquote(revision), match["file"]


def _library(name: str) -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise missing("huggingface_hub", f"Fetching {name}") from error
    return huggingface_hub


def _snapshot(name: str, library: Any, repository: str, revision: str | None, patterns: Sequence[str]) -> Path:
    return Path(_asked(name, library.snapshot_download, repository, revision=revision, allow_patterns=list(patterns)))


def _asked(name: str, ask: Callable[..., str], *given: str, **how: Any) -> str:
    try:
        return ask(*given, **how)
    except Exception as error:  # of its own, of the network, of the disk
        raise ModelError(
            f"{name} cannot be fetched: {type(error).__name__}: {first_line(error)}. Check the name, the network, and "
            "whether you are logged in to a repository that asks for it; what was fetched once takes no network."
        ) from error


def _chosen(folder: Path, name: str) -> Fetched:
    """The folder, where it is one of a known class; else its only model."""
    files = sorted(path.name for path in folder.iterdir() if path.name.endswith(MODELS))
    if (folder / _CONFIGURATIONS[0]).is_file() and files:
        return Fetched(folder, name, _commit(folder))
    if len(files) == 1:
        return Fetched(folder / files[0], name, _commit(folder))
    if not files:
        raise ModelError(f"{name} holds no model at its top level: name a file, {name}/FILE.")
    raise UsageError(
        f"{name} holds several models: name one, such as {name}/{files[0]} (of {', '.join(files[:NAMED])})."
    )


def _commit(path: Path) -> str | None:
    """The commit in whose snapshot a file lies."""
    pairs = zip(path.parts, path.parts[1:], path.parts[2:], strict=False)
    found = [commit for owner, kind, commit in pairs if owner.startswith("models--") and kind == "snapshots"]
    return found[-1] if found else None
