"""The CSV reports, read back with pandas."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas
import pytest
from called import read_back
from hand_made import ALL, empty_report, full_report, static_report

from bncheck.render import renderer
from bncheck.results.report import Report

render_csv, render_channels_csv = renderer("csv"), renderer("channels-csv")
every_report = pytest.mark.parametrize("make", ALL.values(), ids=ALL)


def read(text: str) -> pandas.DataFrame:
    return read_back(text)


@every_report
def test_columns_are_the_fields_of_the_json_made_flat(make: Callable[[], Report]) -> None:
    header = render_csv(make()).splitlines()[0].split(",")
    expected: list[str] = []
    for name, value in full_report().to_dict()["layers"][0].items():
        expected += [f"{name}_{inner}" for inner in value] if isinstance(value, dict) else [name]
    assert header == [*expected, "verdict"]


@every_report
def test_the_csv_read_back_is_the_frame(make: Callable[[], Report]) -> None:
    report = make()
    if not report.layers:
        assert read(render_csv(report)).empty
        assert report.to_frame().empty
        return
    frame = report.to_frame()
    frame["codes"] = frame["codes"].replace("", None)
    pandas.testing.assert_frame_equal(_plain(read(render_csv(report))), _plain(frame), check_dtype=False)


def _plain(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Missing values as None, whatever the column is stored as."""
    return frame.astype(object).where(frame.notna(), None)


@every_report
def test_the_csv_read_back_is_the_json(make: Callable[[], Report]) -> None:
    report = make()
    rows = read(render_csv(report)).to_dict("records")
    for row, layer in zip(rows, report.to_dict()["layers"], strict=True):
        stored = {f"stored_{name}": value for name, value in layer.pop("stored").items()}
        codes, gaps = layer.pop("codes"), layer.pop("call_gaps")
        assert (row.pop("codes") if codes else []) == (" ".join(codes) if codes else [])
        told = row.pop("call_gaps")
        assert gaps is None or [None if gap == "nan" else float(gap) for gap in told.split(" ")] == gaps
        for name, value in (layer | stored).items():
            assert _same(row[name], value), name


def _same(cell: object, value: object) -> bool:
    return (isinstance(cell, float) and math.isnan(cell)) if value is None else cell == value


def test_whole_numbers_have_no_decimal_point_and_what_is_missing_is_empty() -> None:
    lines = render_csv(full_report()).splitlines()
    assert lines[4].startswith("head.shared,instance_norm,3,measured,,2,0.1 0.95,0.001,,44400,")
    assert lines[6] == "decoder.group_norm,group_norm,1280,skipped,no-running-statistics" + "," * 15 + "no statistics"
    assert "nan" not in "".join(lines).lower()


@every_report
def test_channels_of_every_measured_layer(make: Callable[[], Report]) -> None:
    report = make()
    text = render_channels_csv(report)
    header = "name,channel,stored_mean,stored_var,measured_mean,measured_var,shift,scale,gap,own_gap,noise"
    assert text.splitlines()[0] == header
    frame = read(text)
    measured = [layer for layer in report.layers if layer.status == "measured"]
    assert len(frame) == sum(layer.channels for layer in measured)
    for layer in measured:
        own = frame[frame["name"] == layer.name]
        assert own["channel"].tolist() == list(range(layer.channels))
        for column in header.split(",")[2:]:
            values = getattr(layer.table, column)
            kept = np.where(np.isfinite(values), values, np.nan)
            np.testing.assert_array_equal(own[column].to_numpy(float), kept, err_msg=column)


def test_channels_read_back_add_up_to_the_layers_and_the_model() -> None:
    report = full_report()
    channels, layers = read(render_channels_csv(report)), read(render_csv(report))
    squares = (channels["gap"] ** 2).groupby(channels["name"]).mean()
    gaps = layers.dropna(subset="gap").set_index("name")["gap"]
    assert np.sqrt(squares).to_dict() == pytest.approx(gaps.to_dict(), rel=1e-12)
    assert math.sqrt((gaps**2).mean()) == pytest.approx(report.summary.gap, rel=1e-12)


def test_reports_without_rows_still_have_their_columns() -> None:
    assert render_csv(empty_report()).count("\n") == 1
    assert render_channels_csv(static_report()).count("\n") == 1


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-x", "'-x"),
        ("@sum", "'@sum"),
        ("\t=1", "\ufffd=1"),
        (" =1", "' =1"),
        ("\r=1", "\ufffd=1"),
        ("a\rb", "a\ufffdb"),
        ("a\nb", "a\ufffdb"),
        ("a\x1b[31m\0", "a\ufffd[31m\ufffd"),
        ('a,"b', 'a,"b'),
    ],
)
def test_names_are_text_to_whoever_opens_it(name: str, cell: str) -> None:
    report = full_report()
    odd = replace(report, layers=(replace(report.layers[0], name=name), *report.layers[1:]))
    for render in (render_csv, render_channels_csv):
        rows = list(csv.reader(io.StringIO(render(odd), newline="")))
        assert rows[1][0] == cell
        assert {len(row) for row in rows} == {len(rows[0])}


@pytest.mark.parametrize("name", ["::error::x", "##[error]x", "=1+1"])
def test_no_row_begins_as_a_command_or_a_formula_does(name: str) -> None:
    """A table may go to stdout, which CI servers read."""
    report = full_report()
    named = replace(report, layers=(replace(report.layers[0], name=name),))
    row = renderer("csv")(named).splitlines()[1]
    assert not row.startswith(name)
    for format_ in ("junit", "markdown", "json"):
        lines = renderer(format_)(replace(report, layers=(replace(report.layers[0], name=f"a\n{name}"),))).splitlines()
        assert not [line for line in lines if line.strip().startswith(name)]
