"""What is said while something takes long."""

from __future__ import annotations

import pytest

from bncheck.cli import progress
from bncheck.cli.progress import SILENCE, progress_bar


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_a_line_ends_a_long_silence(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(quiet=False) as advance:
        for clock[0], done, total in (
            (1.0, 64, 500),
            (SILENCE, 128, 500),
            (SILENCE + 1, 192, 500),
            (3 * SILENCE, 9, None),
        ):
            advance("stored statistics", done, total)
        advance("fine-tuning", 1, 2, "loss 3")  # which has lines of its own
    said = capsys.readouterr()
    assert said.err.splitlines() == ["Stored statistics: 128 of 500 samples.", "Stored statistics: 9 samples."]
    assert said.out == ""


def test_a_remark_is_said_at_once_and_once(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(quiet=False) as advance:
        advance("Images are enlarged", 0, None)
        advance("Images are enlarged", 0, None)
    assert capsys.readouterr().err == "Images are enlarged.\n"
    with progress_bar(quiet=True) as advance:
        advance("Images are enlarged", 0, None)
    assert capsys.readouterr().err == ""
