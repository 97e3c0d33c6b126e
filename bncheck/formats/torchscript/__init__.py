"""TorchScript: scripted, traced and frozen modules, in archives and in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bncheck.formats.format import TORCH_SUFFIXES, Adoption, Container, Format, Request
from bncheck.tensors import torch

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend
    from bncheck.formats.recognition.file_start import FileStart

SCRIPT_ARCHIVE = Container("TorchScript archive", (*TORCH_SUFFIXES, ".ptl"))


class TorchScript(Format):
    """`torch.jit`."""

    name = "torchscript"
    title = "TorchScript"
    rank = 20
    containers = (SCRIPT_ARCHIVE,)

    def recognise(self, start: FileStart) -> Container | None:
        """By the code and the constants that `torch.jit.save` writes."""
        has_code = any(name.startswith("code/") for name in start.records)
        return SCRIPT_ARCHIVE if has_code and "constants.pkl" in start.records else None

    def open(self, request: Request) -> Backend:
        """See `open_script`."""
        from bncheck.formats.torchscript.opening import open_script

        return open_script(request)

    def holds(self, value: Any) -> bool:
        """Scripted and traced modules."""
        return isinstance(value, torch.jit.ScriptModule)

    def copied(self, value: Any) -> torch.nn.Module:
        """See `copied_script`."""
        from bncheck.formats.torchscript.reading import copied_script

        return copied_script(value)

    def adopt(self, own: Any, source: Adoption) -> Backend:
        """See `model_of_script`."""
        from bncheck.formats.torchscript.opening import model_of_script

        return model_of_script(own, source)


FORMAT = TorchScript()
