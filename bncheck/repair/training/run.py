"""One fine-tuning run: steps, evaluations, checkpoints."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import astuple, fields
from typing import Any

import torch
from torch import nn

from bncheck.data import Batch, Labels, Source, is_finite, map_labels, overlapping
from bncheck.errors import UsageError
from bncheck.formats import Backend, Runner, require_device
from bncheck.nn import RenormSchedule
from bncheck.repair.training.batches import Position, TrainingBatches
from bncheck.repair.training.checkpoints import fingerprint, read_checkpoint, write_checkpoint
from bncheck.repair.training.divergence import DivergenceGuard
from bncheck.repair.training.losses import Objective, Score
from bncheck.repair.training.options import STEPS, FineTuneOptions, rate_at
from bncheck.repair.training.result import FineTuned, TrainingProgress, TrainingStep
from bncheck.repair.training.trainee import State, Trainee, module_of
from bncheck.vocabulary import argument


class TrainingRun:
    """One fine-tuning, from the copy of the model to its state; see `fine_tune`."""

    def __init__(
        self,
        model: Backend | nn.Module,
        source: Source,
        options: FineTuneOptions,
        heldout: Source | None,
        progress: TrainingProgress,
    ) -> None:
        require_device(options.device)
        if options.patience is not None and heldout is None:
            raise UsageError(
                f"{argument('patience')} ends a run by its score on held-out data: give some, or leave it out."
            )
        module = module_of(model)
        only_size = None if isinstance(model, nn.Module) else model.fixed_batch
        self.options = options
        self.heldout = heldout
        self.progress = progress
        self.batches = TrainingBatches(source, options.batch_size, options.seed, only_size=only_size)
        self.steps = self._steps()
        schedule = RenormSchedule.for_run(self.steps, r_max=options.r_max, d_max=options.d_max)
        self.trainee = Trainee(
            module, schedule, norm_momentum=options.norm_momentum, train=options.train, device=options.device
        )
        name = type(module).__name__ if isinstance(model, nn.Module) else model.path
        self.objective = Objective(options)
        self.optimizer = _optimizer(self.trainee.parameters, options)
        self.scaler = torch.amp.GradScaler(self._device, enabled=options.precision == "float16")
        self.identity = self._identity()
        self.runner = Runner(self.trainee.net, name, source.name)
        self.step = 0
        self.history: list[TrainingStep] = []
        self.best: tuple[int, Score, State] | None = None
        self.before: Score | None = None
        self.worse = 0

    def result(self) -> FineTuned:
        """Train to the end, or to where the run ends early."""
        devices = [torch.cuda.current_device()] if self._device == "cuda" else []
        with overlapping(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.options.seed)
            self._look_before()
            self._resume()
            stopped = self._train()
        return self._finished(stopped)

    def _train(self) -> bool:
        """Whether the run was stopped early."""
        batches = iter(self.batches)
        while self.step < self.steps:
            if self.options.patience is not None and self.worse >= self.options.patience:
                return True
            loss = self._take_step(next(batches))
            self.guard.check(self.step, loss)
            score = self._evaluate() if self._is_due(self.options.evaluations) else None
            made = TrainingStep(self.step, self.steps, loss, *self.trainee.clipped(), score)
            self.history.append(made)
            if self.step % self.options.checkpoint_every == 0 and self.step < self.steps:
                self._write_checkpoint()
            self.progress(made)
        return False

    def _take_step(self, batch: Batch) -> float:
        self.trainee.set_training(True)
        self.trainee.set_step(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.step, self.steps, self.options.learning_rate)
        self.optimizer.zero_grad()
        loss = self._loss(batch)
        if not loss.requires_grad:
            raise UsageError(
                "The loss does not depend on the parameters that are trained: does the model run under "
                f"torch.no_grad(), does the {argument('loss')} function detach, or is {argument('output')} one that "
                "does not learn?"
            )
        torch.autograd.backward(self.scaler.scale(loss))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.step += 1
        return float(loss.detach())

    def _loss(self, batch: Batch) -> torch.Tensor:
        output = self._output(batch)
        return self.objective.loss(output, self._labels(batch))

    def _output(self, batch: Batch) -> Any:
        with self._autocast():
            return self.runner(batch)

    def _labels(self, batch: Batch) -> Labels | None:
        if batch.targets is None:
            return None
        return map_labels(batch.targets, lambda tensor: tensor.to(self.options.device))

    def _look_before(self) -> None:
        """Run the first batch as the model came in: labels and loss must fit, and the loss be finite."""
        self.trainee.set_training(False)
        with torch.no_grad():
            first = float(self._loss(self.batches.first()))
        self.guard = DivergenceGuard(first, self.options.learning_rate)
        if self.heldout is not None:
            self.before = self._evaluate()

    def _evaluate(self) -> Score | None:
        """Score the held-out data in eval mode, and keep the state if it is the best yet."""
        if self.heldout is None:
            return None
        self.trainee.set_training(False)
        right = counted = samples = 0
        total = 0.0
        with torch.no_grad():
            for batch in self._heldout_batches(self.heldout):
                output, labels = self._output(batch), self._labels(batch)
                total += float(self.objective.loss(output, labels)) * batch.size
                hits, of = self.objective.right(output, labels)
                right, counted, samples = right + hits, counted + of, samples + batch.size
        loss = total / samples if samples else math.inf
        score = Score(right / counted if counted else -1.0, -loss if math.isfinite(loss) else -math.inf)
        if self.best is None or score > self.best[1]:
            self.best, self.worse = (self.step, score, self.trainee.snapshot()), 0
        else:
            self.worse += 1
        return score

    def _finished(self, stopped: bool) -> FineTuned:
        step, score = self.step, None
        if self.best is not None:
            step, score, state = self.best
            self.trainee.restore(state)
        # On their way to sigma and back the variances that came in are rounded.
        state = self.trainee.batch_norm_state() if step > 0 else self.trainee.given
        broken = sorted(_finite(self.trainee.given) - _finite(state))
        if broken:
            raise self.guard.diverged(step, f"{broken[0]} is no longer finite")
        return FineTuned(state, self.step, step, score, self.before, tuple(self.history), stopped)

    def _heldout_batches(self, heldout: Source) -> Iterator[Batch]:
        size = self.batches.batch_size
        return (b for b in heldout.given_batches(size) if self.batches.only_size in (None, b.size))

    def _steps(self) -> int:
        if self.options.epochs is None:
            return self.options.steps or STEPS
        in_one = sum(1 for _ in self.batches.epoch(0))
        self.batches.first()  # says what is wrong where there is none
        return in_one * self.options.epochs

    def _is_due(self, times: int) -> bool:
        """Whether this step is one of `times`, evenly over the run; the last always is."""
        return (self.step * times) // self.steps > ((self.step - 1) * times) // self.steps

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.options.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self._device, dtype=getattr(torch, self.options.precision))

    @property
    def _device(self) -> str:
        return torch.device(self.options.device).type

    def _identity(self) -> dict[str, str]:
        """What must be equal for a checkpoint to be this run's."""
        ignored = ("checkpoint", "checkpoint_every", "steps", "epochs", "loss")
        options = {f.name: str(getattr(self.options, f.name)) for f in fields(self.options) if f.name not in ignored}
        return options | {
            "steps": str(self.steps),
            "loss": self.options.loss_name,
            "model": fingerprint(self.trainee.given),
        }

    def _write_checkpoint(self) -> None:
        if self.options.checkpoint is None:
            return
        best = None if self.best is None else (self.best[0], astuple(self.best[1]), self.best[2])
        content = {
            "run": self.identity,
            "step": self.step,
            "position": astuple(self.batches.position),
            "state": self.trainee.snapshot(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if self._device == "cuda" else None,
            "recent": self.guard.recent,
            "history": torch.tensor(
                [[made.loss, made.r_clipped, made.d_clipped] for made in self.history], dtype=torch.float64
            ),
            "best": best,
            "worse": self.worse,
        }
        write_checkpoint(self.options.checkpoint, content)

    def _resume(self) -> None:
        """Go on from the checkpoint, where there is one."""
        path = self.options.checkpoint
        content = None if path is None else read_checkpoint(path, self.identity)
        if content is None:
            return
        self.step, self.worse, self.guard.recent = content["step"], content["worse"], content["recent"]
        self.batches.position = Position(*content["position"])
        self.history = [TrainingStep(at, self.steps, *made) for at, made in enumerate(content["history"].tolist(), 1)]
        self.trainee.restore(content["state"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.scaler.load_state_dict(content["scaler"])
        torch.set_rng_state(content["random"])
        if content["random_cuda"] is not None:
            torch.cuda.set_rng_state(content["random_cuda"])
        if content["best"] is not None:
            step, score, state = content["best"]
            device = self.options.device
            self.best = step, Score(*score), {name: value.to(device) for name, value in state.items()}


def _finite(state: State) -> set[str]:
    return {name for name, value in state.items() if bool(is_finite(value).all())}


def _optimizer(parameters: list[nn.Parameter], options: FineTuneOptions) -> torch.optim.Optimizer:
    decay = options.weight_decay
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, options.learning_rate, momentum=options.momentum)
    kind = torch.optim.Adam if options.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, options.learning_rate, betas=(options.momentum, 0.999))
