"""Checkpoints that are pickles: read as tensors only, unless the user trusts the file.

A pickle can run any program when it is read. `torch.load(weights_only=True)` restricts it to tensors
and plain containers, and a file that it refuses is never tried again in another way.
"""

from __future__ import annotations

import os
import pickle
import sys
import warnings
from pathlib import Path
from typing import IO, Any

import torch

from bncheck.errors import ModelError
from bncheck.files import load_tensors
from bncheck.formats.format import Container
from bncheck.formats.messages import first_line, listed
from bncheck.formats.pickles.opcodes import blocked_globals, is_whole_pickle, pickles_are_whole
from bncheck.formats.state_dict import PLAIN_PICKLE, TAR_CHECKPOINT
from bncheck.user_code import user_output_to_stderr
from bncheck.vocabulary import argument


def load_pickle(path: Path, container: Container, *, trust_pickle: bool = False) -> Any:
    """What `path` holds, on the CPU.

    Args:
        path: the file.
        container: what `recognise` said it is.
        trust_pickle: the user vouches for the file; reading it runs whatever it asks for.

    Raises:
        ModelError: the file is damaged, asks for more than tensors, or its classes cannot be imported.
    """
    if container == TAR_CHECKPOINT and not trust_pickle:
        raise ModelError(
            f"{path} was written by a PyTorch older than 0.1.10, as a tar archive, which PyTorch cannot read as "
            "tensors only. If you trust it, convert it once, torch.save(torch.load(FILE, weights_only=False), "
            f"NEW_FILE), or pass {argument('trust_pickle')}: both run whatever the file contains."
        )
    with path.open("rb") as file:
        if trust_pickle:
            return _load_trusted(file, path, container)
        if container == PLAIN_PICKLE:
            raise ModelError(_refusal(path, file) if is_whole_pickle(file) else damaged(path))
        return _load_checked(file, path)


def damaged(path: Path, error: BaseException | None = None) -> str:
    """The message for a file that ends too early or holds nonsense."""
    cause = f" ({first_line(error)})" if error is not None else ""
    return f"{path} is cut off or damaged{cause}. Copy or download it again, or save it again."


def _load_checked(file: IO[bytes], path: Path) -> Any:
    try:
        return load_tensors(file)
    except Exception as error:
        if not isinstance(error, pickle.UnpicklingError):
            raise ModelError(damaged(path, error)) from error
        if blocked_globals(file):
            raise ModelError(_refusal(path, file)) from error
        reason = _what_torch_found(error)
        if pickles_are_whole(file):
            raise ModelError(_out_of_reach(path, reason)) from error
        raise ModelError(damaged(path, reason)) from error


def _load_trusted(file: IO[bytes], path: Path, container: Container) -> Any:
    # Classes are looked up as in `python -m`: from the folder one is in.
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with warnings.catch_warnings(), user_output_to_stderr():
            warnings.simplefilter("ignore")
            if container == PLAIN_PICKLE:
                return pickle.load(file)  # noqa: S301  # the user vouched for it
            return torch.load(file, map_location="cpu", weights_only=False)
    except (AttributeError, ImportError) as error:
        raise ModelError(
            f"{path} holds an object whose class cannot be found here: {first_line(error)}. The module that defines "
            "it must be importable: run bncheck from the folder of the training code, or set PYTHONPATH to it. "
            "Saving model.state_dict() instead of the model avoids this."
        ) from error
    except Exception as error:
        raise ModelError(damaged(path, error)) from error


def _what_torch_found(error: pickle.UnpicklingError) -> BaseException:
    """The error itself: `torch.load` hides it in advice to read the file without protection."""
    return error.__context__ or error


def _out_of_reach(path: Path, error: BaseException) -> str:
    return (
        f"{path} is whole, but pickled in a way that PyTorch does not read as tensors only ({first_line(error)}): "
        "checkpoints written under Python 2 are. If you trust where it comes from, pass "
        f"{argument('trust_pickle')}; or save it again, once, with a current PyTorch."
    )


def _refusal(path: Path, file: IO[bytes]) -> str:
    blocked = blocked_globals(file)
    asks = f"it asks for {listed(blocked, 12)}" if blocked else "it was written by pickle, not by torch.save"
    return (
        f"{path} holds more than tensors and was not read: {asks}. Reading such a file can run any program. "
        f"If you trust where it comes from, pass {argument('trust_pickle')}; or save model.state_dict() alone."
    )
