"""What the frameworks' callbacks have in common: their options, and what they make of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from bncheck.errors import UsageError
from bncheck.integrations.monitor import GapMonitor
from bncheck.integrations.refreshing import Refresher
from bncheck.settings import MonitorSettings


@dataclass(frozen=True, slots=True, eq=False)
class Watching:
    """Says how a framework's training is watched.

    Attributes:
        settings: on how many samples, and where.
        data: what to measure on; `None` for the framework's own evaluation data.
        recalibrate: whether to replace running statistics before they are evaluated and saved.
        train_data: what to recalibrate on; `None` for the framework's own training data.
        net: name of the submodule that the batches are fed to; `None` for the model itself.
    """

    settings: MonitorSettings
    data: Any = None
    recalibrate: bool = False
    train_data: Any = None
    net: str | None = None

    def module(self, model: torch.nn.Module) -> torch.nn.Module:
        """The part of `model` that is watched.

        Raises:
            UsageError: it has no such part.
        """
        if self.net is None:
            return model
        try:
            return model.get_submodule(self.net)
        except AttributeError as error:
            names = ", ".join(name for name, _ in model.named_children())
            raise UsageError(f"net={self.net!r}: the {type(model).__name__} has {names or 'no submodules'}.") from error

    def monitor(self, model: torch.nn.Module, loader: Any) -> GapMonitor:
        """A monitor of `model`, on `loader` unless other data were given."""
        how = self.settings
        return GapMonitor(
            self.module(model),
            loader if self.data is None else self.data,
            samples=how.samples,
            recalibration_samples=how.recalibration_samples,
            batch_size=how.batch_size,
            seed=how.seed,
            device=how.device,
        )

    def refresher(self, model: torch.nn.Module) -> Refresher:
        """What recalibrates `model`, whose statistics count as moved from now on."""
        return Refresher(self.module(model), self.settings)
