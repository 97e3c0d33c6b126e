"""State dicts: what `torch.save` wrote, bare or nested, and whole modules that were pickled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bncheck.formats.format import TORCH_SUFFIXES, Container, Format, Request

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend
    from bncheck.formats.recognition.file_start import FileStart

ZIP_CHECKPOINT = Container("PyTorch checkpoint", TORCH_SUFFIXES)
LEGACY_CHECKPOINT = Container("PyTorch checkpoint (before 1.6)", TORCH_SUFFIXES)
TAR_CHECKPOINT = Container("PyTorch checkpoint (before 0.1.10, a tar archive)", TORCH_SUFFIXES)
PLAIN_PICKLE = Container("Python pickle", TORCH_SUFFIXES)

_TORCH_MAGIC = bytes.fromhex("8a0a6cfc9c46f920 6aa85019")  # LONG1 opcode of torch.serialization.MAGIC_NUMBER
_PROTOCOL, _FRAME = 0x80, b"\x95"
_UNFRAMED, _FRAMED = 2, 11
"""Where the first value of a pickle stands; from protocol 4 on its length may come before it."""
_IN_TAR = {"storages", "tensors", "pickle"}


class StateDict(Format):
    """Checkpoints; a module that was pickled whole is opened as what it is."""

    name = "state_dict"
    title = "state dicts and modules saved by torch.save"
    rank = 40
    containers = (ZIP_CHECKPOINT, LEGACY_CHECKPOINT, TAR_CHECKPOINT, PLAIN_PICKLE)

    def recognise(self, start: FileStart) -> Container | None:
        """By the pickle in an archive, or the first bytes of one."""
        if "data.pkl" in start.records:
            return ZIP_CHECKPOINT
        if start.head[0] == _PROTOCOL:
            begin = _FRAMED if start.head[2:3] == _FRAME else _UNFRAMED
            return LEGACY_CHECKPOINT if start.head[begin:].startswith(_TORCH_MAGIC) else PLAIN_PICKLE
        return TAR_CHECKPOINT if (start.tar_members or frozenset()) >= _IN_TAR else None

    def open(self, request: Request) -> Backend:
        """See `open_checkpoint`."""
        from bncheck.formats.state_dict.opening import open_checkpoint

        return open_checkpoint(request)


FORMAT = StateDict()
