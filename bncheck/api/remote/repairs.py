"""Repairs of what lies elsewhere: the copy is repaired, and called as the model was named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bncheck.api.opening import weights_of
from bncheck.api.remote.fetching import fetched_data
from bncheck.files import Fetched
from bncheck.results import Report
from bncheck.settings import RepairSettings


def brought_here(settings: RepairSettings) -> tuple[RepairSettings, Fetched | None]:
    """The settings with what lies elsewhere fetched: it is the copy that is repaired, and read again on the way."""
    model = weights_of(settings.model)
    copy = model.source if isinstance(model.source, Fetched) else None
    if copy is not None:
        model = replace(model, source=Path(copy))
    data, train, heldout = map(fetched_data, (settings.data, settings.train_data, settings.heldout))
    return replace(settings, model=model, data=data, train_data=train, heldout=heldout), copy


def called_as_named(report: Report, copy: Fetched) -> Report:
    """The report with the model called as it was named, where it is on the copy."""
    if report.model.path != str(Path(copy)):
        return report
    return replace(report, model=replace(report.model, path=copy.shown))
