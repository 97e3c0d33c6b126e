"""Files of arrays: `.npz`, `.npy`, `.pt` and `.safetensors`, read whole and without running anything.

`Exception` is caught here because a damaged file makes its parser fail in any way: struct.error, TokenError, ...
"""

from __future__ import annotations

import contextlib
import pickle
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from bncheck.data.batches import Source
from bncheck.data.kinds import FileKind
from bncheck.data.sources.arrays import array_source
from bncheck.errors import DataError
from bncheck.files import load_tensors
from bncheck.settings import DataSettings

_OF_A_MODEL = (".weight", ".running_mean", ".running_var", "state_dict")
"""How the names of what is saved of a model end."""


def read_npz(path: Path) -> object:
    """The arrays by name, each decompressed once."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:
        raise _numpy_error(path, "an .npz archive", error) from error


def read_npy(path: Path) -> object:
    """The array, as it lies in the file: samples that nobody asks for are not read."""
    try:
        with contextlib.suppress(ValueError):  # what cannot be mapped is empty, damaged or no numbers
            return np.load(path, allow_pickle=False, mmap_mode="c")
        return np.load(path, allow_pickle=False)
    except Exception as error:
        raise _numpy_error(path, "an .npy array", error) from error


def read_safetensors(path: Path) -> object:
    """The tensors by name."""
    try:
        held = load_file(path)
    except Exception as error:
        raise DataError(f"{path} cannot be read as safetensors: {error}.") from error
    _refuse_weights(path, held)
    return held


def read_pt(path: Path) -> object:
    """What `torch.save` wrote: a tensor, ``(x, y)`` or a dict; only tensors and plain containers are unpickled.

    Raises:
        DataError: the file is damaged, or a pickle in it asks for anything else (which is named).
    """
    try:
        with path.open("rb") as file:
            held = load_tensors(file, mapped=True)
    except pickle.UnpicklingError as error:
        raise DataError(_pickle_message(path, str(error))) from error
    except Exception as error:
        if "TorchScript" in str(error):
            raise DataError(f"{path} is a TorchScript model, not data.") from error
        raise DataError(f"{path} cannot be read by torch.load; is it damaged? {_first_line(error)}") from error
    _refuse_weights(path, held)
    return held


def _refuse_weights(path: Path, held: object) -> None:
    """Raise `DataError` where the names are those of a model's weights: that is the other argument's file."""
    if isinstance(held, dict) and any(str(name).endswith(_OF_A_MODEL) for name in held):
        raise DataError(
            f"{path} holds the weights of a model (a state dict), not data. Data are tensors of samples, saved as x, "
            'as (x, y) or as {"x": x, "y": y}.'
        )


def _pickle_message(path: Path, reason: str) -> str:
    blocked = re.search(r"GLOBAL (\S+)", reason)
    if blocked is None:
        return f"{path} cannot be read by torch.load: damaged, or not written by torch.save."
    return (
        f"{path} holds {blocked[1]}, which could run code when it is read; only tensors in plain tuples and dicts "
        "are. Save tensors with torch.save, or arrays with numpy.savez."
    )


def _numpy_error(path: Path, expected: str, error: Exception) -> DataError:
    if "allow_pickle" in str(error) or "pickled" in str(error):
        return DataError(
            f"{path} holds pickled Python objects, which are not read. Save arrays of numbers, and names (of slices) "
            "as text: values.astype(str)."
        )
    return DataError(f"{path} cannot be read as {expected}; is it damaged? {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _opened_by(read: Callable[[Path], object]) -> Callable[[Path, DataSettings, str], Source]:
    return lambda path, reading, name: array_source(name, read(path), reading)


def _is_npz(path: Path, start: bytes) -> bool:
    members = _members(path, start)
    return bool(members) and all(member.endswith(".npy") for member in members)


def _is_pt(path: Path, start: bytes) -> bool:
    return any(member.endswith("data.pkl") for member in _members(path, start))


def _is_safetensors(path: Path, start: bytes) -> bool:
    return start[8:9] == b"{" and 0 < int.from_bytes(start[:8], "little") <= path.stat().st_size - 8


def _members(path: Path, start: bytes) -> Sequence[str]:
    if not start.startswith(b"PK\x03\x04"):
        return ()
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return ()  # its reader says what is wrong


KINDS = (
    FileKind((".npz",), _opened_by(read_npz), _is_npz),
    FileKind((".npy",), _opened_by(read_npy), lambda _, start: start.startswith(b"\x93NUMPY")),
    FileKind((".pt", ".pth"), _opened_by(read_pt), _is_pt),
    FileKind((".safetensors",), _opened_by(read_safetensors), _is_safetensors),
)
