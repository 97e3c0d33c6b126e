"""A callback for Ultralytics: `model.add_callback("on_fit_epoch_end", BatchNormWatch())`.

Ultralytics itself is not imported: what a trainer is asked for is what its reference documents for callbacks (`ema`,
`model`, `test_loader`, `metrics`, `epoch`, `args`).

Source: https://docs.ultralytics.com/usage/callbacks/ and https://docs.ultralytics.com/reference/engine/trainer/
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from bncheck.errors import UsageError
from bncheck.integrations.monitor import GapMonitor
from bncheck.integrations.tolerance import Tolerance
from bncheck.settings import BATCH_SIZE, SAMPLES, SEED

__all__ = ["BatchNormWatch"]

_BYTE = 255.0
_FIRST = (-1, 0)
"""The ranks of processes that log: of the only one, and of the first of several."""


class BatchNormWatch:
    """Logs the gap of the model's BatchNorm statistics after every epoch.

    What is measured is the averaged model (`trainer.ema.ema`), which Ultralytics validates and saves, always on the
    same validation images, on a copy: the training gives exactly the weights it gives without the callback. The values
    join `trainer.metrics`, from where TensorBoard, MLflow, Weights & Biases and the other loggers of Ultralytics take
    them: `bncheck/gap`, `bncheck/own_gap` and `bncheck/layers_over_margin`. They do not stand in `results.csv`, which
    is written before; with `val=False` there are no metrics of an epoch, and a `writer` alone gets them.

    Images are read from the validation set itself, batch by batch as its loader makes them, and are scaled from bytes
    to 0..1 as Ultralytics does. Of several processes the first one measures; those that Ultralytics starts itself for
    several GPUs know nothing of callbacks that a script adds.

    Args:
        data: what to measure on, as `bncheck.inspect` takes it; by default images of the trainer's validation set.
        samples: to measure on, in whole batches; they are drawn once and kept in memory.
        batch_size: of the forwards of the copy.
        seed: of the draw.
        device: where the copy runs; by default where the model is.
        writer: a `SummaryWriter` or a function of the values and the epoch, besides the trainer's own loggers.

    Raises:
        UsageError: an argument is out of its range. What fails in training is warned of once, and training goes on
            without.
    """

    def __init__(
        self,
        data: Any = None,
        *,
        samples: int = SAMPLES,
        batch_size: int = BATCH_SIZE,
        seed: int = SEED,
        device: str | None = None,
        writer: Any = None,
    ) -> None:
        self._data = data
        self._samples, self._seed = samples, seed
        self._options = {"batch_size": batch_size, "seed": seed, "device": device, "writer": writer}
        self._monitor_of(torch.nn.Identity(), ())  # a wrong argument shows before anything is trained
        self._trainer: Any = None
        self._monitor: GapMonitor | None = None
        self._measured: int | None = None
        self._tolerance = Tolerance()

    def __call__(self, trainer: Any) -> None:
        """Measure, and log; once an epoch, also where Ultralytics judges the best model again at the end."""
        if trainer is not self._trainer:
            self._trainer, self._monitor, self._measured, self._tolerance = trainer, None, None, Tolerance()
        if self._measured == trainer.epoch or _rank() not in _FIRST:
            return
        self._measured = trainer.epoch
        values = self._tolerance(self._measure)
        if values and trainer.metrics is not None and getattr(trainer.args, "val", True):
            trainer.metrics.update(values)

    def _measure(self) -> dict[str, float]:
        if self._monitor is None:
            data = self._data
            if data is None:
                data = list(_images(self._trainer.test_loader, self._samples, self._seed))
            self._monitor = self._monitor_of(_averaged(self._trainer), data)
        return self._monitor.measure(self._trainer.epoch + 1)

    def _monitor_of(self, model: torch.nn.Module, data: Any) -> GapMonitor:
        return GapMonitor(model, data, samples=self._samples, **self._options)


def _averaged(trainer: Any) -> torch.nn.Module:
    """The model that is validated and saved: the moving average, where there is one."""
    ema = getattr(trainer, "ema", None)
    model: torch.nn.Module = trainer.model if ema is None else ema.ema
    return model


def _images(loader: Any, samples: int, seed: int) -> Iterator[torch.Tensor]:
    """Batches of images as the loader makes them, drawn at random.

    The loader is not iterated: its one iterator goes on from validation to validation. Images of a batch have one
    size, those of different batches need not.
    """
    dataset, size = loader.dataset, loader.batch_size
    if not len(dataset):
        raise UsageError("BatchNormWatch: the trainer's validation set is empty; say with data=... what to measure on.")
    starts = np.random.default_rng(seed).permutation(range(0, len(dataset), size))
    read = 0
    for start in map(int, starts):
        batch = loader.collate_fn([dataset[at] for at in range(start, min(start + size, len(dataset)))])
        images: torch.Tensor = batch["img"]
        yield images if images.is_floating_point() else images.float() / _BYTE
        read += len(images)
        if read >= samples:
            return


def _rank() -> int:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank()
    return int(os.environ.get("RANK", "-1"))
