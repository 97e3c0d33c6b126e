"""The report as one HTML file, for looking rather than reading: it opens offline and asks nothing of a network."""

from __future__ import annotations

from bncheck.results.report import Report


def render_html(report: Report) -> str:
    """A whole page: the diagnosis, the figures, every layer with its channels, and how to repeat it.

    What draws is imported here: matplotlib is slow to load, and the other formats do without it.
    """
    from bncheck.render.html.page import whole_page

    return whole_page(report)


def render_fragment(report: Report) -> str:
    """What a notebook shows of a report: the verdict, the findings and the table, without figures."""
    from bncheck.render.html.filling import fragment

    return fragment(report)
