"""Parts as files: safetensors whose metadata hold a document of JSON, and nothing that is run.

The tensors are what their names say (`seen.stored.calls.3.moments.mean`): float64, but for the numbers of samples.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from bncheck import __version__
from bncheck.encoding import encodable
from bncheck.errors import UnreadableError, UsageError
from bncheck.files import require_existing
from bncheck.formats import first_line
from bncheck.measure.parts.checking import require_true
from bncheck.measure.parts.packing import Arrays, packed, unpacked
from bncheck.measure.parts.part import Part
from bncheck.results import MisfitError, Origin, json_of, require_sound
from bncheck.vocabulary import argument

FORMAT, VERSION = "bncheck moments", 1
LARGEST_FILE = 2 * 2**30
"""Bytes; a part keeps a quarter of that of single samples at the most."""
LARGEST_DOCUMENT = 64 * 2**20
_TYPES = {np.dtype(np.float64): "F64", np.dtype(np.int64): "I64", np.dtype(np.uint64): "U64", np.dtype(bool): "BOOL"}
_ADVICE = f"It should be a file that inspect wrote with {argument('write_moments')}."


def write_part(part: Part, path: Path) -> None:
    """Write a part to a path that is free."""
    arrays = Arrays()
    document = packed(part, arrays)
    text = json.dumps(document, ensure_ascii=True, allow_nan=False)
    metadata = {"format": FORMAT, "version": str(VERSION), "bncheck": __version__, "part": text}
    save_file({name: np.ascontiguousarray(value) for name, value in arrays.named.items()}, path, metadata)


def read_part(path: str | Path) -> Part:
    """The part in a file, which may be a stranger's.

    Raises:
        UsageError: there is no such file.
        UnreadableError: it is no part, is damaged, or says what cannot be.
    """
    require_existing(path)
    origin = Origin(str(path), "part", _ADVICE)
    _require_ordinary(Path(path), origin)
    try:
        with safe_open(path, framework="numpy") as file:
            return _part_in(file, origin)
    except MisfitError as misfit:
        raise origin.refusal(misfit) from misfit
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError, KeyError, MemoryError) as error:
        raise origin.is_none(f"it cannot be read as safetensors ({first_line(error)})") from error


def _require_ordinary(path: Path, origin: Origin) -> None:
    """Refuse pipes and devices, which may never end, and what is far too large."""
    if encodable(str(path)) != str(path):
        raise UnreadableError(f"{path}: safetensors are opened by names in UTF-8 alone; rename the file or its folder.")
    try:
        found = path.stat()
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}.") from error
    if stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{path} is a folder: name the parts in it.")
    if not stat.S_ISREG(found.st_mode):
        raise origin.is_none("it is no ordinary file")
    if found.st_size > LARGEST_FILE:
        raise origin.is_none(f"it is larger than {LARGEST_FILE // 2**30} GiB")


def _part_in(file: Any, origin: Origin) -> Part:
    told = file.metadata() or {}
    if told.get("format") != FORMAT or "part" not in told:
        raise origin.is_none("its metadata do not say so")
    if told.get("version") != str(VERSION):
        raise origin.is_none(f"its format is of version {told.get('version')!r}, and this bncheck reads {VERSION}")
    if len(told["part"]) > LARGEST_DOCUMENT:
        raise origin.is_none(f"its document is larger than {LARGEST_DOCUMENT // 2**20} MiB")
    document = json_of(told["part"])
    require_sound(document)
    part = unpacked(Part, document, _arrays_of(file))
    require_true(part)
    return part


def _arrays_of(file: Any) -> Callable[[str, np.dtype[Any]], npt.NDArray[Any]]:
    """Gives the file's tensors by their names, each read once and only as the type that it should have."""
    names, known = set(file.keys()), dict[str, npt.NDArray[Any]]()

    def array(name: str, kind: np.dtype[Any]) -> npt.NDArray[Any]:
        if name not in names:
            raise MisfitError("the name of a tensor in the file", name)
        found = file.get_slice(name).get_dtype()
        if found != _TYPES[kind]:
            raise MisfitError(f"a tensor of {kind}", found)
        if name not in known:
            known[name] = file.get_tensor(name)
            known[name].setflags(write=False)
        return known[name]

    return array
