"""The Hugging Face callback in real short trainings."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from trained_digits import digits, same_states, small_net, weights

import bncheck
from bncheck.errors import UsageError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what transformers imports is its own business
    from transformers import Trainer, TrainingArguments, set_seed

    from bncheck.integrations.transformers import BatchNormCallback

TRAIN, HELD_OUT = digits("train", 640), digits("eval", 320)

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:DeprecationWarning"),
]


class Digits(nn.Module):
    """As an image model of the hub: called with `pixel_values`, and in training with `labels`."""

    def __init__(self, *, momentum: float = 0.1) -> None:
        super().__init__()
        self.net = small_net(momentum=momentum)

    def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        logits = self.net(pixel_values)
        loss = {} if labels is None else {"loss": nn.functional.cross_entropy(logits, labels)}
        return {**loss, "logits": logits}


class Named(torch.utils.data.Dataset):
    def __init__(self, data: tuple[torch.Tensor, torch.Tensor]) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data[1])

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"pixel_values": self.data[0][index], "labels": self.data[1][index]}


def built(**options: Any) -> Digits:
    set_seed(1)
    return Digits(**options)


def arguments_of(folder: Path, **options: Any) -> TrainingArguments:
    """Two short epochs on the CPU."""
    settings = {"eval_strategy": "epoch", "save_strategy": "no", "report_to": [], **options}
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=2,
        per_device_train_batch_size=32,
        learning_rate=0.01,
        seed=2,
        disable_tqdm=True,
        use_cpu=True,
        logging_strategy="epoch",
        dataloader_pin_memory=False,
        **settings,
    )


def trainer_of(model: nn.Module, folder: Path, **options: Any) -> Trainer:
    """A trainer of the digits."""
    return Trainer(model, arguments_of(folder, **options), train_dataset=Named(TRAIN), eval_dataset=Named(HELD_OUT))


def logged(trainer: Trainer, name: str) -> list[float]:
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def test_it_logs_what_inspect_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    model = built()
    trainer = trainer_of(model, tmp_path, report_to=["tensorboard"])
    trainer.add_callback(BatchNormCallback(trainer, HELD_OUT))
    trainer.train()
    report = bncheck.inspect(model, HELD_OUT, limit=256)
    gaps = logged(trainer, "eval_bncheck_gap")
    assert len(gaps) == 2
    assert gaps[-1] == report.summary.gap
    assert logged(trainer, "eval_bncheck_own_gap")[-1] == report.summary.own_gap
    events = EventAccumulator(str(tmp_path / "events")).Reload().Scalars("eval/bncheck_gap")
    assert [event.step for event in events] == [20, 40]
    assert events[-1].value == pytest.approx(report.summary.gap, rel=1e-6)


def test_it_takes_the_evaluation_loader_and_adds_to_the_metrics(tmp_path: Path):
    model = built()
    trainer = trainer_of(model, tmp_path)
    trainer.add_callback(BatchNormCallback(trainer, samples=320))
    trainer.train()
    report = bncheck.inspect(model, HELD_OUT)
    assert trainer.evaluate()["eval_bncheck_gap"] == pytest.approx(report.summary.gap, rel=1e-5)
    other = trainer.evaluate(Named(TRAIN), metric_key_prefix="train_part")
    assert other["train_part_bncheck_gap"] != pytest.approx(report.summary.gap, rel=1e-3)


def test_training_is_the_same_with_and_without(tmp_path: Path):
    plain, watched = built(), built()
    without = trainer_of(plain, tmp_path)
    without.train()
    drawn = torch.rand(1)
    with_it = trainer_of(watched, tmp_path)
    with_it.add_callback(BatchNormCallback(with_it))
    with_it.train()
    assert torch.equal(drawn, torch.rand(1))
    assert same_states(plain, watched)
    assert logged(with_it, "eval_loss") == logged(without, "eval_loss")


@pytest.mark.parametrize("strategy", ["epoch", "steps"])
def test_recalibrated_checkpoints_pass_inspection(tmp_path: Path, strategy: str):
    slow, renewed = built(momentum=0.01), built(momentum=0.01)
    for name, model in {"slow": slow, "renewed": renewed}.items():
        trainer = trainer_of(
            *(model, tmp_path / name),
            save_strategy=strategy,
            save_steps=13,
            eval_strategy=strategy,
            eval_steps=26,
        )
        if model is renewed:
            trainer.add_callback(BatchNormCallback(trainer, recalibrate=True))
        trainer.train()
        assert trainer.model is model
    assert all(torch.equal(value, weights(slow)[name]) for name, value in weights(renewed).items())
    for step in (20, 40) if strategy == "epoch" else (13, 26, 39):
        before, after = (
            bncheck.inspect(
                *(tmp_path / name / f"checkpoint-{step}" / "model.safetensors", HELD_OUT),
                arch=Digits,
                output="logits",
                limit=128,
            )
            for name in ("slow", "renewed")
        )
        assert (before.summary.exit_code, after.summary.exit_code) == (1, 0)
    assert bncheck.inspect(renewed, HELD_OUT, output="logits").summary.exit_code == 0  # as left at the end
    assert logged(trainer, "eval_bncheck_gap")[0] < 0.2


def test_the_best_model_by_the_gap(tmp_path: Path):
    trainer = trainer_of(
        *(built(), tmp_path),
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="eval_bncheck_gap",
        greater_is_better=False,
    )
    trainer.add_callback(BatchNormCallback(trainer))
    trainer.train()
    state = json.loads((tmp_path / "checkpoint-40" / "trainer_state.json").read_text())
    assert state["best_metric"] == min(logged(trainer, "eval_bncheck_gap"))


def test_a_wrong_set_up_is_an_error(tmp_path: Path):
    trainer = trainer_of(built(), tmp_path)
    trainer.add_callback(BatchNormCallback(trainer, net="body"))
    with pytest.raises(UsageError, match="net='body': the Digits has net"):
        trainer.evaluate()
