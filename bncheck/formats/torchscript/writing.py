"""Writing TorchScript archives again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bncheck.formats.origin import Origin
from bncheck.formats.programs.archives import extra_files, replace_tensors
from bncheck.formats.torchscript.layers import list_script_layers
from bncheck.formats.torchscript.reading import load_script

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ScriptOrigin(Origin):
    """A TorchScript archive."""

    def write(
        self, model: Backend, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool
    ) -> tuple[str, ...]:
        """See `write_script`."""
        return write_script(self.path, tensors, target)


def write_script(source: Path, tensors: Mapping[str, torch.Tensor], target: Path) -> tuple[str, ...]:
    """Write the program again: the same code and modes, its extra files with it."""
    extra = extra_files(source)
    program = load_script(str(source), extra)
    own = dict(program.named_parameters(remove_duplicate=False)) | dict(program.named_buffers(remove_duplicate=False))
    replace_tensors(own | list_script_layers(program).frozen, tensors, source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(program, str(target), _extra_files=extra)
    return ()
