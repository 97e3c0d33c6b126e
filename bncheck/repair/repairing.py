"""The whole repair: measure, write, inspect what was written, and only then put it where it was wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bncheck.data import DataOptions, Source, open_data, require_named
from bncheck.errors import ModelError
from bncheck.inspection import Judging, no_progress, report_on, require_runnable
from bncheck.models import Model, open_model
from bncheck.observe.effect import Metric
from bncheck.observe.passes import Plan
from bncheck.observe.running import Progress
from bncheck.repair.atomic import publish, staging
from bncheck.repair.destination import destination, files_of, require_free
from bncheck.repair.methods import RECALIBRATE, UNTIL, Method, MethodOptions, Repaired, method_named
from bncheck.repair.proof import comparison_of, outcome_of
from bncheck.repair.trial import side_by_side
from bncheck.repair.writing import write_model
from bncheck.repair_report import (
    CROSS_FITTED,
    HELD_OUT,
    NOTHING,
    WORSE,
    LayerRepair,
    RepairResult,
    layer_repairs,
)
from bncheck.report import Report


def repair_file(
    model: str | Path,
    data: Any,
    *,
    out: str | Path,
    method: str = RECALIBRATE,
    heldout: Any = None,
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
    command: str = "bncheck.repair",
    options: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
) -> RepairResult:
    """Write a model again with statistics (or weights) that fit the data, if that is measured to be no worse.

    The file keeps its container, its names, its dtypes and everything else that is in it; the original is never
    touched. What is judged is the file that was written, before it gets its name.

    Args:
        model: a path, as for `bncheck.inspect`.
        data: what to repair from: a path, an array, a pair (x, y) or an iterable of batches.
        out: the file to write; for a sharded model its index, or the folder that takes both.
        method: `recalibrate`, `blend` or `renorm`.
        heldout: what to judge on; without it each half of `data` judges what the other half gave.
        prior: what the stored statistics are worth, in samples (`blend`); by default chosen by the labels.
        until: stop reading once every layer's mean is known so well, in standard deviations; 0 reads everything.
        force: write although the result is worse.
        overwrite: write over an existing `out`.
        batch_size: samples in a forward.
        limit: draw so many samples at random, of either data.
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
        command: how the reports say they were made.
        options: what the user set, as the reports print it.
        progress: told how far the passes are.

    Raises:
        UsageError: an option is wrong, `out` is an input, exists already or cannot be written.
        ModelError: the model cannot be read, or its file cannot hold the new values.
        DataError: the data cannot be read, do not fit the model, or are not finite.
    """
    for named in (data, heldout):
        require_named(named)
    way = method_named(method, MethodOptions(prior, until))
    opening = partial(open_model, arch=arch, arch_kwargs=arch_kwargs, key=key, trust_pickle=trust_pickle, device=device)
    shipped = opening(model)
    target = _target(shipped, Path(out), [data, heldout], overwrite=overwrite)
    require_runnable(shipped)
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
    how = data_options or DataOptions()
    source = open_data(data, how)
    job = _Job(
        way=way,
        source=source,
        judge=source if heldout is None else open_data(heldout, how),
        plan=Plan(batch_size, limit, seed, output, metric),
        judging=Judging(fail_on=fail_on, command=command, options=options),
        opening=opening,
        target=target,
        force=force,
        trust_pickle=trust_pickle,
        progress=progress,
    )
    return job.run(shipped)


@dataclass(frozen=True, slots=True)
class _Target:
    """Where the model goes, and what must not be written over."""

    out: Path
    inputs: tuple[Path, ...]
    overwrite: bool
    beside: bool

    def require_free(self, staged: Path) -> None:
        """Refuse where a file in the folder `staged` would take the place of another."""
        parts = [path.relative_to(staged) for path in staged.rglob("*") if path.is_file()]
        require_free((self.out.parent / part for part in parts), self.inputs, overwrite=self.overwrite)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """Everything one repair takes but the model."""

    way: Method
    source: Source
    judge: Source
    plan: Plan
    judging: Judging
    opening: Callable[[Path], Model]
    target: _Target
    force: bool
    trust_pickle: bool
    progress: Progress

    @property
    def judged(self) -> str:
        """How the repair is judged."""
        return CROSS_FITTED if self.judge is self.source else HELD_OUT

    def run(self, shipped: Model) -> RepairResult:
        """Repair it, prove it, publish it."""
        before = self._report(shipped)
        made = self.way(shipped, self.source, self.plan, self.progress, judge=self.judged == CROSS_FITTED)
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
            trial = made.trial
            if self.judged == HELD_OUT:
                trial = side_by_side(shipped, written, self.judge, self.plan, self.progress)
            comparison = comparison_of(trial)
            outcome = outcome_of(comparison, before, after)
            result = replace(
                self._result(outcome, before, made),
                comparison=comparison,
                after=after,
                layers=_rows(before, after, made),
                notes=(*made.notes, *notes),
            )
            if outcome == WORSE and not self.force:
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
            source=self.source.name,
            samples=made.samples,
            comparison=None,
            before=before,
            after=None,
            layers=tuple(_kept(name, reason) for name, reason in made.kept.items()),
            notes=made.notes,
        )


def _target(model: Model, out: Path, named: list[Any], *, overwrite: bool) -> _Target:
    container = model.origin.container if model.origin else ""
    source = Path(model.path)
    target = destination(out, source, container)
    data = (Path(name) for name in named if isinstance(name, str | Path))
    inputs = (*files_of(source, container), *data)
    require_free([target], inputs, overwrite=overwrite)
    beside = target.parent.exists() and target.parent.samefile(source.absolute().parent)
    return _Target(target, inputs, overwrite, beside)


def _rows(before: Report, after: Report, made: Repaired) -> tuple[LayerRepair, ...]:
    changed = {name.rpartition(".")[0] for name in made.tensors}
    return layer_repairs(before, after, changed=changed, kept=made.kept, errors=made.errors, gaps=made.gaps)


def _kept(name: str, reason: str) -> LayerRepair:
    return LayerRepair(name, False, reason, None, None, None, None, None)
