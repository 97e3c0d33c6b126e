"""What a run was asked for, as far as its report is told by it: the one place where renderers look that up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bncheck.results.report import Run
from bncheck.vocabulary import FailOn


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for.

    Attributes:
        fail_on: the severity from which findings fail.
        chosen: whether rules were selected or ignored.
        data: how the data are called that were given; `None` where none were.
        arch: whether an architecture was given.
        metric: whether a metric of the user's own takes the place of top-1 accuracy.
    """

    fail_on: FailOn
    chosen: bool
    data: str | None
    arch: bool
    metric: bool


def asked(run: Run) -> Asked:
    """What that run was asked for."""
    options: Mapping[str, Any] = run.options
    fail_on, data = options.get("fail_on"), options.get("data")
    return Asked(
        fail_on=FailOn(fail_on) if fail_on in tuple(FailOn) else FailOn.WARNING,
        chosen=bool(options.get("select") or options.get("ignore")),
        data=None if data is None else str(data),
        arch=options.get("arch") is not None,
        metric="metric" in options,
    )
