"""What a pickle asks for that PyTorch does not admit, and whether it is whole; nothing is run."""

from __future__ import annotations

import pickletools
import zipfile
from typing import IO

from bncheck.files import LEGACY_PICKLES, buffered, names_asked_for
from bncheck.formats.pickles.admitted import NAMES
from bncheck.tensors import torch


def blocked_globals(file: IO[bytes]) -> list[str]:
    """The classes and functions that the pickle or checkpoint asks for and `weights_only` does not admit.

    Each once, as `module.name`, in the order of the file; a damaged pickle gives those up to the damage.
    """
    admitted = _admitted()
    return [name for name in dict.fromkeys(names_asked_for(file)) if name not in admitted]


def is_whole_pickle(file: IO[bytes]) -> bool:
    """Whether the file begins with a pickle that reaches its end."""
    try:
        return [opcode.name for opcode, _, _ in pickletools.genops(file)][-1] == "STOP"
    except Exception:  # noqa: BLE001  # pickletools raises whatever the damage provokes
        return False


def pickles_are_whole(file: IO[bytes]) -> bool:
    """Whether every pickle of a checkpoint reaches its end; what the storages hold is not looked at."""
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":
        file.seek(0)
        return all(is_whole_pickle(file) for _ in range(LEGACY_PICKLES))
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith(".pkl")]
        return all(is_whole_pickle(buffered(archive.open(name))) for name in names)


def _admitted() -> set[str]:
    """What `weights_only` admits by default, or bncheck. The wording of a refusal depends on it, never the refusal."""
    return set(getattr(torch._weights_only_unpickler, "_get_allowed_globals", dict)()) or set(NAMES)
