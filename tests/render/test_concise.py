"""Findings as linters print them: a line each, and how many there are of each code."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hand_made import accepted_report, empty_report, full_report, healthy_report, many_layers, static_report
from rich.console import Console

from bncheck.render.terminal.concise import count_by_code, print_concise, print_statistics
from bncheck.results.finding import Finding, Measure


def printed(show: Callable[..., None], *arguments: Any, **more: Any) -> list[str]:
    page = io.StringIO()
    show(*arguments, Console(file=page, width=40, color_system=None), **more)
    return page.getvalue().splitlines()


def test_a_line_for_each_finding_and_the_verdict_last() -> None:
    report = full_report()
    *lines, last = printed(print_concise, report)
    assert last == "Found 1 error and 1 warning."
    for line, finding in zip(lines, report.findings, strict=True):
        found = re.fullmatch(r"(.+?\.ckpt)(?::([^ ]+))?: (BN\d{3}) (.*) \[(\w+)\]", line)
        assert found is not None
        assert found.groups() == (
            report.model.path, finding.layer, finding.code, finding.message, finding.severity
        )  # fmt: skip


def test_a_clean_report_is_its_verdict_alone() -> None:
    assert printed(print_concise, healthy_report()) == ["The stored statistics describe these data."]
    assert printed(print_concise, healthy_report(), among_others=True) == []


def test_accepted_findings_are_not_told() -> None:
    lines = printed(print_concise, accepted_report())
    assert not any("BN603" in line for line in lines)
    assert lines[-1] == "Found 1 error; 1 warning accepted."
    assert [each.code for each in count_by_code([accepted_report()])] == ["BN600", "BN706"]


def test_among_others_a_file_says_its_verdict_where_no_finding_tells_it() -> None:
    assert printed(print_concise, static_report(), among_others=True) == [
        "weights.safetensors:blocks.0.body.bn: BN202 blocks.0.body.bn stores a negative variance in channel 5, the "
        "lowest -0.25 in channel 5. [error]"
    ]
    assert printed(print_concise, empty_report(), among_others=True)[-1] == (
        "deploy.pt: Not checked: there is no normalization layer with stored statistics in this file."
    )


def test_names_and_messages_start_no_line_and_command_nothing() -> None:
    finding = Finding("BN205", "error", ("a\n::error::b",), "no\x1b[2J\n::error::x", "Mend.", Measure("finding", None))
    report = replace(full_report(), findings=(finding,), model=replace(full_report().model, path="::warning::m.pt"))
    lines = printed(print_concise, report)
    assert len(lines) == 2
    assert not any(line.lstrip().startswith("::") or "\x1b" in line for line in lines)


def test_counts_by_code_the_most_frequent_first() -> None:
    lines = printed(print_statistics, [full_report(), many_layers(20), empty_report()])
    counted = [line.split()[:3] for line in lines if re.match(r" *\d+  BN", line)]
    assert counted == [
        ["21", "BN600", "error"],
        ["1", "BN603", "warning"],
        ["1", "BN705", "info"],
        ["1", "BN706", "info"],
    ]
    assert lines[-1].startswith("deploy.pt: Not checked: ")


def test_counts_of_one_report_end_with_its_verdict() -> None:
    assert printed(print_statistics, [healthy_report()]) == ["The stored statistics describe these data."]
    assert printed(print_statistics, [full_report()])[-1] == "Found 1 error and 1 warning."
