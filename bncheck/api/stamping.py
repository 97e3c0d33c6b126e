"""Stamping an exported model: what its checkpoint knows, written into the file, so that it can be checked alone."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bncheck.api.opening import model_of
from bncheck.errors import BncheckError, RefusedError, UsageError
from bncheck.files import InputFiles, OutputFile, publish, require_free, require_ordinary, require_place, staging
from bncheck.formats import (
    Backend,
    Reference,
    model_inputs,
    open_model,
    parts_of,
    reference_of,
    require_unchanged,
    with_reference,
)
from bncheck.results import MadeWithoutData
from bncheck.settings import ModelSettings, texts
from bncheck.tensors import torch
from bncheck.vocabulary import argument


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
    allow_ops: Collection[str] = (),
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
    copies = _copies(path, target)
    inputs = model_inputs({argument("model"): path, argument("reference"): reference}) + InputFiles.named(
        {argument("reference_arch"): reference_arch}
    )
    require_place(target)
    require_ordinary(target)
    require_free([OutputFile(argument("out"), out) for out in (target, *copies)], inputs)
    _require_stamped(target)
    _require_new(copies, target)
    before = model_of(
        ModelSettings(
            reference,
            reference_arch,
            reference_arch_kwargs,
            reference_key,
            trust_pickle,
            allow_ops=texts("allow_ops", allow_ops),
        )
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
    is_data_free = any(isinstance(note, MadeWithoutData) for note in before.notes)
    size = _write(checked, known, target, copies, data_free=is_data_free)
    folded = sum(layer.folded for layer in comparison.layers)
    return Stamped(target, len(comparison.layers), folded, comparison.unfound, size, tuple(copies))


def _require_stamped(target: Path) -> None:
    """Refuse to write over a file that is no earlier stamped model: a name typed wrong must not cost one."""
    if not target.exists() or not target.stat().st_size:
        return
    with contextlib.suppress(BncheckError):
        if open_model(target).provenance() is not None:
            return
    raise UsageError(
        f"{argument('out')} {target}: it exists and is no stamped model, so it is not overwritten; name another file."
    )


def _copies(path: Path, target: Path) -> dict[Path, Path]:
    """Where the files with the model's tensors go that must be copied, each with the one it is copied from.

    A copy stands to `target` as its original stands to `path`; beside the original none is needed.
    """
    if target.resolve().parent == path.resolve().parent:
        return {}
    return {target.parent / part.relative_to(path.parent): part for part in parts_of(path)}


def _require_new(copies: Iterable[Path], target: Path) -> None:
    for copy in copies:
        if copy.exists():
            raise UsageError(
                f"{argument('out')} {target}: the model's tensors would have to be copied to {copy}, which exists "
                "already."
            )


def _write(model: Backend, known: Reference, target: Path, copies: Mapping[Path, Path], *, data_free: bool) -> int:
    """Write the file with one more entry of metadata, its tensors where they were: inside, or in files beside it.

    Returns:
        How many characters the entry takes.
    """
    with staging(target) as folder:
        try:
            size = model.write_provenance(known, folder / target.name)
            if data_free and model.origin is not None:
                model.origin.label_as_data_free(folder / target.name)
            for copy, original in copies.items():
                place = folder / copy.relative_to(target.parent)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(original, place)
        except Exception:
            require_unchanged(Path(model.path), model.sha256)  # says what is behind it, if it is that
            raise
        require_unchanged(Path(model.path), model.sha256)
        publish(folder, target)
    return size
