"""Before and after a repair, as values: what renderers and callers read, and what the exit code follows from."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar

from bncheck.encoding import printable
from bncheck.results.codec import Json, Origin, Written, decoded, encoded
from bncheck.results.earlier import repair_before, require_version
from bncheck.results.layer import LayerReport
from bncheck.results.notes import Note, documents_of, notes_in, sentences
from bncheck.results.report import NOT_CHECKED, Report, Shown
from bncheck.results.scores import HeadEffect, Score
from bncheck.vocabulary import Reason


class Outcome(StrEnum):
    """What a repair is worth, by samples that it has not seen."""

    BETTER = "better"
    NO_DIFFERENCE = "no-difference"
    UNDECIDED = "undecided"
    WORSE = "worse"
    NOTHING = "nothing-to-repair"
    TOO_FEW = "too-few-samples"


class Judged(StrEnum):
    """By which samples a repair was judged."""

    HELD_OUT = "held-out"
    CROSS_FITTED = "cross-fitted"
    NOT_JUDGED = "not-judged"


BETTER, NO_DIFFERENCE, UNDECIDED = Outcome.BETTER, Outcome.NO_DIFFERENCE, Outcome.UNDECIDED
WORSE, NOTHING, TOO_FEW = Outcome.WORSE, Outcome.NOTHING, Outcome.TOO_FEW
HELD_OUT, CROSS_FITTED, NOT_JUDGED = Judged.HELD_OUT, Judged.CROSS_FITTED, Judged.NOT_JUDGED
_ORIGIN = Origin("the document", "repair")
EXIT_REFUSED, EXIT_NOT_CHECKED = 1, 4
INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The model as shipped against the repaired one, on samples that the repair has not seen.

    Attributes:
        accuracy_before, accuracy_after: top-1, or the user's metric; `None` without labels.
        gain: by how much the task's score is better.
        gain_error: its standard error, samples paired; `None` without labels, and where it is not known.
        predictions: how many were compared.
        predictions_changed: fraction that differs; `None` for outputs that are no class scores.
        output_change: relative L2 change of the outputs; NaN where those of the model as shipped are not finite.
        score: what the model's own task is judged by; `None` without labels.
        head: the output that all of this is about, the one that changes most, where several have labels of their own.
        heads: each of these; empty where there is one alone.
    """

    accuracy_before: float | None
    accuracy_after: float | None
    gain: float | None
    gain_error: float | None
    predictions: int
    predictions_changed: float | None
    output_change: float | None
    score: Score | None = None
    head: str | None = None
    heads: tuple[HeadEffect, ...] = ()

    __json__: ClassVar = Written(added=frozenset({"score", "head", "heads"}))


