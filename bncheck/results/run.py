"""How a report came about: what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from bncheck.vocabulary import FailOn


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report was asked for, as far as it decides how the report is judged or told.

    Attributes:
        fail_on: the severity from which findings fail.
        strict: whether anything skipped counts as not checked.
        max_gap: a measured layer above it is finding BN600.
        select, ignore: the rules that are wanted or not, by code or prefix; none selected is all of them.
        data: how the data are called that were given; `None` where none were.
        reference: whether a reference was given.
        arch: whether an architecture was given.
        metric: whether a metric of the user's own takes the place of top-1 accuracy.
    """

    fail_on: FailOn = FailOn.WARNING
    strict: bool = False
    max_gap: float | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    data: str | None = None
    reference: bool = False
    arch: bool = False
    metric: bool = False
