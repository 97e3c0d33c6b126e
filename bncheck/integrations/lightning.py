"""A callback for Lightning: `Trainer(callbacks=[BatchNormMonitor()])`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from bncheck.errors import UsageError
from bncheck.integrations.monitor import GapMonitor
from bncheck.integrations.refreshing import Refresher
from bncheck.integrations.tolerance import Tolerance
from bncheck.integrations.watching import Watching
from bncheck.settings import BATCH_SIZE, RECALIBRATION_SAMPLES, SAMPLES, SEED, MonitorSettings

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    raise ImportError("bncheck.integrations.lightning needs Lightning 2: pip install 'bncheck[lightning]'") from error


class BatchNormMonitor(Callback):
    """Logs the gap of the model's BatchNorm statistics at every validation, and recalibrates them if asked.

    Logged through `pl_module.log_dict`, so every logger gets them, and `ModelCheckpoint` and `EarlyStopping` can
    monitor them: `bncheck/gap`, `bncheck/own_gap` and `bncheck/layers_over_margin`. With `recalibrate` these are of the
    statistics that a checkpoint gets, and so tell no epoch from another; `bncheck/gap_before` is what training had
    left. Choose checkpoints by the loss. Always the same samples are measured, on a copy: without `recalibrate` the
    training gives exactly the weights it gives without the callback. The sanity check before training is measured too,
    and not logged, so that a wrong set-up shows at once.

    With `recalibrate=True` running statistics that training has moved are replaced by those of the training data
    before each validation, before checkpoints are saved (`save_weights_only` checkpoints in the middle of an epoch
    excepted: Lightning tells no callback of them) and when training ends. Weights, counters, and layers that are
    frozen (in eval mode) are left alone.

    Distributed training: rank zero alone measures and logs (on its share of the validation data); recalibrated
    statistics are measured there and sent to all. Models whose parameters are sharded (FSDP, DeepSpeed 3) cannot be
    copied, and are refused.

    Args:
        data: what to measure on, as `bncheck.inspect` takes it; by default the trainer's (first) validation loader.
        recalibrate: whether to replace statistics.
        train_data: what to recalibrate on; by default the trainer's training loader.
        net: the submodule that batches are fed to, where the LightningModule itself has no `forward`.
        samples: to measure on; they are drawn once and kept in memory.
        recalibration_samples: to recalibrate on, at the most; drawn at random.
        batch_size: of the forwards of the copy.
        seed: of the draws.
        device: where the copy runs; by default where the model is.

    Raises:
        BncheckError: the set-up is wrong, which shows before training and in the sanity check; what fails in training
            is warned of once, and training goes on without.
    """

    def __init__(
        self,
        data: Any = None,
        *,
        recalibrate: bool = False,
        train_data: Any = None,
        net: str | None = None,
        samples: int = SAMPLES,
        recalibration_samples: int = RECALIBRATION_SAMPLES,
        batch_size: int = BATCH_SIZE,
        seed: int = SEED,
        device: str | None = None,
    ) -> None:
        super().__init__()
        settings = MonitorSettings(samples, recalibration_samples, batch_size, seed, device)
        self._watching = Watching(settings, data, recalibrate, train_data, net)
        self._monitor: GapMonitor | None = None
        self._refresher: Refresher | None = None
        self._measuring, self._recalibrating = Tolerance(), Tolerance()
        self._before: dict[str, float] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget the last run: it may have had another model."""
        self._monitor = self._refresher = None
        self._measuring, self._recalibrating = Tolerance(), Tolerance()
        self._watching.module(pl_module)  # a part that is not there shows before anything is trained

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the statistics that training starts from."""
        if self._watching.recalibrate:
            self._refresher = self._watching.refresher(pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Recalibrate, so that validation judges what a checkpoint will hold."""
        self._before = {}
        if self._refresher is not None and trainer.is_global_zero:
            values = self._measure(trainer, pl_module)
            self._before = {} if values is None else {"bncheck/gap_before": values["bncheck/gap"]}
        self._recalibrate(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure and log."""
        if not trainer.is_global_zero:
            return
        values = self._measure(trainer, pl_module)
        if values is not None:  # Lightning itself drops what is logged in the sanity check
            pl_module.log_dict(values | self._before, rank_zero_only=True)

    def _measure(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, float] | None:
        """The values now; `None` where measuring failed."""

        def measured() -> dict[str, float]:
            if self._monitor is None:
                self._monitor = self._watching.monitor(pl_module, _first(trainer.val_dataloaders, "data"))
            return self._monitor.measure()

        return self._measuring(measured, before_training=bool(trainer.sanity_checking) or trainer.state.fn != "fit")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Recalibrate where there was no validation: checkpoints are saved after this."""
        self._recalibrate(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Recalibrate what a checkpoint in the middle of an epoch holds."""
        written = self._recalibrate(trainer)
        prefix = f"{self._watching.net}." if self._watching.net else ""
        for name in written:
            saved = checkpoint["state_dict"].get(prefix + name)
            if saved is not None:  # whether it shares the module's memory is the strategy's business
                saved.copy_(written[name])

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the module as its last checkpoint would be."""
        self._recalibrate(trainer)
        self._refresher = None

    def _recalibrate(self, trainer: Trainer) -> dict[str, torch.Tensor]:
        """Write new statistics, the same ones on every rank, and give them by name."""
        refresher = self._refresher
        if refresher is None:
            return {}
        found: dict[str, torch.Tensor] | None = None
        if trainer.is_global_zero:
            found = self._recalibrating(lambda: refresher.measured(self._train_data(trainer)))
        found = trainer.strategy.broadcast(found)
        if found:
            refresher.write(found)
        return found or {}

    def _train_data(self, trainer: Trainer) -> Any:
        given = self._watching.train_data
        return _first(trainer.train_dataloader, "train_data") if given is None else given


def _first(loaders: Any, argument: str) -> Any:
    """The loader, or the first of several that are run one after the other."""
    if isinstance(loaders, list | tuple) and loaders and argument == "data":
        return loaders[0]
    if loaders is None or isinstance(loaders, list | tuple | Mapping):
        raise UsageError(
            f"BatchNormMonitor: the trainer has {'no' if loaders is None else 'several'} such loaders; say with "
            f"{argument}=... which data to run the model on."
        )
    return loaders
