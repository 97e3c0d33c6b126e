"""What is said while something takes long."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

import bncheck
from bncheck.api import merged
from bncheck.cli import progress
from bncheck.cli.app import app
from bncheck.cli.progress import SILENCE, Bars, Lines, progress_bar
from bncheck.probes.runner import all_probes
from bncheck.progress import Relayed, begin, foresee, no_progress
from bncheck.settings import Edge, JudgingSettings


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


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
    assert said.err.splitlines() == [
        "Stored statistics: 128 of 500 samples.",
        "Stored statistics: 9 samples.",
        "Stored statistics: 9 samples in 89 s.",
    ]
    assert said.out == ""


def test_a_remark_is_said_at_once_and_once(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(quiet=False) as advance:
        advance("Images are enlarged", 0, None)
        advance("Images are enlarged", 0, None)
    assert capsys.readouterr().err == "Images are enlarged.\n"
    with progress_bar(quiet=True) as advance:
        advance("Images are enlarged", 0, None)
    assert capsys.readouterr().err == ""


def test_without_a_terminal_only_what_took_long_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines(clock)
    for name, seconds in (("opening", 9.9), ("fine-tuning", 150.0), ("auditing Net.pth", 12.0)):
        begin(lines, name)
        if name == "fine-tuning":
            lines(name, 300, 300, "loss 3")
        clock.now += seconds
    lines.end()
    assert capsys.readouterr().err.splitlines() == ["Fine-tuning: 300 steps in 2 min 30 s.", "Auditing Net.pth: 12 s."]


# On a terminal


class Terminal:
    """A bar on a terminal, drawn when it is looked at."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._file = io.StringIO()
        self._console = Console(file=self._file, force_terminal=True, width=120, color_system=None)
        self.bars = Bars(self._console, self.clock, alone=False)

    def after(self, seconds: float) -> str:
        """What is drawn anew once so many seconds have passed."""
        self.clock.now += seconds
        before = len(self._file.getvalue())
        self.bars._bar.refresh()
        return self._plain(self._file.getvalue()[before:])

    def shown(self) -> str:
        """All that was ever drawn."""
        return self._plain(self._file.getvalue())

    @staticmethod
    def _plain(drawn: str) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)


@pytest.fixture
def terminal() -> Terminal:
    shown = Terminal()
    try:
        yield shown
    finally:
        shown.bars.close()


def test_a_stage_has_its_name_its_number_and_an_estimate(terminal: Terminal) -> None:
    foresee(terminal.bars, ["batch statistics", "stored statistics"], more=True)
    begin(terminal.bars, "batch statistics")
    assert terminal.after(0.5).strip() == "", "what is over at once needs no bar"
    drawn = terminal.after(0.7)
    assert "1 of 2 or more: batch statistics" in drawn
    assert "0:00:01" in drawn
    for done in (64, 128):
        terminal.clock.now += 2.0
        terminal.bars("batch statistics", done, 256)
    drawn = terminal.after(0.1)
    assert "128/256" in drawn
    assert "0:00:04" in drawn, "64 samples took 2 s: that many seconds are left"
    terminal.bars("stored statistics", 64, 256)
    foresee(terminal.bars, ["one layer at a time", "findings"])
    begin(terminal.bars, "one layer at a time")
    assert "3 of 4: one layer at a time" in terminal.after(0.1)
    assert "1 of 2 or more: batch statistics: 128 samples in 5.3 s" in terminal.shown()
    assert "stored statistics:" not in terminal.shown(), "it took no time"


def test_a_stage_that_nothing_moves_is_seen_to_live(terminal: Terminal) -> None:
    begin(terminal.bars, "findings")
    drawn = [terminal.after(2.0) for _ in range(3)]
    assert ["findings" in one for one in drawn] == [True] * 3
    assert ["0:00:02" in drawn[0], "0:00:04" in drawn[1], "0:00:06" in drawn[2]] == [True] * 3


