"""What Python's users call on a result: it prints as a terminal shows it, is one line at a prompt, saves and draws."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from hand_compared import MOVED
from hand_made import full_report, healthy_report, many_layers, static_report
from hand_repaired import better

from bncheck.errors import UsageError
from bncheck.render import renderer
from bncheck.render.html import figures

mpl.use("agg")


def test_a_report_prints_as_a_terminal_shows_it() -> None:
    text = str(full_report())
    assert text.splitlines()[0].startswith("checkpoints/run_17/epoch_090.ckpt on ")
    assert "\x1b" not in text
    assert all(finding.code in text for finding in full_report().findings)
    assert "--all" not in text  # nobody types options there
    assert max(map(len, text.splitlines())) <= 200


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (full_report(), "<Report on checkpoints/run_17/epoch_090.ckpt: findings, exit code 1, 7 layers, 3 findings>"),
        (healthy_report(), "<Report on "),
        (many_layers(300), "<Report on "),
    ],
)
def test_at_a_prompt_a_report_is_one_line(result: object, shown: str) -> None:
    assert repr(result).startswith(shown)
    assert len(repr(result)) < 200
    assert "\n" not in repr(result)


def test_a_name_starts_no_line_at_a_prompt() -> None:
    report = healthy_report()
    hostile = replace(report, model=replace(report.model, path="a\n::error::b\x1b[31m"))
    assert repr(hostile).isprintable()


def test_repairs_and_differences_print_too() -> None:
    assert "recalibrate" in str(better())
    assert repr(better()).startswith("<RepairResult: recalibrate, better, written to ")
    assert MOVED.after.path in str(MOVED)


def test_a_layer_is_found_by_its_name() -> None:
    report = full_report()
    assert report["head.shared"].calls == 2
    with pytest.raises(KeyError, match=r"no layer 'head.shard'; did you mean \['head.shared'\]"):
        report["head.shard"]
    with pytest.raises(KeyError, match="the first are"):
        report["?"]


@pytest.mark.parametrize(
    ("suffix", "format_"), [("json", "json"), ("csv", "csv"), ("md", "markdown"), ("xml", "junit")]
)
def test_it_is_saved_in_the_format_of_the_suffix(suffix: str, format_: str, tmp_path: Path) -> None:
    report = full_report()
    path = report.save(tmp_path / f"report.{suffix}")
    assert path.read_text("utf-8") == renderer(format_)(report)


def test_a_page_is_saved_and_what_was_there_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    healthy_report().save(path)
    full_report().save(str(path))
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_what_was_inspected_is_never_written_over(tmp_path: Path) -> None:
    model = tmp_path / "model.json"
    model.write_text("{}")
    report = full_report()
    with pytest.raises(UsageError, match="model"):
        replace(report, model=replace(report.model, path=str(model))).save(model)
    assert json.loads(model.read_text("utf-8")) == {}


@pytest.mark.parametrize("name", ["train.csv", "notes.md", "net.json", "data.html"])
def test_no_other_file_is_written_over(name: str, tmp_path: Path) -> None:
    """The training data, held-out data and whatever else a result does not name."""
    path = tmp_path / name
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="that file is there, and no report of bncheck"):
        full_report().save(path)
    assert path.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize("name", ["a.csv", "a.md", "a.json", "a.html", "a.xml", "a.sarif"])
def test_a_report_is_written_over_by_the_next(name: str, tmp_path: Path) -> None:
    healthy_report().save(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    full_report().save(tmp_path / name)
    assert (tmp_path / name).read_bytes() != before


def test_a_pipe_is_not_read_to_see_what_it_holds(tmp_path: Path) -> None:
    pipe = tmp_path / "report.json"
    os.mkfifo(pipe)
    reader, usual = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), Path.open

    def opened(self: Path, mode: str = "r", **options: Any) -> Any:
        assert (self, mode) != (pipe, "rb")  # it would wait for a writer
        return usual(self, mode, **options)

    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Path, "open", opened)
            full_report().save(pipe)
        assert os.read(reader, 10).startswith(b"{")
    finally:
        os.close(reader)


@pytest.mark.parametrize("name", ["a\0b.json", f"{'x' * 300}.json"], ids=["null", "long"])
def test_a_name_that_no_file_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"json: it cannot be written: (embedded null byte|File name too long)\."):
        full_report().save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_suffix_that_is_no_formats_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"report\.docx: no format is written with such a suffix; those are \.csv, "):
        full_report().save(tmp_path / "report.docx")


def test_it_draws_on_the_users_axes_or_on_its_own() -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    assert full_report().plot(axes) is axes
    assert [text.get_text() for text in axes.get_legend().get_texts()][-1] == "own (batch pass)"
    page = Path(figures.__file__).parent / "templates" / "style.css"
    drawn = [mpl.colors.to_hex(line.get_color()) for line in axes.get_lines()]
    assert len(set(drawn)) == 3
    assert all(colour in page.read_text("utf-8") for colour in drawn)
    own = full_report().plot()
    assert own.figure is not figure
    pyplot.close("all")
    with pytest.raises(UsageError, match="nothing to plot: give data"):
        static_report().plot()
