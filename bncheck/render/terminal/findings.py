"""A terminal tells findings in full, or in a line or two each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bncheck.encoding import one_line
from bncheck.render.terminal.layer_table import STYLES
from bncheck.render.terminal.look import EVERY, Look
from bncheck.render.terminal.page import prose, sentence
from bncheck.render.words.answer import first_sentence
from bncheck.render.words.report import ALIKE, alike
from bncheck.render.words.shortening import shortened
from bncheck.results import INFO, Finding, Report

BRIEF_LINES, REMARK_LINES = 2, 1
"""Lines for a finding on the first screen, and for a remark."""
LABEL = len("BN000 warning")
GUTTER = 2


def briefly_told(
    report: Report, answered: Finding | None, width: int, advised: bool = False
) -> Iterator[RenderableType]:
    """The first of each rule in a line or two, without that which the answer has told.

    Args:
        report: what was found.
        answered: the finding that stands above.
        width: of a line.
        advised: tell what to do too: no answer stands above.
    """
    grid = _grid()
    for group in _by_rule(report, answered):
        first = group[0]
        room = max(20, width - LABEL - GUTTER)
        others = f" (and {len(group) - 1} more)" if len(group) > 1 else ""
        told = first_sentence(first.message).rstrip(".")
        # Beside an answer a remark is an aside; where none stands above, it is all that is said of the file.
        most = REMARK_LINES if first.severity == INFO and not advised else BRIEF_LINES
        lines = shortened(one_line(f"{told}{others}."), room, most)
        if advised:
            lines += shortened(one_line(f"What to do: {first_sentence(first.fix)}"), room, BRIEF_LINES)
        grid.add_row(_label(first), Text("\n".join(lines)))
    if grid.row_count:
        yield prose(*([] if advised else [Text("")]), grid)


def told_in_full(report: Report, answered: Finding | None, look: Look) -> Iterator[RenderableType]:
    """Every finding with what to do, those alike together; what the answer has told in full is left out."""
    for group in alike(report.findings):
        rest = [finding for finding in group if finding is not answered]
        if not rest:
            continue
        grid, label = _grid(), _label(group[0])
        most = len(rest) if look.every else ALIKE
        for finding in rest[:most]:
            grid.add_row(label, sentence(finding.message))
            label = Text("")
        if len(rest) > most:
            grid.add_row(
                "", f"And {len(rest) - most} more of this kind: {EVERY} tells them." if look.typed else _cut(rest)
            )
        if len(rest) == len(group):
            grid.add_row("", Text.assemble(("What to do: ", "bold"), sentence(group[0].fix)))
        yield prose(Text(""), grid)


def _cut(rest: Sequence[Finding]) -> str:
    return f"And {len(rest) - ALIKE} more of this kind."


def _by_rule(report: Report, answered: Finding | None) -> list[list[Finding]]:
    """Findings of the same rule and severity, but for those of the answer's."""
    told = None if answered is None else (answered.code, answered.severity)
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        if finding.accepted is None and (finding.code, finding.severity) != told:
            groups.setdefault((finding.code, finding.severity), []).append(finding)
    return list(groups.values())


def _label(finding: Finding) -> Text:
    return Text(f"{finding.code} {finding.severity}", style=STYLES[finding.severity])


def _grid() -> Table:
    grid = Table.grid(padding=(0, GUTTER, 0, 0))
    grid.add_column(no_wrap=True, min_width=LABEL)
    grid.add_column()
    return grid
