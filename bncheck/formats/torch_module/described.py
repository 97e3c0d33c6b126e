"""A module that a pickle describes and whose classes were not imported: audited and compared, not run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NoReturn

import torch

from bncheck.errors import UsageError
from bncheck.formats.format import Adoption
from bncheck.formats.messages import listed
from bncheck.formats.pickles.packages import SCRIPT, missing_packages, packages_of
from bncheck.formats.tensors import tensor_names
from bncheck.formats.torch_module import FORMAT
from bncheck.formats.torch_module.listing import has_convolutions, list_layers
from bncheck.formats.torch_module.model import ModuleBackend
from bncheck.vocabulary import argument

_NAMED = 3


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DescribedBackend(ModuleBackend):
    """A module that has the names, tensors and facts of the one that was pickled, and not its code.

    Attributes:
        classes: those that were not imported, in full.
    """

    classes: tuple[str, ...]
    runnable: ClassVar[bool] = False

    def session(self, source_name: str, seed: int) -> NoReturn:
        """Refuse: its code was not imported."""
        raise UsageError(self._advice(f"run on {source_name}", ""))

    def require_runnable(self, otherwise: str) -> None:
        """Refuse, and say what it takes."""
        raise UsageError(self._advice("run on data", f" Or {otherwise}."))

    def wiring(self) -> None:
        """None: its code was not imported."""

    def module(self) -> torch.nn.Module:
        """Refuse: its code was not imported."""
        raise UsageError(self._advice("fine-tuned", ""))

    def _advice(self, what: str, otherwise: str) -> str:
        return (
            f"{self.path} was read as data and cannot be {what}: nothing was imported of what computes it "
            f"({listed(self.classes, _NAMED)}). Name the architecture with {argument('arch', 'FILE.py:CALLABLE')}"
            f"{self._by_trust()}.{otherwise}"
        )

    def _by_trust(self) -> str:
        packages = packages_of(self.classes)
        if SCRIPT in packages:
            return "; its classes were defined in the script that saved it, so no package has them"
        if missing := missing_packages(self.classes):
            takes = f"takes {listed(missing)}, which is not installed here"
            return f"; {argument('trust_pickle')}, if you trust it, {takes}"
        imports = f": that imports {listed(packages)}, which is installed here" if packages else ""
        return f", or pass {argument('trust_pickle')} if you trust it{imports}"


def described_module(own: torch.nn.Module, source: Adoption, classes: tuple[str, ...]) -> DescribedBackend:
    """The backend of a module that was built of a pickle's data, some of whose classes are foreign."""
    layers = list_layers(own)
    own.eval()
    return DescribedBackend(
        path=source.path,
        format=FORMAT.name,
        sha256=source.sha256,
        layers=layers,
        program=own,
        tensor_names=tensor_names(own),
        has_convolutions=has_convolutions(own),
        notes=source.notes,
        classes=classes,
    )
