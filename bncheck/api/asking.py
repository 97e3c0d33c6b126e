"""From settings to what a report is asked for, and how it prints that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bncheck.api.calling import Call, call_of
from bncheck.data import normalization_of
from bncheck.errors import UsageError
from bncheck.measure import Observation, Plan
from bncheck.progress import Progress, Relayed
from bncheck.results import Asked, RunCost
from bncheck.rules import matching
from bncheck.settings import (
    By,
    DataSettings,
    Edge,
    InspectionSettings,
    JudgingSettings,
    RepairSettings,
    name_of_callable,
)
from bncheck.vocabulary import FailOn, Spelling, argument, spelled

if TYPE_CHECKING:
    from bncheck.measure import EarlierRun

Settings = InspectionSettings | RepairSettings


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What a report is to say, and how it was asked for.

    Attributes:
        batch_sizes: of the what-if table.
        judging: which rules judge, and what fails.
        codes: the rules that are wanted.
        edge: where it was asked for.
        options: as the report prints them.
        asked: as the report is told by them.
        call: as another command would repeat it.
        earlier: the run that this one is compared with; `None` without.
        keep: called with what the passes saw, and with what they cost, where that is to be kept.
    """

    batch_sizes: tuple[int, ...]
    judging: JudgingSettings
    codes: frozenset[str]
    edge: Edge
    options: Mapping[str, Any]
    asked: Asked
    call: Call
    earlier: EarlierRun | None = None
    keep: Callable[[Observation, RunCost], None] | None = None


def request_of(settings: Settings, *, reference: str | None = None, training: str | None = None) -> Request:
    """The request that settings make.

    Args:
        settings: of the inspection or the repair.
        reference: how the reference is called that was opened.
        training: how the training data are called that were opened.

    Raises:
        UsageError: `select` or `ignore` name no rule, or leave none.
    """
    return Request(
        settings.sampling.batch_sizes,
        settings.judging,
        chosen_codes(settings.judging),
        settings.edge,
        printed_options(settings, reference=reference, training=training),
        asked_of(settings),
        call_of(settings),
    )


def plan_of(settings: Settings) -> Plan:
    """How the data are read; a repair bounds what it measures by an `until` of its own."""
    sampling, predictions = settings.sampling, settings.predictions
    return Plan(
        batch_size=sampling.batch_size,
        limit=sampling.limit,
        seed=sampling.seed,
        output=predictions.output,
        metric=predictions.metric,
        task=predictions.task,
        normalization=normalization_of(settings.reading),
        until=sampling.until,
        exhaustive=sampling.exhaustive,
        fast=sampling.fast,
        memory=settings.reading.memory,
    )


def sliced(reading: DataSettings | None, by: By | None) -> DataSettings:
    """How data are read, sliced by `by` where that is given."""
    known = reading or DataSettings()
    return known if by is None else replace(known, by=by)


def chosen_codes(judging: JudgingSettings) -> frozenset[str]:
    """The rules that are wanted.

    Raises:
        UsageError: a code is none, or no rule is left.
    """
    selected = matching(judging.select or ("BN",), argument("select"))
    left = selected - (matching(judging.ignore, argument("ignore")) if judging.ignore else frozenset())
    if not left:
        raise UsageError(f"{argument('select')} and {argument('ignore')} leave no rule to judge by; ignore less.")
    return left


def asked_of(settings: Settings) -> Asked:
    """What decides how the report is judged or told."""
    judging = settings.judging
    return Asked(
        fail_on=FailOn(judging.fail_on),
        strict=judging.strict,
        max_gap=judging.max_gap,
        select=judging.select,
        ignore=judging.ignore,
        data=_called(settings.data),
        reference=isinstance(settings, InspectionSettings) and settings.reference is not None,
        arch=settings.model.arch is not None,
        metric=settings.predictions.metric is not None,
    )


def printed_options(settings: Settings, *, reference: str | None = None, training: str | None = None) -> dict[str, Any]:
    """The options as a report prints them: as they were typed, or else what settings say; what is not set is left out.

    Args:
        settings: of the inspection or the repair.
        reference: how the reference is called that was opened.
        training: how the training data are called that were opened.
    """
    if settings.edge.typed is not None:
        given = settings.edge.typed
    elif isinstance(settings, InspectionSettings):
        given = _of_inspection(settings, reference, training)
    else:
        given = _of_repair(settings)
    return {name: value for name, value in given.items() if value is not None and value != []}


def spelling_arguments(progress: Progress, spelling: Spelling) -> Progress:
    """The same progress, told what it is told with arguments named as they are where it is read."""
    return Relayed(progress, lambda text: spelled(text, spelling))


def _of_inspection(settings: InspectionSettings, reference: str | None, training: str | None) -> dict[str, Any]:
    model, sampling, judging = settings.model, settings.sampling, settings.judging
    return {
        "data": _called(settings.data),
        "train_data": training,
        "batch_size": sampling.batch_size,
        "limit": sampling.limit,
        "until": sampling.until or None,
        "against": None if settings.against is None else str(settings.against),
        "by": _name(settings.reading.by),
        "device": model.device,
        "amp": model.amp,
        "key": model.key,
        "arch": _name(model.arch),
        "reference": reference,
        "reference_data": _called(settings.reference_data),
        "batch_sizes": list(sampling.batch_sizes),
        "exhaustive": sampling.exhaustive,
        "fast": sampling.fast,
        "output": settings.predictions.output,
        "metric": _name(settings.predictions.metric),
        "task": settings.predictions.task,
        "max_gap": judging.max_gap,
        "deploy_dtype": judging.deploy_dtype,
        "select": list(judging.select),
        "ignore": list(judging.ignore),
        "fail_on": judging.fail_on,
        "strict": judging.strict,
    }


def _of_repair(settings: RepairSettings) -> dict[str, Any]:
    return {
        "method": settings.method,
        "prior": settings.prior,
        "until": settings.until,
        "batch_size": settings.sampling.batch_size,
        "limit": settings.sampling.limit,
        "device": settings.model.device,
        "key": settings.model.key,
        "arch": _name(settings.model.arch),
        "output": settings.predictions.output,
        "metric": _name(settings.predictions.metric),
        "task": settings.predictions.task,
        "force": settings.force,
        "fail_on": settings.judging.fail_on,
    }


def _called(data: Any) -> str | None:
    if data is None:
        return None
    return str(data) if isinstance(data, str | Path) else type(data).__name__


def _name(function: str | Callable[..., Any] | None) -> str | None:
    return function if function is None or isinstance(function, str) else name_of_callable(function)
