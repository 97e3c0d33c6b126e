"""The whole repair: measure, write, inspect what was written, and only then put it where it was wanted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bncheck.api.inspecting import report_on
from bncheck.api.judging import Judging
from bncheck.data import DataOptions, Source, require_named
from bncheck.errors import ModelError, UsageError
from bncheck.formats import Model, open_model
from bncheck.formats.opening import require_runnable
from bncheck.formats.programs.running import Progress, no_progress
from bncheck.formats.writing import write_model
from bncheck.measure.passes import Plan
from bncheck.predictions.effect import Metric
from bncheck.repair.atomic import publish, staging
from bncheck.repair.destination import Target, target_of
from bncheck.repair.evaluation.comparison import comparison_of, outcome_of, samples_needed
from bncheck.repair.evaluation.held_out import side_by_side
from bncheck.repair.measuring import STATISTICS
from bncheck.repair.methods import method_named
from bncheck.repair.methods.method import RECALIBRATE, UNTIL, Method, MethodOptions, Repaired
from bncheck.repair.training.checkpoints import forget_checkpoint, require_place
from bncheck.repair.training.options import FineTuneOptions
from bncheck.repair.training.result import TrainingProgress, quiet
from bncheck.repair.training.roles import Roles, roles_of
from bncheck.repair.training.trainee import module_of
from bncheck.results.repair import (
    CROSS_FITTED,
    HELD_OUT,
    NO_DIFFERENCE,
    NOTHING,
    TOO_FEW,
    UNDECIDED,
    WORSE,
    LayerRepair,
    RepairResult,
    layer_repairs,
)
from bncheck.results.report import Report


def repair_file(
    model: str | Path,
    data: Any = None,
    *,
    out: str | Path | None,
    method: str = RECALIBRATE,
    train_data: Any = None,
    heldout: Any = None,
    fine_tuning: FineTuneOptions | None = None,
    prior: float | None = None,
    until: float = UNTIL,
    force: bool = False,
    overwrite: bool = False,
    batch_size: int = 64,
    limit: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    arch: str | Callable[..., Any] | None = None,
    arch_kwargs: Mapping[str, Any] | None = None,
    key: str | None = None,
    trust_pickle: bool = False,
    data_options: DataOptions | None = None,
    output: str | None = None,
    metric: Metric | None = None,
    fail_on: str = "warning",
    judging: Judging | None = None,
    command: str = "bncheck.repair",
    options: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
    training_progress: TrainingProgress = quiet,
) -> RepairResult:
    """Write a model again with statistics (or weights) that fit the data, if that is measured to be no worse.

    The file keeps its container, its names, its dtypes and everything else that is in it; the original is never
    touched. What is judged is the file that was written, before it gets its name.

    Args:
        model: a path, as for `bncheck.inspect`.
        data: what to repair from: a path, an array, a pair (x, y) or an iterable of batches. With `train_data`, what
            to judge on.
        out: the file to write; for a sharded model its index, or the folder that takes both; `None` to see what the
            repair would come to.
        method: `recalibrate`, `blend` or `renorm`.
        train_data: what `renorm` trains on, in its own order and batches; without it `data`, drawn at random.
        heldout: what to judge on. Without it each half of `data` judges what the other half gave; for `renorm` a
            fifth of the data is kept from training. With all three `data` choose the best state of the training.
        fine_tuning: how `renorm` trains; by default `FineTuneOptions` with the batch size, output, device and seed
            given here. Its checkpoint is deleted once the model is written.
        prior: what the stored statistics are worth, in samples (`blend`); by default chosen by the labels.
        until: stop reading once every layer's mean is known so well, in standard deviations; 0 reads everything.
        force: write although the result is worse, or of too few samples.
        overwrite: write over an existing `out`.
        batch_size: samples in a forward.
        limit: draw so many samples at random, of either data; what is trained on is limited by the steps alone.
        seed: of every draw.
        device: where to run the model.
        arch: what builds the module a state dict belongs to.
        arch_kwargs: keyword arguments for it.
        key: which nested state dict of a checkpoint; the others stay as they are.
        trust_pickle: unpickle a file that can run code.
        data_options: preprocessing, of either data.
        output: key or index of the output that is the prediction.
        metric: `metric(outputs, labels) -> number` instead of top-1 accuracy; larger is better.
        fail_on: severity of findings on the repaired file from which the exit code is 1.
        judging: how the reports judge, instead of `fail_on`, `command` and `options`.
        command: how the reports say they were made.
        options: what the user set, as the reports print it.
        progress: told how far the passes are.
        training_progress: told of every step of `renorm`.

    Raises:
        RefusedError: the training diverged, or led to nothing better; nothing was written.
        UsageError: an option is wrong, `out` is an input, exists already or cannot be written.
        ModelError: the model cannot be read, or its file cannot hold the new values.
        DataError: the data cannot be read, do not fit the model, or are not finite.
    """
    for option, named in (("--data", data), ("--train-data", train_data), ("--heldout", heldout)):
        require_named(named, option)
    tuning = fine_tuning or FineTuneOptions(batch_size=batch_size, output=output, device=device, seed=seed)
    way = method_named(method, MethodOptions(prior, until, tuning, training_progress))
    opening = partial(open_model, arch=arch, arch_kwargs=arch_kwargs, key=key, trust_pickle=trust_pickle, device=device)
    shipped = opening(model)
    if not way.cross_fits:
        module_of(shipped)  # says what cannot be trained
    require_runnable(shipped, "repair a file that holds the program too (TorchScript, .pt2, ONNX)")
    _require_unseen(data, heldout)
    if shipped.refusal is not None:
        raise ModelError(f"{model} cannot be repaired: {shipped.refusal}. Export it again in eval mode.")
    if options is None:
        options = {
            "method": method,
            "prior": prior,
            "until": until,
            "batch_size": batch_size,
            "limit": limit,
            "device": device,
            "key": key,
            "output": output,
            "force": force,
            "fail_on": fail_on,
        }

    def repaired_to(place: Path) -> RepairResult:
        target = target_of(shipped, place, [data, train_data, heldout], overwrite=overwrite)
        require_place(tuning.checkpoint, target.out)
        job = _Job(
            way=way,
            roles=roles_of(
                way, data=data, train_data=train_data, heldout=heldout, how=data_options or DataOptions(), seed=seed
            ),
            plan=Plan(batch_size, limit, seed, output, metric, (data_options or DataOptions()).normalization),
            judging=judging or Judging(fail_on=fail_on, command=command, options=options),
            opening=opening,
            target=target,
            force=force,
            trust_pickle=trust_pickle,
            progress=progress,
        )
        return job.run(shipped)

    if out is None:
        with tempfile.TemporaryDirectory(prefix="bncheck-") as folder:
            return _unwritten(repaired_to(Path(folder) / Path(model).name), shipped.path)
    result = repaired_to(Path(out))
    if result.path is not None:
        forget_checkpoint(tuning.checkpoint)
    return result


def _require_unseen(data: Any, heldout: Any) -> None:
    """Refuse to judge by the very file that the repair is made from."""
    paths = [Path(one).resolve() for one in (data, heldout) if isinstance(one, str | Path)]
    if len(paths) > len(set(paths)):
        raise UsageError(
            f"--heldout {heldout}: that is --data, and a repair is judged on samples that it has not seen. Leave it "
            "out: then parts of --data are kept for that."
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """Everything one repair takes but the model."""

    way: Method
    roles: Roles
    plan: Plan
    judging: Judging
    opening: Callable[[Path], Model]
    target: Target
    force: bool
    trust_pickle: bool
    progress: Progress

    @property
    def judged(self) -> str:
        """How the repair is judged."""
        return CROSS_FITTED if self.roles.judge is self.roles.repair_from else HELD_OUT

    @property
    def judge(self) -> Source:
        """What it is judged on."""
        return self.roles.judge

    def run(self, shipped: Model) -> RepairResult:
        """Repair it, prove it, publish it."""
        before = self._report(shipped)
        made = self.way(
            shipped,
            self.roles.repair_from,
            self.plan,
            self.progress,
            judge=self.judged == CROSS_FITTED,
            validation=self.roles.validation,
        )
        if self.roles.note and made.tensors:
            made = replace(made, notes=(self.roles.note, *made.notes))
        if not made.tensors:
            return self._result(NOTHING, before, made)
        with staging(self.target.out) as folder:
            staged = folder / self.target.out.name
            notes = write_model(
                shipped, made.tensors, staged, trust_pickle=self.trust_pickle, beside=self.target.beside
            )
            self.target.require_free(folder)
            written = self.opening(staged)
            after = self._named(self._report(written))
            evaluation = made.evaluation
            if self.judged == HELD_OUT:
                evaluation = side_by_side(shipped, written, self.judge, self.plan, self.progress)
            comparison = comparison_of(evaluation)
            outcome = outcome_of(comparison, before, after)
            needed = samples_needed(made.errors, made.samples) if self.way.name == RECALIBRATE else None
            if needed is not None and outcome in (NO_DIFFERENCE, UNDECIDED):
                outcome = TOO_FEW
            result = replace(
                self._result(outcome, before, made),
                comparison=comparison,
                after=after,
                layers=_rows(before, after, made),
                notes=(*made.notes, *notes),
                samples_needed=needed,
            )
            if outcome in (WORSE, TOO_FEW) and not self.force:
                return result
            publish(folder, self.target.out)
        return replace(result, path=str(self.target.out))

    def _report(self, model: Model) -> Report:
        return report_on(model, self.judge, self.plan, self.judging, self.progress)

    def _named(self, report: Report) -> Report:
        """The report on the file under the name it is going to have."""
        return replace(report, model=replace(report.model, path=str(self.target.out)))

    def _result(self, outcome: str, before: Report, made: Repaired) -> RepairResult:
        return RepairResult(
            method=self.way.name,
            path=None,
            out=str(self.target.out),
            outcome=outcome,
            judged=self.judged,
            source=self.roles.repair_from.name,
            samples=made.samples,
            comparison=None,
            before=before,
            after=None,
            layers=tuple(_kept(name, reason) for name, reason in made.kept.items()),
            notes=made.notes,
        )


def _rows(before: Report, after: Report, made: Repaired) -> tuple[LayerRepair, ...]:
    placed = (name.rpartition(".") for name in made.tensors)
    changed = {layer for layer, _, role in placed if role in STATISTICS}
    return layer_repairs(before, after, changed=changed, kept=made.kept, errors=made.errors, gaps=made.gaps)


def _kept(name: str, reason: str) -> LayerRepair:
    return LayerRepair(name, False, reason, None, None, None, None, None)


def _unwritten(result: RepairResult, model: str) -> RepairResult:
    """The result of a repair that went to a file nobody is to hear of."""
    after = result.after
    if after is not None:
        after = replace(after, model=replace(after.model, path=model))
    return replace(result, path=None, out=None, after=after)
