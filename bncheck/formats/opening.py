"""Opening a model, whatever its format: a file, or what is in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from bncheck.errors import BncheckError, MissingExtraError, ModelError, UsageError
from bncheck.extras import missing_by
from bncheck.formats.backend import Backend
from bncheck.formats.format import Architecture, Request
from bncheck.formats.in_memory import from_module
from bncheck.formats.messages import first_line
from bncheck.formats.programs.operators import allowed
from bncheck.formats.recognition.leading import leading_file
from bncheck.formats.recognition.recognise import format_of
from bncheck.formats.sharded.shards import require_whole
from bncheck.formats.state_dict.architecture import require
from bncheck.formats.tensors import require_device
from bncheck.vocabulary import argument


def open_any(model: Any, *, device: str = "cpu", **how: Any) -> Backend:
    """A path as `open_model` opens it, anything else as `from_module` takes it; `how` is for paths."""
    if isinstance(model, str | Path):
        return open_model(model, device=device, **how)
    return from_module(model, device=device)


def open_model(
    path: str | Path,
    *,
    arch: Architecture | None = None,
    arch_kwargs: Mapping[str, Any] | None = None,
    key: str | None = None,
    trust_pickle: bool = False,
    allow_ops: Collection[str] = (),
    device: str = "cpu",
) -> Backend:
    """The model in a file: its layers and, where the file or `arch` tells how, what runs it.

    Args:
        path: TorchScript, `torch.export`, ONNX, a checkpoint of `torch.save`, safetensors; of a model of several files
            their index, their folder or one of them.
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
    if arch is None and arch_kwargs is not None:
        raise UsageError(f"{argument('arch_kwargs')} is given without {argument('arch')}, the callable it is for.")
    require_device(device)
    file = leading_file(Path(path))
    with readable(file):
        try:
            found, container = format_of(file)
        except ModelError:
            require(arch)  # a wrong command comes before an unreadable file
            raise
        model = found.open(Request(file, container, arch, arch_kwargs, key, trust_pickle, device, allowed(allow_ops)))
        require_whole(file, model.layers)
        return model


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """While a model file is read every fault is a ModelError that names the file, whatever a library raised."""
    try:
        yield
    except ModelError as error:
        if str(path) in error.marked:
            raise
        raise ModelError(f"{path}: {error.lines[0]}", *error.lines[1:]) from error
    except MissingExtraError as error:
        if str(path) in error.marked:
            raise
        raise MissingExtraError(f"{path}: {error.lines[0]}") from error
    except BncheckError:
        raise
    except OSError as error:  # it was there a moment ago
        raise ModelError(f"{path} cannot be read: {error.strerror or first_line(error)}.") from error
    except Exception as error:
        if isinstance(error, ImportError) and (missing := missing_by(error, "reading it")) is not None:
            raise MissingExtraError(f"{path}: {missing.marked}") from error
        raise ModelError(
            f"{path} cannot be read: {type(error).__name__}: {first_line(error)}. It is damaged, or holds what bncheck "
            f"does not know. Save or export it again; if it is sound, please report this with what {argument('debug')} "
            "prints."
        ) from error


def require_runnable(model: Backend, otherwise: str | None = None) -> None:
    """Raise UsageError where the file holds tensors only and no architecture is named.

    Args:
        model: as opened.
        otherwise: what can be done without one; by default, an audit.
    """
    model.require_runnable(otherwise or f"leave out {argument('data')} to audit the stored values alone")
