"""Files of arrays: `.npz`, `.npy`, `.pt` and `.safetensors`, read whole and without running anything.

`Exception` is caught here because a damaged file makes its parser fail in any way: struct.error, TokenError, ...
"""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from bncheck.errors import DataError


def read_npz(path: Path) -> object:
    """The arrays by name, each decompressed once."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:
        raise _numpy_error(path, "an .npz archive", error) from error


def read_npy(path: Path) -> object:
    """The array."""
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:
        raise _numpy_error(path, "an .npy array", error) from error


def read_safetensors(path: Path) -> object:
    """The tensors by name."""
    try:
        return load_file(path)
    except Exception as error:
        raise DataError(f"{path} cannot be read as safetensors: {error}.") from error


def read_pt(path: Path) -> object:
    """What `torch.save` wrote: a tensor, ``(x, y)`` or a dict; only tensors and plain containers are unpickled.

    Raises:
        DataError: the file is damaged, or a pickle in it asks for anything else (which is named).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error below says it better
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(_pickle_message(path, str(error))) from error
    except Exception as error:
        if "TorchScript" in str(error):
            raise DataError(f"{path} is a TorchScript model, not data.") from error
        raise DataError(f"{path} cannot be read by torch.load; is it damaged? {_first_line(error)}") from error


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
        return DataError(f"{path} holds pickled Python objects, which are not read. Save arrays of numbers.")
    return DataError(f"{path} cannot be read as {expected}; is it damaged? {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