def test_the_bar_draws_itself_more_often_than_every_two_seconds() -> None:
    bars = Bars(Console(file=io.StringIO(), force_terminal=True), Clock())
    try:
        assert bars._bar.live.auto_refresh
        assert bars._bar.live.refresh_per_second > 1 / 2
    finally:
        bars.close()


# What is told


class Heard:
    """Keeps what it is told of stages."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.to_come: list[tuple[list[str], bool]] = []
        self.moved: set[str] = set()

    def __call__(self, task: str, done: int, total: int | None) -> None:
        if done:
            assert task == self.begun[-1], "nothing moves before it has begun, or after another has"
            self.moved.add(task)

    def begin(self, stage: str) -> None:
        self.begun.append(stage)

    def foresee(self, stages: list[str], more: bool) -> None:
        self.to_come.append((list(stages), more))


@pytest.fixture(scope="module")
def lagging() -> tuple[nn.Module, tuple[np.ndarray, np.ndarray]]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4)).eval()
    rng = np.random.default_rng(0)
    x = rng.normal(0.5, 2.0, (96, 3, 8, 8)).astype(np.float32)
    net(torch.from_numpy(x[:2]))
    return net, (x, rng.integers(0, 4, 96))


def test_an_inspection_tells_every_stage_before_it_runs(lagging: tuple[nn.Module, tuple[np.ndarray, ...]]) -> None:
    heard = Heard()
    report = bncheck.inspect(*lagging, progress=heard)
    assert report.run.cost is not None
    costly = {stage.name for stage in report.run.cost.stages} - {"recalibrated statistics"}
    assert costly <= set(heard.begun), "what runs samples has a name of its own"
    titles = {probe.title for probe in all_probes()}
    assert len(titles & set(heard.begun)) > 2
    assert heard.begun[0] == "opening the model and the data"
    assert heard.begun[-1] == "findings"
    first, second, last = heard.to_come[0], heard.to_come[1], heard.to_come[-1]
    passes = ["batch statistics", "stored statistics", "comparing with what is stored", "findings"]
    assert first == (["opening the model and the data", *passes], True)
    assert second == (passes, True)
    assert last == (["findings"], False)
    assert all(stages[-1] == "findings" for stages, _ in heard.to_come)
    assert len(heard.moved) > 4


def test_work_that_is_a_part_passes_on_what_comes_after_it() -> None:
    heard = Heard()
    part = Relayed(heard, str.upper, later=("findings",))
    begin(part, "passes")
    foresee(Relayed(part, later=("questions",), more=True), ["others"])
    assert heard.begun == ["PASSES"]
    assert heard.to_come == [(["OTHERS", "QUESTIONS", "findings"], True)]
    said: list[str] = []
    plain: Callable[[str, int, int | None], None] = lambda task, done, total: said.append(task)  # noqa: E731
    foresee(Relayed(plain), ["never heard"])
    begin(Relayed(plain), "never heard")
    Relayed(plain)("heard", 1, None)
    begin(no_progress, "never heard")
    assert said == ["heard"]


def test_every_part_that_is_merged_is_a_stage(
    lagging: tuple[nn.Module, tuple[np.ndarray, ...]], tmp_path: Path
) -> None:
    net, data = lagging
    parts = [tmp_path / f"{index}.safetensors" for index in (1, 2)]
    for index, part in enumerate(parts, 1):
        bncheck.write_moments(net, data, part, shard=(index, 2), fast=True)
    heard = Heard()
    merged(parts, JudgingSettings(), (1,), Edge("bncheck.merge"), heard)
    stages = [f"reading {parts[0]}", f"reading {parts[1]}", "what all parts show"]
    assert heard.begun == stages
    assert heard.to_come == [(stages, False)]


def test_files_that_are_audited_are_numbered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for file in files:
        save_file(nn.BatchNorm2d(2).state_dict(), file)
    told: list[str] = []
    monkeypatch.setattr(Lines, "_drawn", lambda self, stage: told.append(f"{self.place}: {stage.name}"))
    assert CliRunner().invoke(app, ["audit", *map(str, files)]).exit_code in (0, 1, 4)
    assert told == [f"{number} of 3: auditing {file}" for number, file in enumerate(files, 1)]
