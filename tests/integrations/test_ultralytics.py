"""The Ultralytics callback, by the trainer's documented interface alone: see `yolo_trainer.py`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from trained_digits import digits, same_states, small_net
from yolo_trainer import YOLO, Images

import bncheck
from bncheck.errors import UsageError
from bncheck.integrations.ultralytics import BatchNormWatch

NAMES = {"bncheck/gap", "bncheck/own_gap", "bncheck/layers_over_margin"}

pytestmark = pytest.mark.training


def as_bytes(part: str, count: int, **options: bool) -> Images:
    x, y = digits(part, count)
    low, high = float(x.min()), float(x.max())
    return Images(((x - low) / (high - low) * 255).to(torch.uint8), y, **options)


TRAIN, HELD_OUT = as_bytes("train", 160), as_bytes("eval", 80, rectangular=True)


def trained(folder: Path, *callbacks: Callable[[Any], None], **args: Any) -> YOLO:
    torch.manual_seed(3)
    model = YOLO(small_net(), TRAIN, HELD_OUT)
    for callback in callbacks:
        model.add_callback("on_fit_epoch_end", callback)
    model.train(save_dir=folder, **args)
    return model


def test_every_epoch_is_measured_once_and_the_loggers_get_it(tmp_path: Path) -> None:
    model = trained(tmp_path, BatchNormWatch(samples=1000))
    trainer = model.trainer
    assert [epoch for epoch, _ in trainer.logged] == [1, 2, 2]
    assert [set(values) >= NAMES for _, values in trainer.logged] == [True, True, False]  # the last judges the best
    images = [batch["img"].float() / 255 for batch in trainer.test_loader]
    report = bncheck.inspect(trainer.ema.ema, images)
    assert trainer.logged[1][1]["bncheck/gap"] == pytest.approx(report.summary.gap, rel=1e-6)
    assert trainer.logged[0][1]["bncheck/gap"] != trainer.logged[1][1]["bncheck/gap"]


def test_the_training_is_the_one_without_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with_it = trained(tmp_path / "a", BatchNormWatch(samples=32))
    without = trained(tmp_path / "b")
    assert same_states(with_it.net, without.net)
    assert same_states(with_it.trainer.ema.ema, without.trainer.ema.ema)
    assert with_it.trainer.validated == without.trainer.validated, "validation reads its batches as without"
    assert (tmp_path / "a" / "results.csv").read_text() == (tmp_path / "b" / "results.csv").read_text()


def test_without_validation_the_table_of_results_keeps_its_columns(tmp_path: Path) -> None:
    seen: list[tuple[dict[str, float], int | None]] = []
    watch = BatchNormWatch(samples=32, writer=lambda values, step: seen.append((values, step)))
    trained(tmp_path, watch, val=False, epochs=3)
    assert [step for _, step in seen] == [1, 2, 3]
    assert all(set(values) == NAMES for values, _ in seen)
    assert {line.count(",") for line in (tmp_path / "results.csv").read_text().splitlines()} == {1}


def test_a_second_training_is_watched_anew(tmp_path: Path) -> None:
    watch = BatchNormWatch(samples=32)
    first, second = trained(tmp_path, watch, epochs=1), trained(tmp_path, watch, epochs=1)
    for model in (first, second):
        assert set(model.trainer.logged[0][1]) >= NAMES


def test_what_fails_is_warned_of_once_and_training_goes_on(tmp_path: Path) -> None:
    with pytest.warns(RuntimeWarning, match="from here on training goes on without") as warned:
        model = trained(tmp_path, BatchNormWatch(torch.zeros(4, 7)))
    assert len(warned) == 1
    assert len(model.trainer.logged) == 3
    assert not NAMES & set(model.trainer.logged[0][1])


def test_of_several_processes_the_first_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert not NAMES & set(trained(tmp_path, BatchNormWatch(), epochs=1).trainer.logged[0][1])
    monkeypatch.setenv("RANK", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(trained(tmp_path, BatchNormWatch(), epochs=1).trainer.logged[0][1]) >= NAMES


def test_wrong_arguments_show_where_it_is_made() -> None:
    with pytest.raises(UsageError, match="samples"):
        BatchNormWatch(samples=0)
    with pytest.raises(UsageError, match="is no writer"):
        BatchNormWatch(writer=7)
