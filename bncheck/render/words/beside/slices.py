"""Slices of the data are put into words and cells here, shared by the formats that people read."""

from __future__ import annotations

from collections.abc import Sequence

from bncheck.render.words.beside.table import SideTable
from bncheck.render.words.cells import number, printable
from bncheck.results import Report, SliceReport, score_value

SHOWN = 20
"""Slices that a terminal and a comment show: those whose gap is surest."""
TITLES = ("slice", "samples", "gap", "noise", "sure", "farthest layer", "score", "recalibrating changes")
RANKS = (0, 1, 0, 2, 0, 4, 1, 3)
"""How soon a narrow terminal leaves each column out."""
LEGEND = (
    "sure: by how much the gap exceeds what sampling may show, with 95 % confidence for all slices together; it ranks "
    "them. A class lies apart in healthy models too: what is stored is of all classes together."
)


def headline_of_slices(slices: Sequence[SliceReport], compared: str = "stored") -> str:
    """What the table is about.

    >>> headline_of_slices([])
    'No slice of the data holds a sample:'
    """
    if not slices:
        return "No slice of the data holds a sample:"
    sure = sum(part.sure_gap > 0 for part in slices)
    what = "1 slice" if len(slices) == 1 else f"{len(slices)} slices"
    lie = "none lies" if not sure else "1 lies" if sure == 1 else f"{sure} lie"
    return (
        f"By slice of the data: {what}, of which {lie} surely apart from the {compared} statistics, the farthest first:"
    )


def only_source(report: Report) -> str:
    """That one slice makes all the gap, where that is sure; else nothing.

    What is sure of its gap is beyond what healthy layers show and beyond every other slice's, and those of the others
    (of enough samples to tell) are not beyond it.
    """
    margin = report.run.margin
    first, *others = report.slices or (None,)
    fewest = report.run.thresholds.get("fewest_groups", 0)
    told = [part for part in others if part.samples >= fewest and part.gap is not None]
    largest = max((part.gap or 0.0 for part in told), default=None)
    if first is None or first.gap is None or largest is None or not largest <= margin < first.sure_gap:
        return ""
    everywhere = sum(part.samples for part in report.slices)
    return (
        f"It comes from slice {printable(first.name)} alone ({first.samples:,} of {everywhere:,} samples, gap "
        f"{number(first.gap)}): in {'the other' if len(told) == 1 else 'the others'} it is "
        f"{'' if len(told) == 1 else 'at most '}{number(largest)}."
    )


def slice_cells(part: SliceReport) -> tuple[str, ...]:
    """What the columns say of one slice."""
    effect = part.effect
    changed = None if effect is None else effect.predictions_changed
    moved = None if effect is None else effect.output_change
    score = part.score
    return (
        printable(part.name),
        f"{part.samples:,}",
        number(part.gap),
        number(part.noise),
        number(part.sure_gap),
        "" if part.worst_layer is None else printable(part.worst_layer) or "(the model)",
        "" if score is None else f"{score_value(*score)}{'' if score[0] == 'accuracy' else f' ({score[0]})'}",
        f"{changed:.1%} of predictions" if changed is not None else "" if moved is None else f"{moved:.1%} of outputs",
    )


def table_of_slices(slices: Sequence[SliceReport], shown: int = SHOWN, compared: str = "stored") -> SideTable | None:
    """The slices as a table; `None` where nobody has asked for any."""
    if not slices:
        return None
    rows = [slice_cells(part) for part in slices]
    told = [at for at in range(len(TITLES)) if any(row[at] for row in rows)]
    left = len(rows) - shown
    return SideTable(
        key="slices",
        heading="By slice of the data",
        caption=headline_of_slices(slices, compared),
        titles=tuple(TITLES[at] for at in told),
        rows=tuple(tuple(row[at] for at in told) for row in rows[:shown]),
        ranks=tuple(RANKS[at] for at in told),
        left=frozenset({TITLES[0], TITLES[5]}),
        more=f"And {left} more: the JSON report has all." if left > 0 else "",
        legend=LEGEND,
    )
