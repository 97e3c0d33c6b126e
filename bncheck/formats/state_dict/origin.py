"""Where in its file a state dict stands, for the writers of all containers that hold one."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bncheck.formats.origin import Origin
from bncheck.formats.torch_module.by_instance import STATISTICS


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TensorsOrigin(Origin, abc.ABC):
    """A file of tensors.

    Attributes:
        key: dotted path of the state dict or module inside a checkpoint; `""` where the checkpoint itself is it.
        names: the file's own names of the program's tensors, where these were renamed to fit an architecture: all
            of them for a tensor that is shared, and the one it would have where the file lacks it.
        trust_pickle: the file is unpickled whatever it holds.
    """

    key: str = ""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    trust_pickle: bool = False

    def of_statistics(self, layers: Sequence[str]) -> frozenset[str]:
        """The file's own names of all that these layers keep statistics in."""
        own = (f"{layer}.{role}" if layer else role for layer in layers for role in STATISTICS)
        return frozenset(name for tensor in own for name in self.names.get(tensor, (tensor,)))
