"""The Lightning callback in real short trainings."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from trained_digits import digits, loader, same_states, small_net, weights

import bncheck
from bncheck.errors import DataError, UsageError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what Lightning imports is its own business
    from lightning.pytorch import LightningModule, Trainer, seed_everything
    from lightning.pytorch.callbacks import Callback, ModelCheckpoint
    from lightning.pytorch.loggers import TensorBoardLogger

    from bncheck.integrations.lightning import BatchNormMonitor

TRAIN, HELD_OUT = digits("train", 640), digits("eval", 320)

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*The number of training batches:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`:UserWarning"),
]


class Digits(LightningModule):
    def __init__(self, *, momentum: float = 0.1, freeze_first: bool = False) -> None:
        super().__init__()
        self.net = small_net(momentum=momentum)
        self.freeze_first = freeze_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)

    def on_train_epoch_start(self) -> None:
        if self.freeze_first:
            self.net[1].eval()

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("val_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class WithoutForward(Digits):
    forward = LightningModule.forward

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("val_loss", nn.functional.cross_entropy(self.net(batch[0]), batch[1]))


def fit(module: LightningModule, folder: Path, *callbacks: Callback, validate: bool = True, **options: Any) -> Trainer:
    """Two epochs; without checkpoints of Lightning's own unless asked for."""
    settings = {"logger": False, "enable_checkpointing": False, "max_epochs": 2, **options}
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        **settings,
    )
    trainer.fit(module, loader(TRAIN, shuffle=True), loader(HELD_OUT) if validate else None)
    return trainer


def built(kind: type[Digits] = Digits, **options: Any) -> Digits:
    seed_everything(1, verbose=False)
    return kind(**options)


def test_it_logs_what_inspect_says(tmp_path: Path):
    module = built()
    logger = TensorBoardLogger(tmp_path, name="", version="")
    trainer = fit(module, tmp_path, BatchNormMonitor(HELD_OUT), logger=logger)
    report = bncheck.inspect(module, HELD_OUT, limit=256)
    logged = trainer.callback_metrics
    assert logged["bncheck/gap"].item() == pytest.approx(report.summary.gap, rel=1e-6)
    assert logged["bncheck/own_gap"].item() == pytest.approx(report.summary.own_gap, rel=1e-6)
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("bncheck/gap")
    assert [event.step for event in events] == [19, 39]  # each epoch's end, and not the sanity check
    assert events[-1].value == pytest.approx(report.summary.gap, rel=1e-6)


def test_it_takes_the_validation_loader(tmp_path: Path):
    module = built()
    trainer = fit(module, tmp_path, BatchNormMonitor(samples=320))
    report = bncheck.inspect(module, HELD_OUT)
    assert trainer.callback_metrics["bncheck/gap"].item() == pytest.approx(report.summary.gap, rel=1e-5)


def test_training_is_the_same_with_and_without(tmp_path: Path):
    plain, watched = built(), built()
    seed_everything(2, verbose=False)
    without = fit(plain, tmp_path)
    drawn = torch.rand(1)
    seed_everything(2, verbose=False)
    with_it = fit(watched, tmp_path, BatchNormMonitor())
    assert torch.equal(drawn, torch.rand(1))
    assert same_states(plain, watched)
    assert with_it.callback_metrics["val_loss"] == without.callback_metrics["val_loss"]


def test_a_checkpoint_by_the_gap(tmp_path: Path):
    keep = ModelCheckpoint(tmp_path, monitor="bncheck/gap", filename="best")
    fit(built(), tmp_path, BatchNormMonitor(), keep, enable_checkpointing=True)
    assert (tmp_path / "best.ckpt").is_file()


@pytest.mark.parametrize("validate", [True, False])
def test_recalibrated_checkpoints_pass_inspection(tmp_path: Path, validate: bool):
    slow, renewed = built(momentum=0.01), built(momentum=0.01)
    arch = small_net
    for module, callbacks in ((slow, ()), (renewed, (BatchNormMonitor(recalibrate=True),))):
        seed_everything(2, verbose=False)
        keep = ModelCheckpoint(tmp_path / ("slow" if module is slow else "renewed"), filename="last")
        fit(module, tmp_path, *callbacks, keep, validate=validate, enable_checkpointing=True)
    assert all(torch.equal(value, weights(slow)[name]) for name, value in weights(renewed).items())
    before = bncheck.inspect(tmp_path / "slow" / "last.ckpt", HELD_OUT, arch=arch)
    after = bncheck.inspect(tmp_path / "renewed" / "last.ckpt", HELD_OUT, arch=arch)
    assert (before.summary.exit_code, after.summary.exit_code) == (1, 0)
    assert after.summary.gap < 0.2 < before.summary.gap


