"""The examples of the page on integrations run as they stand there."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from trained_digits import digits, loader, small_net

import bncheck

PAGE = (Path(bncheck.__file__).parent / "integrations" / "README.md").read_text(encoding="utf-8")
HELD_OUT = digits("eval", 320)


def example(heading: str) -> str:
    """The code under that heading."""
    return re.split(r"^## ", PAGE, flags=re.MULTILINE)[heading_of(heading)].split("```python\n")[1].split("```")[0]


def heading_of(heading: str) -> int:
    parts = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    return next(number for number, part in enumerate(parts) if part.startswith(heading))


def run(heading: str, **names: Any) -> dict[str, Any]:
    """The names after running the example with these names before it."""
    space = {"torch": torch, **names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the frameworks' own
        exec(compile(example(heading), heading, "exec"), space)
    return space


def train_one_epoch(net: nn.Module) -> None:
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    net.train()
    for x, y in loader(digits("train", 640), shuffle=True):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)


def test_a_plain_loop():
    names = {"training_data": loader(digits("train"), shuffle=True), "validation_data": loader(HELD_OUT)}
    run("A plain loop", model=small_net(momentum=0.01), train_one_epoch=train_one_epoch, **names)
    assert list(Path("runs").iterdir())
    assert bncheck.inspect("last.pth", HELD_OUT, arch=small_net).summary.exit_code == 0


def test_lightning():
    from test_lightning import Digits

    data = {"training_data": loader(digits("train", 640), shuffle=True), "validation_data": loader(HELD_OUT)}
    trainer = run("Lightning", module=Digits(momentum=0.01), **data)["trainer"]
    kept = trainer.checkpoint_callback.best_model_path
    assert bncheck.inspect(kept, HELD_OUT, arch=small_net).summary.exit_code == 0


@pytest.mark.slow
def test_the_hugging_face_trainer():
    from test_transformers import Digits, Named, arguments_of

    data = {"training_data": Named(digits("train", 640)), "validation_data": Named(HELD_OUT)}
    model = Digits(momentum=0.01)
    trainer = run("Hugging Face", model=model, arguments=arguments_of(Path()), **data)["trainer"]
    assert "eval_bncheck_gap" in {name for entry in trainer.state.log_history for name in entry}
    assert bncheck.inspect(model, HELD_OUT, output="logits").summary.exit_code == 0


def test_ultralytics(tmp_path: Path):
    from test_ultralytics import HELD_OUT as IMAGES
    from test_ultralytics import NAMES, TRAIN
    from yolo_trainer import YOLO

    model = run("Ultralytics", model=YOLO(small_net(), TRAIN, IMAGES))["model"]
    assert [epoch for epoch, values in model.trainer.logged if set(values) >= NAMES] == [1, 2]


def test_pytest():
    made = bncheck.recalibrate(small_net().eval(), digits("train"))
    run("pytest", model=made, validation_data=HELD_OUT)["test_the_model_fits_its_data"]()
    bad = run("pytest", model=small_net(), validation_data=HELD_OUT)["test_the_model_fits_its_data"]
    with pytest.raises(AssertionError, match="BN600"):
        bad()


def test_what_the_page_says_of_numbers():
    from bncheck.core.thresholds import MARGIN
    from bncheck.integrations.monitor import RECALIBRATION_SAMPLES, SAMPLES

    assert f"{SAMPLES} samples" in PAGE
    assert f"{RECALIBRATION_SAMPLES:,} samples" in PAGE
    assert f"beyond {MARGIN}" in PAGE
