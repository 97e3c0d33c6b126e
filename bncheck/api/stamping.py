"""Stamping an exported model: what its checkpoint knows, written into the file, so that it can be checked alone."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bncheck.errors import BncheckError, RefusedError, UsageError
from bncheck.files import require_distinct, written_whole
from bncheck.formats import open_any, open_model
from bncheck.formats.folding.referencing import reference_of, with_reference


@dataclass(frozen=True, slots=True)
class Stamped:
    """What was written.

    Attributes:
        path: of the stamped model.
        layers: layers that the stamp describes.
        folded: how many of them were folded into other operations.
        unfound: layers of the reference that the model does not have.
        stamp_bytes: how much the file grew by.
        copied: files with the model's tensors that were copied beside it.
    """

    path: Path
    layers: int
    folded: int
    unfound: tuple[str, ...]
    stamp_bytes: int
    copied: tuple[Path, ...] = ()


def stamp(
    model: str | Path,
    reference: str | Path | torch.nn.Module,
    out: str | Path,
    *,
    reference_arch: str | Callable[..., Any] | None = None,
    reference_arch_kwargs: Mapping[str, Any] | None = None,
    reference_key: str | None = None,
    trust_pickle: bool = False,
) -> Stamped:
    """Write a copy of the ONNX file `model` whose metadata hold the statistics of `reference`.

    Raises:
        UsageError: the model is no ONNX file, `out` exists and is no stamped model, or it cannot be written.
        RefusedError: the model was exported with other statistics than the reference holds.
        ModelError: either cannot be read, or they have nothing to do with each other.
    """
    path, target = Path(model), Path(out)
    opened = open_model(path)
    opened.require_metadata()
    given = [path] if isinstance(reference, torch.nn.Module) else [path, Path(reference)]
    sources = opened.files()[1:]
    require_distinct(target, [*given, *sources])
    _require_stamped(target)
    before = open_any(
        reference,
        arch=reference_arch,
        arch_kwargs=reference_arch_kwargs,
        key=reference_key,
        trust_pickle=trust_pickle,
    )
    known = reference_of(before)
    checked = with_reference(opened, known)
    comparison = checked.comparison
    wrong = [layer.name for layer in comparison.layers if not layer.agrees] if comparison else []
    if comparison is None or wrong:
        raise RefusedError(
            f"{path} was exported with other statistics than {known.path} holds ({', '.join(wrong[:5])}), so its stamp "
            "would be untrue. Export again from this checkpoint, or name the one it was exported from."
        )
    found = {layer.original for layer in comparison.layers}
    known = replace(known, layers=tuple(layer for layer in known.layers if layer.name in found))
    copied = (
        tuple(_beside(source, path, target) for source in sources)
        if target.resolve().parent != path.resolve().parent
        else ()
    )
    with written_whole(target) as temporary:
        size = checked.write_provenance(known, temporary)
    if open_model(target).provenance() is None:
        raise RefusedError(f"{target}: the stamp cannot be read back.")
    folded = sum(layer.folded for layer in comparison.layers)
    return Stamped(target, len(comparison.layers), folded, comparison.unfound, size, copied)


def _require_stamped(target: Path) -> None:
    """Refuse to write over a file that is no earlier stamped model: a name typed wrong must not cost one."""
    if not target.exists() or not target.stat().st_size:
        return
    with contextlib.suppress(BncheckError):
        if open_model(target).provenance() is not None:
            return
    raise UsageError(f"--out {target}: it exists and is no stamped model, so it is not overwritten; name another file.")


def _beside(source: Path, path: Path, target: Path) -> Path:
    """A copy of a file of tensors that stands to `target` as it stood to `path`."""
    copy = target.resolve().parent / source.resolve().relative_to(path.resolve().parent)
    if copy.exists():
        raise UsageError(
            f"--out {target}: the model's tensors would have to be copied to {copy}, which exists already."
        )
    copy.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(copy) as temporary:
        shutil.copyfile(source, temporary)
    return copy
