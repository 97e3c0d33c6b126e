"""Opening a model file, whatever its format."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bncheck.errors import ModelError, UsageError
from bncheck.formats.digest import sha256_of
from bncheck.formats.exported.reading import open_exported
from bncheck.formats.messages import first_line
from bncheck.formats.model import SAFETENSORS, STATE_DICT, Model, Origin
from bncheck.formats.pickles.reading import load_pickle
from bncheck.formats.programs.operators import allowed
from bncheck.formats.recognise import (
    EXPORT_ARCHIVE,
    ONNX_FILE,
    SAFETENSORS_FILE,
    SAFETENSORS_INDEX,
    SCRIPT_ARCHIVE,
    recognise,
)
from bncheck.formats.safetensors.reading import load_safetensors, load_sharded, shard_paths
from bncheck.formats.state_dict.architecture import Architecture, build, require
from bncheck.formats.state_dict.copies import sibling_copies, tensors_of
from bncheck.formats.state_dict.fitting import fit
from bncheck.formats.state_dict.nesting import choose, others
from bncheck.formats.state_dict.optimizer import optimizer_steps
from bncheck.formats.state_dict.static_layers import layers_of_tensors, tensors_have_convolutions, without_wrappers
from bncheck.formats.tensors import tensor_names
from bncheck.formats.torch_module.listing import has_convolutions
from bncheck.formats.torch_module.module import model_of_pickled
from bncheck.formats.torchscript.reading import open_script
from bncheck.results.notes import Note
from bncheck.results.notes.of_files import ArchitectureIgnored, ArgumentIgnored, DeviceIgnored, PrefixStripped


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    path: Path
    container: str
    arch: Architecture | None
    arch_kwargs: Mapping[str, Any] | None
    key: str | None
    trust_pickle: bool
    allow_ops: frozenset[str]
    device: str


def open_model(
    path: str | Path,
    *,
    arch: Architecture | None = None,
    arch_kwargs: Mapping[str, Any] | None = None,
    key: str | None = None,
    trust_pickle: bool = False,
    allow_ops: Collection[str] = (),
    device: str = "cpu",
) -> Model:
    """The model in a file: its layers and, where the file or `arch` tells how, a program to run.

    Args:
        path: TorchScript, `torch.export`, ONNX, a checkpoint of `torch.save`, safetensors or their index.
        arch: what builds the network of a state dict: ``FILE.py:CALLABLE``, ``package.module:CALLABLE``, a callable.
        arch_kwargs: keyword arguments for `arch`.
        key: dotted path of the state dict inside a checkpoint that holds several.
        trust_pickle: read pickles that hold more than tensors; this runs whatever they contain.
        allow_ops: operators and classes that a program may use besides those that compute: ``NAMESPACE::NAME``.
        device: where the program is run.

    Raises:
        UsageError: no such file, key or device; `arch` cannot be called; several state dicts and no `key`.
        ModelError: the file is damaged, of another kind, blocked, or does not fit the architecture.
    """
    if arch is None and arch_kwargs:
        raise UsageError("--arch-kwargs is given without --arch, the callable it is for.")
    require_device(device)
    file = Path(path)
    try:
        container = recognise(file)
    except ModelError:
        require(arch)
        raise
    try:
        return _open(_Request(file, container, arch, arch_kwargs, key, trust_pickle, allowed(allow_ops), device))
    except OSError as error:  # it was there a moment ago
        raise ModelError(f"{path} cannot be read: {error.strerror or first_line(error)}.") from error


def _open(request: _Request) -> Model:
    if request.container in (SCRIPT_ARCHIVE, EXPORT_ARCHIVE, ONNX_FILE):
        return replace(_open_program(request), origin=Origin(request.container))
    return _open_tensors(request)


def _open_program(request: _Request) -> Model:
    """A file that can be run as it is."""
    file, device = request.path, request.device
    if request.container == SCRIPT_ARCHIVE:
        return open_script(
            file, device=device, sha256=sha256_of(file), allow_ops=request.allow_ops, notes=_ignored(request)
        )
    if request.container == EXPORT_ARCHIVE:
        return open_exported(
            file,
            device=device,
            sha256=sha256_of(file),
            trust_pickle=request.trust_pickle,
            allow_ops=request.allow_ops,
            notes=_ignored(request),
        )
    from bncheck.formats.onnx.opening import open_onnx  # other models do without onnx

    return open_onnx(file, notes=(*_ignored(request), *_device_note(device)))


def _open_tensors(request: _Request) -> Model:
    """A checkpoint or safetensors: a state dict somewhere inside, or a whole module that was pickled."""
    require(request.arch)
    content, sha256 = _content(request)
    chosen, notes = choose(content, str(request.path), key=request.key, prefer_modules=request.arch is None)
    if isinstance(chosen.content, torch.nn.Module):
        if request.arch is not None:
            notes += (ArchitectureIgnored(),)
        pickled = model_of_pickled(
            chosen.content, path=str(request.path), device=request.device, sha256=sha256, notes=notes
        )
        model = replace(pickled, origin=Origin(request.container, chosen.path))
    elif request.arch is None:
        model = _audited(request, tensors_of(chosen), sha256, notes)
    else:
        model = _run(request, tensors_of(chosen), sha256, notes, request.arch, chosen.path)
    # Whoever names the raw model asks about that one alone.
    beside = others(content, chosen) if chosen.is_averaged or request.key is None else []
    counterparts = [other for other in beside if other.is_averaged != chosen.is_averaged]
    own = without_wrappers(tensors_of(chosen))[0] if model.program is None else model.program.state_dict()
    return replace(
        model,
        averaged=chosen.is_averaged,
        siblings=sibling_copies(own, counterparts),
        optimizer_steps=optimizer_steps(content),
    )


def _content(request: _Request) -> tuple[Any, str]:
    path = request.path
    if request.container == SAFETENSORS_FILE:
        return load_safetensors(path), sha256_of(path)
    if request.container == SAFETENSORS_INDEX:
        return load_sharded(path), sha256_of(path, *shard_paths(path))
    return load_pickle(path, request.container, trust_pickle=request.trust_pickle), sha256_of(path)


def _audited(request: _Request, tensors: dict[str, torch.Tensor], sha256: str, notes: tuple[Note, ...]) -> Model:
    """A state dict without its architecture: nothing to run."""
    stripped, removed = without_wrappers(tensors)
    return Model(
        path=str(request.path),
        format=_format(request),
        sha256=sha256,
        layers=layers_of_tensors(stripped),
        has_convolutions=tensors_have_convolutions(stripped),
        notes=(*notes, PrefixStripped(removed)) if removed else notes,
        tensors=stripped,
    )


def _run(
    request: _Request,
    tensors: dict[str, torch.Tensor],
    sha256: str,
    notes: tuple[Note, ...],
    arch: Architecture,
    key: str,
) -> Model:
    """A state dict in its architecture."""
    module = build(arch, request.arch_kwargs)
    fitted = fit(module, tensors, str(request.path))
    program = module.eval().to(request.device)
    return Model(
        path=str(request.path),
        format=_format(request),
        sha256=sha256,
        layers=fitted.layers,
        program=program,
        tensor_names=tensor_names(program),
        has_convolutions=has_convolutions(program),
        notes=(*notes, *fitted.notes),
        origin=Origin(request.container, key, fitted.names),
    )


def _format(request: _Request) -> str:
    return SAFETENSORS if request.container in (SAFETENSORS_FILE, SAFETENSORS_INDEX) else STATE_DICT


def _ignored(request: _Request) -> tuple[Note, ...]:
    """Notes on options that this format has no use for."""
    given = (("arch", request.arch), ("key", request.key))
    return tuple(ArgumentIgnored(name, request.container) for name, value in given if value)


def _device_note(device: str) -> tuple[Note, ...]:
    return () if device == "cpu" else (DeviceIgnored(device),)


def require_device(device: str) -> None:
    """Raise UsageError where PyTorch cannot use `device` here."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {device} cannot be used here: {first_line(error)}.") from error


def require_runnable(model: Model, otherwise: str = "leave out --data to audit the stored values alone") -> None:
    """Raise UsageError where the file holds tensors only and no architecture is named.

    Args:
        model: as opened.
        otherwise: what can be done without one.
    """
    if not model.runnable:
        raise UsageError(
            f"{model.path} holds tensors only and cannot be run on data: name the architecture with "
            f"--arch FILE.py:CALLABLE (a function that returns the nn.Module), or {otherwise}."
        )
