"""The writer for each container."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import torch

from bncheck.formats import Model
from bncheck.formats.exported.writing import write_exported
from bncheck.formats.parts import require_unchanged
from bncheck.formats.programs.operators import allowed
from bncheck.formats.recognise import (
    EXPORT_ARCHIVE,
    ONNX_FILE,
    SAFETENSORS_FILE,
    SAFETENSORS_INDEX,
    SCRIPT_ARCHIVE,
)
from bncheck.formats.safetensors.writing import write_safetensors, write_sharded
from bncheck.formats.state_dict.writing import write_checkpoint
from bncheck.formats.torchscript.writing import write_script
from bncheck.results.notes import Note


def write_model(
    model: Model,
    tensors: Mapping[str, torch.Tensor],
    target: Path,
    *,
    trust_pickle: bool,
    beside: bool,
    allow_ops: Collection[str] = (),
) -> tuple[Note, ...]:
    """Write the file of `model` to `target` with these tensors changed, and what belongs to it beside `target`.

    Args:
        model: as `open_model` gave it; its file is read again.
        tensors: the new values by the tensor's name in the model, shape (C,) or the tensor's own.
        target: the main file, in an empty folder.
        trust_pickle: as the model was opened.
        allow_ops: as the model was opened.
        beside: the result will lie in the folder of the original, so its parts need names of their own.

    Returns:
        What is different in the file besides the values, one sentence each.

    Raises:
        ModelError: a value does not fit the dtype that is stored, the tensor cannot be replaced in this file, or the
            file is not any more what was opened.
    """
    try:
        notes = _write(model, tensors, target, trust_pickle=trust_pickle, beside=beside, allow_ops=allow_ops)
    except Exception:
        require_unchanged(model)  # says what is behind it, if it is that
        raise
    require_unchanged(model)
    return notes


def _write(
    model: Model,
    tensors: Mapping[str, torch.Tensor],
    target: Path,
    *,
    trust_pickle: bool,
    beside: bool,
    allow_ops: Collection[str],
) -> tuple[Note, ...]:
    if model.origin is None:
        raise ValueError(f"{model.path} was not opened from a file")
    source, container = Path(model.path), model.origin.container
    if container == SCRIPT_ARCHIVE:
        return write_script(source, tensors, target, allow_ops=allowed(allow_ops))
    if container == EXPORT_ARCHIVE:
        return write_exported(source, tensors, target, trust_pickle=trust_pickle, allow_ops=allowed(allow_ops))
    if container == SAFETENSORS_FILE:
        return write_safetensors(model, tensors, target)
    if container == SAFETENSORS_INDEX:
        return write_sharded(model, tensors, target, beside=beside)
    if container == ONNX_FILE:
        from bncheck.formats.onnx.writing import write_onnx  # other models do without onnx

        return write_onnx(model, tensors, target)
    return write_checkpoint(model, tensors, target, trust_pickle=trust_pickle)
