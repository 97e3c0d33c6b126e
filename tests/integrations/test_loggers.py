"""Weights & Biases and MLflow with the real libraries, offline: what the callbacks log arrives there.

Neither is among the development requirements: `pip install mlflow-skinny wandb` and run this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trained_digits import digits, small_net

from bncheck.integrations.monitor import GapMonitor

TRAIN, HELD_OUT = digits("train", 320), digits("eval", 320)
NAMES = {"bncheck/gap", "bncheck/own_gap", "bncheck/layers_over_margin"}

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore"),  # theirs
]


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """MLflow, writing to a folder."""
    module = pytest.importorskip("mlflow", reason="needs mlflow-skinny")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "1")
    monkeypatch.chdir(tmp_path)
    module.set_tracking_uri(tmp_path.joinpath("runs").as_uri())
    return module


@pytest.fixture
def wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Weights & Biases, offline."""
    module = pytest.importorskip("wandb", reason="needs wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)
    yield module
    module.finish()


def measured(writer: Any) -> list[float]:
    monitor = GapMonitor(small_net(), HELD_OUT, writer=writer)
    return [monitor.measure(step)["bncheck/gap"] for step in range(2)]


def test_a_plain_loop_logs_to_mlflow(mlflow: Any) -> None:
    with mlflow.start_run() as run:
        gaps = measured(mlflow.log_metrics)
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "bncheck/gap")
    assert [(metric.step, metric.value) for metric in history] == list(enumerate(gaps))


def test_a_plain_loop_logs_to_wandb(wandb: Any) -> None:
    run = wandb.init(project="bncheck")
    gaps = measured(wandb.log)
    assert set(dict(run.summary)) >= NAMES
    assert run.summary["bncheck/gap"] == gaps[-1]


@pytest.mark.parametrize("library", ["mlflow", "wandb"])
def test_lightning_logs_to_both(library: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    from test_lightning import Digits, fit

    from bncheck.integrations.lightning import BatchNormMonitor

    module = request.getfixturevalue(library)
    if library == "mlflow":
        from lightning.pytorch.loggers import MLFlowLogger

        logger: Any = MLFlowLogger("bncheck", tracking_uri=module.get_tracking_uri())
    else:
        from lightning.pytorch.loggers import WandbLogger

        logger = WandbLogger(project="bncheck", save_dir=tmp_path, offline=True)
    trainer = fit(Digits(), tmp_path, BatchNormMonitor(), logger=logger)
    last = float(trainer.logged_metrics["bncheck/gap"])
    if library == "mlflow":
        history = logger.experiment.get_metric_history(logger.run_id, "bncheck/gap")
        assert [metric.step for metric in history] == [19, 39]
        assert history[-1].value == pytest.approx(last, rel=1e-6)
    else:
        assert logger.experiment.summary["bncheck/gap"] == pytest.approx(last, rel=1e-6)


@pytest.mark.parametrize("library", ["mlflow", "wandb"])
def test_the_hugging_face_trainer_logs_to_both(library: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    from test_transformers import Digits, Named
    from transformers import Trainer, TrainingArguments

    from bncheck.integrations.transformers import BatchNormCallback

    module = request.getfixturevalue(library)
    arguments = TrainingArguments(
        str(tmp_path), num_train_epochs=1, eval_strategy="epoch", save_strategy="no", report_to=[library], use_cpu=True
    )
    trainer = Trainer(Digits(), arguments, train_dataset=Named(TRAIN), eval_dataset=Named(HELD_OUT))
    trainer.add_callback(BatchNormCallback(trainer))
    trainer.train()
    logged = [entry["eval_bncheck_gap"] for entry in trainer.state.log_history if "eval_bncheck_gap" in entry]
    if library == "mlflow":
        run = module.last_active_run()
        assert run.data.metrics["eval_bncheck_gap"] == pytest.approx(logged[-1], rel=1e-6)
    else:
        assert module.run.summary["eval/bncheck_gap"] == pytest.approx(logged[-1], rel=1e-6)