@dataclass(frozen=True, slots=True)
class LayerRepair:
    """One layer before and after; gaps are on the data that judge.

    Attributes:
        name: as in the reports.
        changed: whether new statistics were given to it, or it was made to do without.
        reason: why not.
        gap_before, gap_after: as inference sees them; cross-fitted, the latter is the gap of one half of the data
            from the statistics of the other.
        own_before, own_after: with upstream errors removed.
        error: how far the new mean may be off, in standard deviations; `None` where not known.
    """

    name: str
    changed: bool
    reason: Reason | None
    gap_before: float | None
    gap_after: float | None
    own_before: float | None
    own_after: float | None
    error: float | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RepairResult(Shown):
    """What a repair did and what it is worth.

    Attributes:
        method: `recalibrate`, `blend`, `instance` or `renorm`.
        path: the file that was written; `None` where nothing was.
        out: where it was to be written; `None` where only its outcome was asked for.
        outcome: `better`, `no-difference`, `undecided` (no labels to tell by), `worse`, `too-few-samples` (to repair
            from, and not measured to be better) or `nothing-to-repair`.
        judged: `held-out`, or `cross-fitted`: each half of the data judged by what the other half gave; `not-judged`
            without data.
        source: the data that were repaired from, or what was generated in their place.
        samples: how many of them were used.
        comparison: `None` where no outputs could be compared.
        before: the report on the model as shipped, on the data that judge.
        after: the report on the repaired file, on the same data; `None` where there was nothing to repair.
        layers: every layer that stores statistics.
        noted: what was chosen on the way.
        samples_needed: where there were too few to repair from, how many would do.
        data_free: there were no data: the statistics are those of generated pictures, and nothing judges them.
    """

    method: str
    path: str | None
    out: str | None
    outcome: Outcome
    judged: Judged
    source: str
    samples: int
    comparison: Comparison | None
    before: Report
    after: Report | None
    layers: tuple[LayerRepair, ...]
    noted: tuple[Note, ...] = ()
    samples_needed: int | None = None
    data_free: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What was chosen on the way, in words."""
        return sentences(self.noted, self.before.run.spelling)

    @property
    def changed(self) -> tuple[str, ...]:
        """The layers that were given new statistics."""
        return tuple(layer.name for layer in self.layers if layer.changed)

    @property
    def refused(self) -> bool:
        """Whether the file was not written because the result is worse, or of too few samples."""
        return self.path is None and self.outcome in (WORSE, TOO_FEW)

    @property
    def exit_code(self) -> int:
        """1 where it is worse and refused, 4 where there was nothing to repair or too little to repair from.

        Else that of the report on the file; a file that stores no statistics any more, as it was to, has no fault.
        """
        if self.refused:
            return EXIT_REFUSED if self.outcome == WORSE else EXIT_NOT_CHECKED
        if self.after is None:
            return EXIT_NOT_CHECKED
        return 0 if self.has_none_left else self.after.summary.exit_code

    @property
    def differs(self) -> bool:
        """Whether the 95 % interval of the difference leaves 0 out, where there is one: of one output at the least."""
        comparison = self.comparison
        if comparison is None or comparison.score is None:
            return True
        scores = [head.score for head in comparison.heads if head.score is not None] or [comparison.score]
        intervals = [one.interval for one in scores if one.interval is not None]
        return not intervals or any(low > 0 or high < 0 for low, high in intervals)

    @property
    def has_none_left(self) -> bool:
        """Whether every layer that stored statistics normalizes by what it is given instead."""
        return self.method == INSTANCE and self.after is not None and self.after.summary.verdict == NOT_CHECKED

    __json__: ClassVar = Written(
        derived={
            "exit_code": lambda result: result.exit_code,
            "notes": lambda result: result.notes,
            "noted": lambda result: documents_of(result.noted, result.before.run.spelling),
        },
        gathered={"noted": notes_in},
        first=(
            *("method", "path", "outcome", "judged", "exit_code", "source", "samples", "comparison", "layers"),
            *("notes", "noted", "before", "after"),
        ),
        added=frozenset({"samples_needed", "data_free"}),
        earlier=repair_before,
    )

    def __repr__(self) -> str:
        """In one line, as a prompt shows it."""
        written = "not written" if self.path is None else f"written to {printable(str(self.path))}"
        return f"<RepairResult: {printable(self.method)}, {self.outcome}, {written}, exit code {self.exit_code}>"

    def to_dict(self) -> Json:
        """As JSON: both reports, and what lies between them; every number finite or `None`."""
        document: Json = encoded(self)
        return document

    @classmethod
    def from_dict(cls, document: object, origin: Origin = _ORIGIN) -> RepairResult:
        """The result that `to_dict` made `document` of; the layers of its reports have no `table`.

        Raises:
            UnreadableError: it was made of none, or a report in it by another schema version.
        """
        for key in ("before", "after"):
            report = document.get(key) if isinstance(document, Mapping) else None
            if report is not None:
                require_version(report, replace(origin, name=f"{key} in {origin.name}", what="report"))
        return decoded(cls, document, origin)


def layer_repairs(
    before: Report,
    after: Report,
    *,
    changed: Collection[str],
    kept: Mapping[str, Reason],
    errors: Mapping[str, float],
    gaps: Mapping[str, float],
) -> tuple[LayerRepair, ...]:
    """Both reports side by side, for every layer that was given new statistics or says why not.

    Args:
        before: on the model as shipped.
        after: on the repaired one.
        changed: names of the layers that were given new values.
        kept: layers that keep their statistics, by name: why.
        errors: of the new means, infinite where there was too little to say.
        gaps: cross-fitted ones, which take the place of those in `after`: the file was made from all the data.
    """
    then: dict[str, LayerReport] = {layer.name: layer for layer in after.layers}
    rows = []
    for layer in before.layers:
        if layer.name not in changed and layer.name not in kept:
            continue
        own, error = then.get(layer.name), errors.get(layer.name, math.inf)
        crossed = gaps.get(layer.name)
        rows.append(
            LayerRepair(
                name=layer.name,
                changed=layer.name in changed,
                reason=kept.get(layer.name),
                gap_before=layer.gap,
                gap_after=crossed if crossed is not None else own.gap if own else None,
                own_before=layer.own_gap,
                own_after=crossed if crossed is not None else own.own_gap if own else None,
                error=error if math.isfinite(error) else None,
            )
        )
    return tuple(rows)
