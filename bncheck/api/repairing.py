"""The whole repair: measure, write, inspect what was written, and only then put it where it was wanted."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bncheck.api.asking import Request, plan_of, request_of, spelling_arguments
from bncheck.api.inspecting import OPENING
from bncheck.api.opening import as_trained, model_of, preprocessed
from bncheck.api.remote.repairs import brought_here, called_as_named
from bncheck.api.reporting.running import report_on
from bncheck.data import Source
from bncheck.errors import ModelError, RefusedError, UsageError
from bncheck.files import InputFiles, publish, require_named, shown_as_named, staging
from bncheck.formats import Backend, by_instance, by_instance_refused, require_runnable
from bncheck.measure import Plan
from bncheck.progress import Progress, Relayed, begin, no_progress
from bncheck.render import what_a_repair_hides
from bncheck.repair import (
    RECALIBRATE,
    STATISTICS,
    DataFree,
    Method,
    MethodOptions,
    Repaired,
    Roles,
    Target,
    TrainingProgress,
    comparison_of,
    forget_checkpoint,
    method_named,
    module_of,
    outcome_of,
    quiet,
    require_writable,
    roles_of,
    samples_needed,
    side_by_side,
    target_of,
)
from bncheck.results import (
    CROSS_FITTED,
    HELD_OUT,
    NO_DIFFERENCE,
    NOT_JUDGED,
    NOTHING,
    TOO_FEW,
    UNDECIDED,
    WORSE,
    Judged,
    LayerRepair,
    Note,
    Outcome,
    RepairResult,
    Report,
    layer_repairs,
)
from bncheck.settings import ModelSettings, RepairSettings
from bncheck.vocabulary import Reason, argument


def repaired(
    settings: RepairSettings, progress: Progress = no_progress, training_progress: TrainingProgress = quiet
) -> RepairResult:
    """What comes of the repair that settings ask for; see `bncheck.repair_file`.

    Raises:
        BncheckError: as `bncheck.repair_file`.
    """
    for name, data in _named_data(settings).items():
        require_named(data, name)
    request_of(settings)  # refuses what cannot be meant before anything is opened
    here, copy = brought_here(settings)
    with shown_as_named(copy):
        result = _repaired(settings, here, progress, training_progress)
    if copy is None:
        return result
    after = None if result.after is None else called_as_named(result.after, copy)
    return replace(result, before=called_as_named(result.before, copy), after=after)


def _repaired(
    asked: RepairSettings, settings: RepairSettings, progress: Progress, training_progress: TrainingProgress
) -> RepairResult:
    """What comes of the repair asked for, by settings that name files of this machine alone."""
    training = settings.training
    options = MethodOptions(settings.prior, settings.until, training, training_progress, settings.force)
    way: Method = DataFree(options) if settings.data_free else method_named(settings.method, options)
    progress = spelling_arguments(progress, settings.edge.spelling)
    begin(progress, OPENING)
    shipped = model_of(settings.model)
    if shipped.origin is not None:
        shipped.origin.require_writable()
    if not way.cross_fits:
        module_of(shipped)  # says what cannot be trained
    require_runnable(shipped, "repair a file that holds the program too (TorchScript, .pt2, ONNX)")
    shipped, settings = as_trained(shipped, settings)
    request = request_of(replace(asked, reading=settings.reading))
    shipped, reading = preprocessed(shipped, settings.model, settings.data, settings.reading)
    _require_unseen(settings.data, settings.heldout)
    if shipped.refusal is not None:
        raise ModelError(f"{shipped.path} cannot be repaired: {shipped.refusal}. Export it again in eval mode.")

    def repaired_to(place: Path) -> RepairResult:
        read = InputFiles.named({argument("arch"): settings.model.arch}) + InputFiles.of_data(_named_data(asked))
        target = target_of(shipped, place, inputs=read, checkpoint=training.checkpoint, overwrite=settings.overwrite)
        require_writable(training.checkpoint)
        if isinstance(way, DataFree):
            pictures = way.pictures(shipped, reading, settings.sampling.seed)
            roles = Roles(pictures, pictures)
        else:
            roles = roles_of(
                way,
                data=settings.data,
                train_data=settings.train_data,
                heldout=settings.heldout,
                how=reading,
                seed=settings.sampling.seed,
            )
        return _Job(settings, request, way, roles, plan_of(settings), target, progress).run(shipped)

    if settings.out is None:
        with tempfile.TemporaryDirectory(prefix="bncheck-") as folder:
            return _unwritten(repaired_to(Path(folder) / Path(shipped.path).name))
    result = repaired_to(settings.out)
    if result.path is not None:
        forget_checkpoint(training.checkpoint)
    return result


def _named_data(settings: RepairSettings) -> dict[str, Any]:
    return {
        argument("data"): settings.data,
        argument("train_data"): settings.train_data,
        argument("heldout"): settings.heldout,
    }


def _require_unseen(data: Any, heldout: Any) -> None:
    """Refuse to judge by the very file that the repair is made from."""
    paths = [Path(one).resolve() for one in (data, heldout) if isinstance(one, str | Path)]
    if len(paths) > len(set(paths)):
        raise UsageError(
            f"{argument('heldout')} {heldout}: that is {argument('data')}, and a repair is judged on samples that it "
            f"has not seen. Leave it out: then parts of {argument('data')} are kept for that."
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """Everything one repair takes but the model."""

    settings: RepairSettings
    request: Request
    way: Method
    roles: Roles
    plan: Plan
    target: Target
    progress: Progress

    @property
    def judged(self) -> Judged:
        """How the repair is judged."""
        if self.settings.data_free:
            return NOT_JUDGED
        return CROSS_FITTED if self.way.learns and self.roles.judge is self.roles.repair_from else HELD_OUT

    @property
    def judge(self) -> Source:
        """What it is judged on."""
        return self.roles.judge

    def run(self, shipped: Backend) -> RepairResult:
        """Repair it, prove it, publish it."""
        before = self._report(shipped)
        if (hidden := what_a_repair_hides(before, self.way.name)) and not self.settings.force:
            raise RefusedError(*hidden, f"Nothing was written; {argument('force')} writes the file all the same.")
        made = self.way(
            shipped,
            self.roles.repair_from,
            self.plan,
            self.progress,
            judge=self.judged == CROSS_FITTED,
            validation=self.roles.validation,
        )
        if self.roles.note and made.changes:
            made = replace(made, notes=(self.roles.note, *made.notes))
        if not made.changes:
            return self._result(NOTHING, before, made)
        with staging(self.target.out) as folder:
            staged = folder / self.target.out.name
            begin(self.progress, "writing the file")
            notes = self._write(shipped, made, staged)
            if self.judged == NOT_JUDGED and shipped.origin is not None:
                shipped.origin.label_as_data_free(staged)
            self.target.require_free(folder)
            written = model_of(self._opened_anew(made, staged))
            _require_by_instance(shipped, written, made)
            after = self._report(written, self.called)
            evaluation = made.evaluation
            if self.judged == HELD_OUT:
                evaluation = side_by_side(shipped, written, self.judge, self.plan, self.progress)
            comparison = comparison_of(evaluation)
            outcome = outcome_of(evaluation, before, after)
            needed = samples_needed(made.errors, made.samples) if self.way.name == RECALIBRATE else None
            if self.judged == NOT_JUDGED:
                after = replace(after, run=replace(after.run, noted=(*made.notes, *after.run.noted)))
            if needed is not None and outcome in (NO_DIFFERENCE, UNDECIDED):
                outcome = TOO_FEW
            result = replace(
                self._result(outcome, before, made),
                comparison=comparison,
                after=after,
                layers=_rows(before, after, made),
                noted=(*made.notes, *(evaluation.notes if evaluation else ()), *notes),
                samples_needed=needed,
            )
            if outcome in (WORSE, TOO_FEW) and not self.settings.force:
                return result
            publish(folder, self.target.out)
        return replace(result, path=str(self.target.out))

    def _write(self, shipped: Backend, made: Repaired, staged: Path) -> tuple[Note, ...]:
        if made.by_instance:
            return shipped.write_by_instance(made.by_instance, staged, beside=self.target.beside)
        return shipped.write(made.tensors, staged, beside=self.target.beside)

    def _opened_anew(self, made: Repaired, staged: Path) -> ModelSettings:
        """How the file that was written is opened: with the architecture that it is to be built by from now on."""
        settings = self.settings.model
        arch = settings.arch
        if made.by_instance and arch is not None:
            arch = by_instance(arch, made.by_instance)
        return replace(settings, source=staged, arch=arch)

    @property
    def called(self) -> str:
        """What the repaired file is going to be called; one that nobody is to hear of, as the model."""
        return str(self.target.out if self.settings.out is not None else self.settings.model.source)

    def _report(self, model: Backend, called: str | None = None) -> Report:
        """The report on a model, under another name than its file has."""
        request = self.request
        if called is not None:
            request = replace(request, call=replace(request.call, model=called))
        more = called is None or self.judged == HELD_OUT  # of the repaired model, where nothing else judges: the last
        judge = None if self.judged == NOT_JUDGED else self.judge
        report = report_on(model, judge, self.plan, request, Relayed(self.progress, more=more))
        return report if called is None else replace(report, model=replace(report.model, path=called))

    def _result(self, outcome: Outcome, before: Report, made: Repaired) -> RepairResult:
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
            noted=made.notes,
            data_free=self.settings.data_free,
        )


def _require_by_instance(shipped: Backend, written: Backend, made: Repaired) -> None:
    """Refuse a program in which some of the layers that were to go without statistics still go by them."""
    left = [layer.name for layer in written.layers if layer.name in made.by_instance and layer.has_statistics]
    if left:
        why = f"its {written.format.replace('_', ' ')} calls no InstanceNorm for {', '.join(left)}"
        raise ModelError(by_instance_refused(Path(shipped.path), left, why))


def _rows(before: Report, after: Report, made: Repaired) -> tuple[LayerRepair, ...]:
    placed = (name.rpartition(".") for name in made.tensors)
    changed = {layer for layer, _, role in placed if role in STATISTICS} | set(made.by_instance)
    return layer_repairs(before, after, changed=changed, kept=made.kept, errors=made.errors, gaps=made.gaps)


def _kept(name: str, reason: Reason) -> LayerRepair:
    return LayerRepair(name, False, reason, None, None, None, None, None)


def _unwritten(result: RepairResult) -> RepairResult:
    """The result of a repair that went to a file nobody is to hear of."""
    return replace(result, path=None, out=None)
