"""What a normalization layer normalizes by while it is watched: the policies of the tap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bncheck.core import Moments
from bncheck.tensors import torch
from bncheck.watch.sites import Site

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """A mean and a variance to normalize by, shape (C,)."""

    mean: FloatArray
    var: FloatArray

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Both as float64 tensors."""
        return torch.from_numpy(self.mean), torch.from_numpy(self.var)


@dataclass(frozen=True, slots=True)
class Stored:
    """Layers normalize as shipped: by the statistics the model holds."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Layers normalize as in training: by the batch's own statistics.

    Attributes:
        together: what makes moments of the whole batch of those of a part of it, where other processes run the rest.
    """

    together: Callable[[Site, Moments], Moments] | None = field(default=None, compare=False)

    def whole(self, site: Site, moments: Moments) -> Moments:
        """The moments of the whole batch at a call, of those that were seen here."""
        return moments if self.together is None else self.together(site, moments)


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """The named layers (or single calls of layers) normalize by these statistics, all others as shipped."""

    layers: Mapping[str, Statistics]
    calls: Mapping[Site, Statistics] = field(default_factory=dict)

    def at(self, site: Site) -> Statistics | None:
        """What the call is to normalize by; `None`: as shipped."""
        return self.calls.get(site) or self.layers.get(site.layer)


@dataclass(frozen=True, slots=True)
class ByInstance:
    """The named layers normalize each sample by its own statistics, as InstanceNorm without stored ones does."""

    layers: frozenset[str]


STORED = Stored()
BATCH = Batch()
Policy = Stored | Batch | Given | ByInstance
