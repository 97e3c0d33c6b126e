"""Pages for looking rather than reading are made here, and the part that notebooks show: they load nothing."""

from __future__ import annotations

from bncheck.results import Report


def render_fragment(report: Report) -> str:
    """What a notebook shows of a report: the verdict, the findings and the table, without figures."""
    from bncheck.render.html.filling import fragment

    return fragment(report)
