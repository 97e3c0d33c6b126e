"""HTML shows a result on one page; the pages are made in `bncheck.render.html`, which is slow to load."""

from __future__ import annotations

from bncheck.render.format import Format
from bncheck.results import Difference, RepairResult, Report


def of_report(report: Report) -> str:
    """A whole page: the diagnosis, the figures, every layer with its channels, and how to repeat it."""
    from bncheck.render.html.page import whole_page

    return whole_page(report)


def of_repair(repair: RepairResult) -> str:
    """What the repair did and is worth, every layer before and after, then the page of the repaired model."""
    from bncheck.render.html.page import page_of_repair

    return page_of_repair(repair)


def of_difference(difference: Difference) -> str:
    """What moved, what was to stay, what was found, and every layer and tensor."""
    from bncheck.render.html.difference import page_of_difference

    return page_of_difference(difference)


FORMAT = Format("html", (".html", ".htm"), of_report, of_repair, of_difference, ("jinja2", "matplotlib"))
