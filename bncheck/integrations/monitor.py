"""The monitor for plain training loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from bncheck.errors import UsageError
from bncheck.integrations.reading import GapReading, read_gaps
from bncheck.integrations.refreshing import Refresher
from bncheck.integrations.samples import DrawnSamples, source_of
from bncheck.measure import Plan
from bncheck.settings import BATCH_SIZE, RECALIBRATION_SAMPLES, SAMPLES, SEED, MonitorSettings

__all__ = ["RECALIBRATION_SAMPLES", "SAMPLES", "GapMonitor"]

Writer = Callable[[dict[str, float], int | None], Any]


class GapMonitor:
    """Measures a model's gap while it is trained, always on the same samples, and tells a logger.

    The model is not touched by measuring: it runs as a copy, in eval mode, with random numbers of its own, so a
    training with the monitor gives the same weights as one without.

    Args:
        model: the module that is trained, also compiled or wrapped in DataParallel.
        data: what `bncheck.inspect` takes: held-out data, or training data to see whether the averages keep up.
        samples: how many of them to draw, once; they are kept in memory.
        recalibration_samples: how many samples `recalibrate` measures at the most.
        batch_size: samples in a forward of the copy.
        seed: of the draw.
        device: where to run the copy; by default where the model is.
        writer: a `SummaryWriter` (anything with `add_scalar`), or any function of the values and the step:
            `mlflow.log_metrics`, `wandb.log`.
        prefix: of the names that are logged.

    Numerics: those of `bncheck.inspect`; its `gap` and `own_gap` on the same samples are the same numbers.

    Raises:
        UsageError: an argument is out of its range.

    >>> import torch
    >>> from bncheck.integrations.monitor import GapMonitor
    >>> model = torch.nn.Sequential(torch.nn.BatchNorm1d(3))
    >>> monitor = GapMonitor(model, 2 + torch.randn(200, 3))
    >>> sorted(monitor.measure(step=0))
    ['bncheck/gap', 'bncheck/layers_over_margin', 'bncheck/own_gap']
    """

    def __init__(
        self,
        model: torch.nn.Module,
        data: Any,
        *,
        samples: int = SAMPLES,
        recalibration_samples: int = RECALIBRATION_SAMPLES,
        batch_size: int = BATCH_SIZE,
        seed: int = SEED,
        device: str | None = None,
        writer: Any = None,
        prefix: str = "bncheck/",
    ) -> None:
        settings = MonitorSettings(samples, recalibration_samples, batch_size, seed, device)
        if writer is not None and not callable(writer) and not hasattr(writer, "add_scalar"):
            raise UsageError(
                f"A {type(writer).__name__} is no writer: pass a SummaryWriter, or a function of the values and the "
                "step, such as mlflow.log_metrics."
            )
        self._model = model
        self._data = data
        self._settings = settings
        self._writer = writer
        self._prefix = prefix
        self._drawn: DrawnSamples | None = None
        self._refresher = Refresher(model, settings)

    def read(self) -> GapReading:
        """The gaps now, layer by layer; nothing is logged.

        Raises:
            UsageError: no layer with running statistics was reached.
            ModelError: the model cannot be copied.
            DataError: the data cannot be read, or do not fit the model.
        """
        how = self._settings
        if self._drawn is None:
            self._drawn = DrawnSamples(source_of(self._data, how.samples), how.samples, how.seed)
        return read_gaps(self._model, self._drawn, Plan(how.batch_size, None, how.seed), how.device)

    def measure(self, step: int | None = None) -> dict[str, float]:
        """The model's gap, own gap and number of layers over the margin, by the names they are logged under.

        Raises:
            BncheckError: as `read`.
        """
        values = self.read().scalars(self._prefix)
        if hasattr(self._writer, "add_scalar"):
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
        elif self._writer is not None:
            self._writer(values, step)
        return values

    def recalibrate(self, train_data: Any) -> tuple[str, ...]:
        """Store the statistics of `train_data` in the model, before an evaluation or a checkpoint; names the layers.

        Layers whose statistics have moved since the monitor was made (or since the last time) take the pooled
        statistics of samples drawn at random. Frozen ones keep theirs, and so do weights, counters and modes.

        Raises:
            BncheckError: as `bncheck.recalibrate`.
        """
        found = self._refresher.measured(train_data)
        self._refresher.write(found)
        return tuple(dict.fromkeys(name.rpartition(".")[0] for name in found))
