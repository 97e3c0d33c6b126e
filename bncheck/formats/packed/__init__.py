"""Models compressed or put into an archive as a whole: `.pth.gz`, a zip with one model, Stable-Baselines3's agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bncheck.formats.format import Container, Format, Request

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend
    from bncheck.formats.recognition.file_start import FileStart

GZIP = Container("gzip file", (".gz",))
ZIP = Container("zip archive", (".zip",))
_MODELS = (".pt", ".pth", ".ckpt", ".safetensors", ".pt2", ".onnx")
_POLICY = "policy.pth"
"""What Stable-Baselines3 keeps the network in, beside its optimizer's state and its variables."""


def packed_model(names: tuple[str, ...]) -> str | None:
    """The one member of an archive that is a model; `None` where there is none, or several."""
    if _POLICY in names:
        return _POLICY
    found = [name for name in names if name.endswith(_MODELS) and not name.startswith("__MACOSX/")]
    return found[0] if len(found) == 1 else None


class Packed(Format):
    """A file with a model of another format in it."""

    name = "packed"
    rank = 90  # what PyTorch writes are zip archives too
    containers = (GZIP, ZIP)

    def recognise(self, start: FileStart) -> Container | None:
        """By its first bytes, and by what an archive holds."""
        if start.head.startswith(b"\x1f\x8b"):
            return GZIP
        return ZIP if start.is_zip and packed_model(start.members) is not None else None

    def open(self, request: Request) -> Backend:
        """See `open_packed`."""
        from bncheck.formats.packed.opening import open_packed

        return open_packed(request)


FORMAT = Packed()
