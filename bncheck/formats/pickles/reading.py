"""Checkpoints that are pickles: read as data, unless the user trusts the file.

A pickle can run any program when it is read. `torch.load(weights_only=True)` restricts it to tensors and plain
containers. What it refuses is read by a machine of bncheck's own, which imports nothing that the file names and calls
nothing of it: classes and functions become names, and the objects that they would have made become tables of what the
file says of them. Neither is ever followed by a reading that runs something.
"""

from __future__ import annotations

import os
import pickle
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bncheck.errors import MissingExtraError, ModelError
from bncheck.extras import missing, require_installed
from bncheck.files import load_tensors, read_by_torch, sparse_indices_checked
from bncheck.formats.format import Container
from bncheck.formats.messages import first_line, listed
from bncheck.formats.pickles.modules.contents import with_modules
from bncheck.formats.pickles.opcodes import blocked_globals, is_whole_pickle, pickles_are_whole
from bncheck.formats.pickles.packages import missing_packages
from bncheck.formats.pickles.stores import Place, read_archive, read_plain, read_stream
from bncheck.formats.state_dict import PLAIN_PICKLE, TAR_CHECKPOINT, ZIP_CHECKPOINT
from bncheck.tensors import HAS_TORCH
from bncheck.user_code import user_output_to_stderr
from bncheck.vocabulary import argument

_INNER = "torch._"
"""How names begin that nobody but PyTorch asks for: its functions that make tensors of a kind."""


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """What a file held.

    Attributes:
        content: on the CPU.
        as_data: it asks for more than tensors, none of which was imported or called: its modules are described alone.
        asked: what it asks for.
        places: where the storages of one that was read as data stand in the file, by key.
    """

    content: Any
    as_data: bool = False
    asked: tuple[str, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)


def load_pickle(path: Path, container: Container, *, trust_pickle: bool = False) -> Loaded:
    """What `path` holds.

    Args:
        path: the file.
        container: what `recognise` said it is.
        trust_pickle: the user vouches for the file; reading it runs whatever it asks for.

    Raises:
        ModelError: the file is damaged, holds no tensors that could be read, or its classes cannot be imported.
    """
    if container == TAR_CHECKPOINT and not trust_pickle:
        raise ModelError(
            f"{path} was written by a PyTorch older than 0.1.10, as a tar archive, which PyTorch cannot read as "
            "tensors only. If you trust it, convert it once, torch.save(torch.load(FILE, weights_only=False), "
            f"NEW_FILE), or pass {argument('trust_pickle')}: both run whatever the file contains."
        )
    with path.open("rb") as file:
        if trust_pickle:
            return Loaded(_load_trusted(file, path, container))
        if not HAS_TORCH and container != PLAIN_PICKLE:
            return _with_every_tensor(_load_as_data(file, path, container), path)
        if container == PLAIN_PICKLE:
            if not is_whole_pickle(file):
                raise ModelError(damaged(path))
            return _load_as_data(file, path, container)
        return _load_checked(file, path, container)


def damaged(path: Path, error: BaseException | None = None) -> str:
    """The message for a file that ends too early or holds nonsense."""
    cause = f" ({first_line(error)})" if error is not None else ""
    return f"{path} is cut off or damaged{cause}. Copy or download it again, or save it again."


def _load_checked(file: IO[bytes], path: Path, container: Container) -> Loaded:
    try:
        return Loaded(load_tensors(file, mapped=True))
    except Exception as error:
        if not isinstance(error, (pickle.UnpicklingError, UnicodeDecodeError)):  # the texts of Python 2 are in any code
            raise ModelError(damaged(path, error)) from error
        if not blocked_globals(file) and not pickles_are_whole(file):
            raise ModelError(damaged(path, _what_torch_found(error))) from error
        return _load_as_data(file, path, container)


def _with_every_tensor(loaded: Loaded, path: Path) -> Loaded:
    """What was read without PyTorch, where it holds no tensor of a kind that PyTorch alone makes.

    Raises:
        MissingExtraError: it does.
    """
    unmade = next((name for name in loaded.asked if name.startswith(_INNER)), None)
    if unmade is not None:
        raise missing("torch", f"reading what {path} holds ({unmade})")
    return loaded


def _load_as_data(file: IO[bytes], path: Path, container: Container) -> Loaded:
    """What the file holds, read without running anything."""
    read = {ZIP_CHECKPOINT: read_archive, PLAIN_PICKLE: read_plain}.get(container, read_stream)
    file.seek(0)
    try:
        found = read(file, path.stat().st_size)
    except (ModelError, MissingExtraError, MemoryError):
        raise
    except Exception as error:
        raise ModelError(damaged(path, error)) from error
    if not found.holds_tensors and (found.asked or container == PLAIN_PICKLE):
        raise ModelError(_refusal(path, file))
    return Loaded(with_modules(found.content), True, found.asked, found.places)


def _load_trusted(file: IO[bytes], path: Path, container: Container) -> Any:
    require_installed("torch", f"Running what {path} holds")
    # Classes are looked up as in `python -m`: from the folder one is in.
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with warnings.catch_warnings(), user_output_to_stderr(), sparse_indices_checked():
            warnings.simplefilter("ignore")
            if container == PLAIN_PICKLE:
                return pickle.load(file)  # noqa: S301  # the user vouched for it
            return read_by_torch(file, weights_only=False, mapped=True)
    except (AttributeError, ImportError) as error:
        raise ModelError(
            f"{path} holds an object whose class cannot be found here: {first_line(error)}. The module that defines "
            f"it must be importable: run bncheck from the folder of the training code, or set PYTHONPATH to it"
            f"{_to_install(file)}. Without {argument('trust_pickle')} nothing is imported, and the file is read as "
            "data."
        ) from error
    except Exception as error:
        raise ModelError(damaged(path, error)) from error


def _to_install(file: IO[bytes]) -> str:
    missing = missing_packages(blocked_globals(file))
    return f"; what it asks for is in {listed(missing)}, which cannot be imported here" if missing else ""


def _what_torch_found(error: pickle.UnpicklingError | UnicodeDecodeError) -> BaseException:
    """The error itself: `torch.load` hides it in advice to read the file without protection."""
    return error.__context__ or error


def _refusal(path: Path, file: IO[bytes]) -> str:
    blocked = blocked_globals(file)
    asks = f"it asks for {listed(blocked, 12)}" if blocked else "it was written by pickle, not by torch.save"
    return (
        f"{path} holds more than tensors and was not read: {asks}, and there is no tensor in it that could be read "
        "without running it. Reading such a file can run any program. "
        f"If you trust where it comes from, pass {argument('trust_pickle')}; or save model.state_dict() alone."
    )
