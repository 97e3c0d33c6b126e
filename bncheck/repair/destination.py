"""Where a repaired model goes, and what must never be overwritten."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bncheck.errors import UsageError
from bncheck.formats import Model
from bncheck.formats.format import Container
from bncheck.formats.registry import known_formats


@dataclass(frozen=True, slots=True)
class Target:
    """Where the model goes, and what must not be written over.

    Attributes:
        out: the main file.
        inputs: every file that was read.
        overwrite: whether an existing `out` may be written over.
        beside: whether it lies in the folder of the original.
    """

    out: Path
    inputs: tuple[Path, ...]
    overwrite: bool
    beside: bool

    def require_free(self, staged: Path) -> None:
        """Refuse where a file in the folder `staged` would take the place of another."""
        parts = [path.relative_to(staged) for path in staged.rglob("*") if path.is_file()]
        require_free((self.out.parent / part for part in parts), self.inputs, overwrite=self.overwrite)


def target_of(model: Model, out: Path, named: list[Any], *, overwrite: bool) -> Target:
    """The target that `--out` means.

    Args:
        model: what is repaired.
        out: as typed.
        named: the data, among which may be paths.
        overwrite: as typed.

    Raises:
        UsageError: it is an input, exists already, cannot be written or has the suffix of another container.
    """
    source = Path(model.path)
    target = destination(out, source, model.container)
    if model.container is not None:
        _require_suffix(target, source, model.container)
    data = (Path(name) for name in named if isinstance(name, str | Path))
    inputs = (*model.files(), *data)
    require_free([target], inputs, overwrite=overwrite)
    beside = target.parent.exists() and target.parent.samefile(source.absolute().parent)
    return Target(target, inputs, overwrite, beside)


def destination(out: Path, model: Path, container: Container | None) -> Path:
    """The file that `--out` means: for a sharded model it may name the folder that takes the index and its shards.

    Raises:
        UsageError: it is a folder where a file is needed, or lies in none.
    """
    if container is not None and container.in_parts and (out.is_dir() or out.suffix not in container.suffixes):
        if not out.absolute().parent.is_dir():
            raise UsageError(f"--out {out}: there is no folder {out.parent}.")
        return out / model.name
    if out.is_dir():
        raise UsageError(f"--out {out}: that is a folder; name a file in it.")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}.")
    return out


def _require_suffix(out: Path, model: Path, container: Container) -> None:
    """Refuse a name that would have every reader take the file for what it is not; the model's own suffix may stay."""
    known = {suffix for one in known_formats() for other in one.containers for suffix in other.suffixes}
    if out.suffix.lower() in known.difference(container.suffixes) and out.suffix != model.suffix:
        raise UsageError(
            f"--out {out}: a repaired file keeps its container, and {model} is a {container.name}: name it "
            f"{out.with_suffix(container.suffixes[0]).name}."
        )


def require_free(targets: Iterable[Path], inputs: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse to write over an input, whatever it is called there, and over anything else unless that is wanted.

    Raises:
        UsageError: one of `targets` is an input (also through links), or exists and `overwrite` is not set.
    """
    guarded = [path for path in inputs if path.exists()]
    for target in targets:
        if any(_same_file(target, path) for path in guarded):
            raise UsageError(f"--out {target}: that is one of the inputs, and inputs are never overwritten.")
        if target.exists() and not overwrite:
            raise UsageError(f"--out {target}: it exists already; name another file, or pass --overwrite.")


def _same_file(target: Path, path: Path) -> bool:
    if os.path.realpath(target) == os.path.realpath(path):
        return True
    return target.exists() and target.samefile(path)
