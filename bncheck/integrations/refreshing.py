"""Recalibration within a training run: running statistics that training has moved, taken from training data."""

from __future__ import annotations

from typing import Any

import torch

from bncheck.api import statistics_of, store
from bncheck.formats import unwrapped
from bncheck.integrations.reading import device_of
from bncheck.integrations.samples import source_of
from bncheck.measure import Plan
from bncheck.settings import MonitorSettings

RUNNING = ("running_mean", "running_var")


class Refresher:
    """Replaces what training has averaged since the last time by what the training data show now.

    Layers whose running statistics training does not move are frozen, or in eval mode: they are normalized by what
    they store while the rest is trained, and keep it. Weights, counters and modes are left alone, and layers in train
    mode do not read what is replaced, so training goes on as it would have.

    Args:
        module: whose buffers are written to.
        settings: on how many samples it is measured, and where.
    """

    def __init__(self, module: torch.nn.Module, settings: MonitorSettings) -> None:
        self._module = module
        self._settings = settings
        self.remember()

    def remember(self) -> None:
        """Take the statistics as they are now for what training starts from."""
        self._before = {name: value.detach().clone() for name, value in self._statistics().items()}

    def moved(self) -> frozenset[str]:
        """Layers whose statistics differ from those remembered."""
        return frozenset(
            name.rpartition(".")[0]
            for name, value in self._statistics().items()
            if name not in self._before or not _same(value, self._before[name])
        )

    def measured(self, data: Any) -> dict[str, torch.Tensor]:
        """New statistics of the layers that moved, on the CPU, by their names in the module; none if none moved.

        Raises:
            UsageError: no layer that stores statistics is reached by the data.
            ModelError: the module cannot be copied.
            DataError: the data cannot be read, do not fit the module, or are not finite.
        """
        moved = self.moved()
        if not moved:
            return {}
        how = self._settings
        source = source_of(data, how.recalibration_samples)
        plan = Plan(how.batch_size, how.recalibration_samples, how.seed)
        found = statistics_of(self._module, source, plan, device=how.device or device_of(self._module))
        return {name: value for name, value in found.items() if name.rpartition(".")[0] in moved}

    def write(self, statistics: dict[str, torch.Tensor]) -> None:
        """Store `statistics` in the module, and remember that."""
        store(self._module, statistics)
        self.remember()

    def _statistics(self) -> dict[str, torch.Tensor]:
        buffers = unwrapped(self._module).named_buffers(remove_duplicate=False)
        return {name: value for name, value in buffers if name.rpartition(".")[2] in RUNNING}


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one.detach().to(other.device), other) or bool((one.isnan() & other.to(one.device).isnan()).all())
