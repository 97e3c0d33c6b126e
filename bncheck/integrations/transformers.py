"""A callback for the Hugging Face Trainer: `trainer.add_callback(BatchNormCallback(trainer))`."""

from __future__ import annotations

from typing import Any

from bncheck.integrations.monitor import GapMonitor
from bncheck.integrations.reading import GapReading
from bncheck.integrations.refreshing import Refresher
from bncheck.integrations.tolerance import Tolerance
from bncheck.integrations.watching import Watching
from bncheck.settings import BATCH_SIZE, RECALIBRATION_SAMPLES, SAMPLES, SEED, MonitorSettings

try:
    from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
except ImportError as error:
    raise ImportError(
        "bncheck.integrations.transformers needs transformers and accelerate: pip install 'bncheck[transformers]'"
    ) from error

RUNTIME = "_runtime"
"""Every evaluation reports it behind the prefix of its metrics."""


class BatchNormCallback(TrainerCallback):
    """Logs the gap of the model's BatchNorm statistics at every evaluation, and recalibrates them if asked.

    Logged through `trainer.log`, so everything in `report_to` gets them, and added to the evaluation's metrics, so that
    `metric_for_best_model="eval_bncheck_gap"` works: `eval_bncheck_gap`, `eval_bncheck_own_gap` and
    `eval_bncheck_layers_over_margin`; with `recalibrate` they are of the renewed statistics, and
    `eval_bncheck_gap_before` (from the second evaluation on) is what training had left. Of each evaluation set always
    the same samples are measured, on a copy: without `recalibrate` the training gives exactly the weights it gives
    without the callback.

    With `recalibrate=True` running statistics that training has moved are replaced by those of the training data
    before each evaluation, before each checkpoint and when training ends. Weights, counters, and layers that are
    frozen (in eval mode) are left alone.

    Distributed training: the first process alone measures and logs; every process recalibrates, on the same samples.
    Models whose parameters are sharded (FSDP, DeepSpeed 3) cannot be copied, and are refused.

    Args:
        trainer: the trainer it is added to, which logs.
        data: what to measure on, as `bncheck.inspect` takes it; by default the evaluation's own loader.
        recalibrate: whether to replace statistics.
        train_data: what to recalibrate on; by default the trainer's training loader.
        net: the submodule that batches are fed to, by default the model: it is called with the inputs of a batch,
            without its labels.
        samples: to measure on; they are drawn once and kept in memory.
        recalibration_samples: to recalibrate on, at the most; drawn at random.
        batch_size: of the forwards of the copy.
        seed: of the draws.
        device: where the copy runs; by default where the model is.

    Raises:
        BncheckError: the set-up is wrong, as far as that shows before training; what fails in training is warned of
            once, and training goes on without.
    """

    def __init__(
        self,
        trainer: Trainer,
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
        self._trainer = trainer
        settings = MonitorSettings(samples, recalibration_samples, batch_size, seed, device)
        self._watching = Watching(settings, data, recalibrate, train_data, net)
        self._monitors: dict[str, GapMonitor] = {}
        self._refresher: Refresher | None = None
        self._measuring, self._recalibrating = Tolerance(), Tolerance()
        self._before: dict[str, float] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Note the statistics that training starts from."""
        self._monitors.clear()  # a hyper-parameter search makes a new model for each run
        self._measuring, self._recalibrating = Tolerance(), Tolerance()
        self._watching.module(kwargs["model"])  # a part that is not there shows before anything is trained
        if self._watching.recalibrate:
            self._refresher = self._watching.refresher(kwargs["model"])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Recalibrate where an evaluation or a checkpoint comes next."""
        if control.should_evaluate or control.should_save:
            self._recalibrate(kwargs["train_dataloader"])

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Recalibrate where an evaluation or a checkpoint comes next."""
        if control.should_evaluate or control.should_save:
            self._recalibrate(kwargs["train_dataloader"])

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Measure, log, and add to the metrics."""
        if not state.is_world_process_zero:
            return
        metrics: dict[str, float] = kwargs["metrics"]
        prefix = next((name.removesuffix(RUNTIME) for name in metrics if name.endswith(RUNTIME)), "eval")

        def read() -> GapReading:
            if prefix not in self._monitors:
                self._monitors[prefix] = self._watching.monitor(kwargs["model"], kwargs["eval_dataloader"])
            return self._monitors[prefix].read()

        reading = self._measuring(read, before_training=not self._trainer.is_in_train)
        if reading is not None:
            values = reading.scalars(f"{prefix}_bncheck_")
            if prefix in self._before:
                values[f"{prefix}_bncheck_gap_before"] = self._before.pop(prefix)
            metrics.update(values)
            self._trainer.log(values)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leave the model as its last checkpoint would be."""
        self._recalibrate(kwargs["train_dataloader"])
        self._refresher = None

    def _recalibrate(self, loader: Any) -> None:
        refresher, given = self._refresher, self._watching.train_data
        if refresher is None:
            return
        if refresher.moved():
            for prefix, monitor in self._monitors.items():
                reading = self._measuring(monitor.read)
                if reading is not None:
                    self._before[prefix] = reading.gap
        found = self._recalibrating(lambda: refresher.measured(loader if given is None else given))
        if found:
            refresher.write(found)
