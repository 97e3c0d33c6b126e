"""Which model, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from bncheck.errors import UsageError
from bncheck.settings.checks import require_arch, require_flag, require_keywords, require_one_of, require_text, texts
from bncheck.vocabulary import argument

if TYPE_CHECKING:
    import torch

DEVICE = "cpu"
PRECISIONS = ("float16", "bfloat16")
ModelSource: TypeAlias = "str | Path | torch.nn.Module | torch.export.ExportedProgram"


@dataclass(frozen=True, slots=True, eq=False)
class ModelSettings:
    """Says which model is meant and how it is opened.

    Attributes:
        source: a path, an `nn.Module`, or an exported program.
        arch: what builds the module a state dict belongs to: `FILE.py:CALLABLE`, `package.module:CALLABLE`, or the
            callable itself.
        arch_kwargs: keyword arguments for it.
        key: which nested state dict of a checkpoint.
        trust_pickle: unpickle a file that can run code.
        device: where to run the model.
        allow_ops: operators, `NAMESPACE::NAME`, that a program may call besides those that compute.
        amp: run it in mixed precision, `float16` or `bfloat16`, by `torch.autocast`.

    Raises:
        UsageError: a value is of a wrong type, or there is no such precision.
    """

    source: ModelSource
    arch: str | Callable[..., Any] | None = None
    arch_kwargs: Mapping[str, Any] | None = None
    key: str | None = None
    trust_pickle: bool = False
    device: str = DEVICE
    allow_ops: tuple[str, ...] = ()
    amp: str | None = None

    def __post_init__(self) -> None:
        require_arch("arch", self.arch)
        require_keywords("arch_kwargs", self.arch_kwargs)
        require_text("key", self.key)
        require_flag("trust_pickle", self.trust_pickle)
        require_text("device", self.device)
        texts("allow_ops", self.allow_ops)
        require_one_of("amp", self.amp, PRECISIONS)

    def reference(
        self,
        source: ModelSource | None,
        arch: str | Callable[..., Any] | None = None,
        arch_kwargs: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> ModelSettings | None:
        """The settings of the model that this one is compared with: trusted as it is, and run where it is run.

        Raises:
            UsageError: it is said how to read a reference, and none is given.
        """
        if source is not None:
            return replace(self, source=source, arch=arch, arch_kwargs=arch_kwargs, key=key)
        if arch is not None or key is not None:
            raise UsageError(
                f"{argument('reference_arch')} and {argument('reference_key')} say how to read a "
                f"{argument('reference')}, and none is given."
            )
        return None
