"""How a report is printed on stdout, as its reader typed: `-v`, `--all`, `--sort`, `--format`, `--statistics`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import typer

from bncheck.cli.options.arguments import refuse_typed
from bncheck.cli.spelling import is_typed
from bncheck.errors import not_one_of
from bncheck.vocabulary import Page, Sort, argument

PAGE_ALONE = ("verbose", "all", "sort")
OF_REPORT = ("format", "statistics")
OF_PAGE = (*PAGE_ALONE, *OF_REPORT)
"""Parameters of commands that say how a report is printed."""


@dataclass(frozen=True, slots=True)
class Showing:
    """Prints reports as was asked for.

    Attributes:
        page: a page to read, or a line for each finding.
        statistics: print how many findings there are of each rule instead.
        sort: order of the layers.
        verbose, every: see `bncheck.render.Look`.
    """

    page: Page = Page.FULL
    statistics: bool = False
    sort: Sort = Sort.ORDER
    verbose: bool = False
    every: bool = False

    def print(self, report: Any) -> None:
        """Print one report."""
        from bncheck.render import print_concise, print_report, print_statistics

        if self.statistics:
            print_statistics([report], _console())
        elif self.page is Page.CONCISE:
            print_concise(report, _console())
        else:
            print_report(report, _console(), self._look())

    def print_repair(self, result: Any) -> None:
        """Print what a repair came to."""
        from bncheck.render import print_repair

        print_repair(result, _console(), self._look())

    def print_difference(self, difference: Any) -> None:
        """Print what moved from one checkpoint to another."""
        from bncheck.render import print_difference

        print_difference(difference, _console(), self._look())

    def print_one_of_several(self, report: Any) -> None:
        """Print one file among several, unless they are counted together in the end."""
        from bncheck.render import print_audit, print_concise

        if self.statistics:
            return
        if self.page is Page.CONCISE:
            print_concise(report, _console(), among_others=True)
        else:
            print_audit(report, _console(), self._look())

    def print_counts(self, reports: Sequence[Any]) -> None:
        """Print what they come to together, if that was asked for."""
        from bncheck.render import print_statistics

        if self.statistics and reports:
            print_statistics(reports, _console())

    def _look(self) -> Any:
        from bncheck.render import Look

        return Look(self.verbose, self.every, self.sort, typed=True)


def read_showing(context: typer.Context) -> Showing:
    """What the command's parameters say of it; those that a command has not are as without them.

    Raises:
        UsageError: a value means nothing, or has nothing to act on.
    """
    given = context.params
    form, sort = given.get("format"), given.get("sort")
    if form is not None and form not in tuple(Page):
        raise not_one_of("format", form, Page, _as_report(form, writes_reports="report" in given))
    if sort is not None and sort not in tuple(Sort):
        raise not_one_of("sort", sort, Sort)
    if given.get("quiet") and is_typed(context, "quiet"):
        refuse_typed(context, f"with {argument('quiet')} nothing is printed: leave it out.", *OF_PAGE)
    if given.get("statistics"):
        refuse_typed(context, f"{argument('statistics')} prints counts alone: leave it out.", *PAGE_ALONE, "format")
    if form == Page.CONCISE:
        refuse_typed(
            context,
            f"{argument('format')} {Page.CONCISE} prints a line for each finding alone: leave it out.",
            *PAGE_ALONE,
        )
    return Showing(
        Page(form or Page.FULL),
        bool(given.get("statistics")),
        Sort(sort or Sort.ORDER),
        bool(given.get("verbose")),
        bool(given.get("all")),
    )


def _as_report(form: str, *, writes_reports: bool) -> str:
    """Whoever wants a file of some format is told which option writes it, or which command."""
    from bncheck.render import all_formats

    names = [each.name for each in all_formats()]
    close = get_close_matches(form.lower(), names, n=1)
    if not close:
        return ""
    option = f"{argument('report')} {close[0]}=FILE"
    if not writes_reports:
        return f". A report in {close[0]} is of one model: bncheck inspect MODEL {option}"
    return f". A report in {close[0]} is another option, {option}"


def _console() -> Any:
    from rich.console import Console

    return Console()
