"""What is told ends where it is meant to: a remark of an audit at 80 columns, and points at the border of a figure."""

from __future__ import annotations

import io
import re
from dataclasses import replace

from drawn_pages import words
from hand_made import full_report
from rich.console import Console

from bncheck.render.html.figures import batch_size_figures
from bncheck.render.terminal.findings import briefly_told
from bncheck.results import INFO, BatchSize


def test_an_audit_tells_a_remark_to_its_end() -> None:
    remark = "The stored statistics of blocks.27.bn are not those that the weights predict."
    finding = replace(full_report().findings[0], severity=INFO, message=remark)
    page = io.StringIO()
    told = briefly_told(replace(full_report(), findings=(finding,)), None, 80, advised=True)
    Console(file=page, width=80).print(*told)
    assert remark in words(page.getvalue())


def test_what_is_nearly_level_is_not_cut_at_its_upper_end() -> None:
    rows = [BatchSize(size, 2.76, shift, 2.1, 4.4) for size, shift in ((1, 3.3), (16, 3.29), (256, 3.2))]
    drawn = batch_size_figures(rows)
    assert drawn is not None
    first = drawn[: drawn.index("</svg>")]
    (upper,) = {float(y) for y in re.findall(r'<clipPath[^>]*>\s*<rect x="[^"]+" y="([^"]+)"', first)}
    points = [float(y) for y in re.findall(r'<use [^>]*y="([^"]+)"', first)]
    assert len(points) >= 6
    assert min(points) - upper > 4  # a marker's own height