def test_checkpoints_in_the_middle_of_an_epoch_too(tmp_path: Path):
    module = built(momentum=0.01)
    keep = ModelCheckpoint(tmp_path, every_n_train_steps=13, save_top_k=-1, filename="{step}")
    fit(module, tmp_path, BatchNormMonitor(recalibrate=True), keep, enable_checkpointing=True, max_epochs=1)
    report = bncheck.inspect(tmp_path / "step=13.ckpt", HELD_OUT, arch=small_net)
    assert report.summary.exit_code == 0


def test_validation_judges_the_recalibrated_model(tmp_path: Path):
    module = built(momentum=0.01)
    trainer = fit(module, tmp_path, BatchNormMonitor(recalibrate=True))
    assert trainer.callback_metrics["bncheck/gap"] < 0.2
    with torch.no_grad():
        loss = nn.functional.cross_entropy(module.eval()(HELD_OUT[0]), HELD_OUT[1])
    assert trainer.callback_metrics["val_loss"].item() == pytest.approx(loss.item(), rel=1e-5)


def test_frozen_layers_keep_their_statistics(tmp_path: Path):
    module = built(freeze_first=True)
    fit(module, tmp_path, BatchNormMonitor(TRAIN, recalibrate=True))
    assert not module.net[1].running_mean.any()
    assert module.net[5].running_mean.any()


def test_validating_alone_changes_nothing(tmp_path: Path):
    module, untouched = built().eval(), built().eval()
    trainer = fit(built(), tmp_path, BatchNormMonitor(HELD_OUT, recalibrate=True), max_epochs=1)
    trainer.validate(module, loader(HELD_OUT), verbose=False)
    assert same_states(module, untouched)
    report = bncheck.inspect(module, HELD_OUT, limit=256)
    assert trainer.callback_metrics["bncheck/gap"].item() == pytest.approx(report.summary.gap, rel=1e-6)


def test_a_part_of_the_module_can_be_named(tmp_path: Path):
    module = built(WithoutForward, momentum=0.01)
    keep = ModelCheckpoint(tmp_path, every_n_train_steps=13, save_top_k=-1, filename="{step}")
    monitor = BatchNormMonitor(net="net", recalibrate=True)
    trainer = fit(module, tmp_path, monitor, keep, enable_checkpointing=True)
    assert trainer.callback_metrics["bncheck/gap"] < 0.2
    assert bncheck.inspect(tmp_path / "step=13.ckpt", HELD_OUT, arch=small_net).summary.exit_code == 0


def test_a_wrong_set_up_ends_the_run_in_the_sanity_check(tmp_path: Path):
    module = built(WithoutForward)
    with pytest.raises(DataError, match="WithoutForward cannot be run on"):
        fit(module, tmp_path, BatchNormMonitor())
    assert module.global_step == 0
    with pytest.raises(UsageError, match="net='body': the WithoutForward has net"):
        fit(module, tmp_path, BatchNormMonitor(net="body"))


def test_a_later_failure_is_a_warning(tmp_path: Path):
    class Diverging(Digits):
        def on_train_epoch_end(self) -> None:
            if self.current_epoch == 1:
                nn.init.constant_(self.net[0].weight, torch.nan)

    module = built(Diverging)
    with pytest.warns(RuntimeWarning, match="training goes on without: .* is not finite"):
        fit(module, tmp_path, BatchNormMonitor(recalibrate=True), max_epochs=3)
    assert module.current_epoch == 3


def test_no_failure_ends_a_training_that_has_begun(tmp_path: Path):
    """Without a sanity check the first measurement comes after an epoch, and its failure is warned of once."""
    module = built(WithoutForward)
    with pytest.warns(RuntimeWarning, match="training goes on without: WithoutForward cannot be run on") as seen:
        fit(module, tmp_path, BatchNormMonitor(), num_sanity_val_steps=0)
    assert module.current_epoch == 2
    assert len([one for one in seen if "training goes on without" in str(one.message)]) == 1


def test_the_gap_before_recalibration_is_logged_beside_what_it_leaves(tmp_path: Path):
    module = built(momentum=0.01)
    trainer = fit(module, tmp_path, BatchNormMonitor(recalibrate=True), num_sanity_val_steps=0, max_epochs=1)
    assert trainer.callback_metrics["bncheck/gap"] < 0.2 < trainer.callback_metrics["bncheck/gap_before"]
