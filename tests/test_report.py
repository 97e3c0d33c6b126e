"""The report as values: its JSON, its rows, and that both say what was measured."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bncheck
from bncheck.results.report import (
    CHANNEL_COLUMNS,
    LAYER_COLUMNS,
    ChannelTable,
    LayerReport,
    ModelFacts,
    Report,
    Run,
    Summary,
    finite,
)

REPEATABLE = settings(derandomize=True, deadline=None)
floats = st.floats(allow_nan=True, allow_infinity=True)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | floats,
    lambda inner: (
        st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
maybe = st.none() | floats
layers = st.builds(
    LayerReport,
    name=st.text(max_size=8),
    kind=st.sampled_from(["batch_norm", "instance_norm", "other"]),
    channels=st.integers(1, 4096),
    status=st.sampled_from(["measured", "audited", "skipped"]),
    reason=st.none() | st.just("not-exercised"),
    calls=st.none() | st.integers(1, 9),
    call_gaps=st.none() | st.lists(floats, min_size=2, max_size=3).map(tuple),
    stored_eps=maybe,
    stored_momentum=maybe,
    stored_updates=st.none() | st.integers(0, 10**9),
    gap=maybe,
    gap_max=maybe,
    worst_channel=st.none() | st.integers(0, 4095),
    own_gap=maybe,
    noise=maybe,
    shift_max=maybe,
    scale_min=maybe,
    scale_max=maybe,
    codes=st.lists(st.sampled_from(["BN102", "BN600", "BN603"]), unique=True).map(tuple),
)


def report_of(*of_layers: LayerReport) -> Report:
    return Report(
        version="0.1.0",
        run=Run("bncheck.inspect", {"limit": math.inf}, 0, {"bncheck": "0.1.0"}, {"margin": 0.25}),
        model=ModelFacts("model.pt", None, "module", len(of_layers)),
        data=None,
        summary=Summary("ok", 0, math.nan, None, None, 0, 0),
        effect=None,
        batch_sizes=(),
        findings=(),
        layers=of_layers,
    )


def numbers_in(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers_in(item)]
    if isinstance(value, list | tuple):
        return [number for item in value for number in numbers_in(item)]
    return [value] if isinstance(value, float) else []


@REPEATABLE
@given(plain_values)
def test_finite_leaves_no_other_number_at_any_depth(value: Any) -> None:
    made = finite(value)
    assert all(map(math.isfinite, numbers_in(made)))
    assert len(numbers_in(made)) == sum(map(math.isfinite, numbers_in(value)))
    assert finite(made) == made


@REPEATABLE
@given(plain_values)
def test_finite_keeps_all_that_json_can_hold(value: Any) -> None:
    made = finite(value)
    text = json.dumps(made, allow_nan=False)
    assert json.loads(text) == made
    if all(map(math.isfinite, numbers_in(value))):
        assert json.dumps(value) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_finite_at_depth(value: float) -> None:
    nested = {"a": [1.5, {"b": (value, [value, "nan"])}], "c": value}
    assert finite(nested) == {"a": [1.5, {"b": [None, [None, "nan"]]}], "c": None}


@REPEATABLE
@given(st.lists(layers, max_size=3))
def test_json_survives_a_round_trip_with_its_order(of_layers: list[LayerReport]) -> None:
    document = report_of(*of_layers).to_dict()
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again == document
    assert list(again) == [
        *("schema_version", "bncheck", "run", "model", "data", "summary", "effect"),
        *("batch_sizes", "findings", "layers", "slices", "drift", "complete"),
    ]
    assert again["schema_version"] == 1
    assert again["summary"]["gap"] is None
    assert again["run"]["options"] == {"limit": None}


@REPEATABLE
@given(layers)
def test_the_json_of_a_layer_holds_its_fields(layer: LayerReport) -> None:
    (document,) = report_of(layer).to_dict()["layers"]
    stored = {f"stored_{name}": value for name, value in document.pop("stored").items()}
    told = document | stored
    fields = {field.name for field in dataclasses.fields(layer)} - {"table"}
    assert told == {name: finite(getattr(layer, name)) for name in fields}


@REPEATABLE
@given(st.lists(layers, min_size=1, max_size=3))
def test_rows_are_the_json_layers_made_flat(of_layers: list[LayerReport]) -> None:
    report = report_of(*of_layers)
    for row, document in zip(report.rows(), report.to_dict()["layers"], strict=True):
        assert list(row) == LAYER_COLUMNS
        flat = dict(document)
        stored = {f"stored_{name}": value for name, value in flat.pop("stored").items()}
        assert row["codes"].split() == flat.pop("codes")
        gaps = flat.pop("call_gaps")
        assert row["call_gaps"] == (
            None if gaps is None else " ".join("nan" if gap is None else repr(gap) for gap in gaps)
        )
        assert {name: row[name] for name in (*flat, *stored)} == flat | stored


@REPEATABLE
@given(st.lists(layers, max_size=3))
def test_the_frame_holds_the_rows(of_layers: list[LayerReport]) -> None:
    report = report_of(*of_layers)
    frame = report.to_frame()
    assert list(frame.columns) == [*LAYER_COLUMNS, "verdict"]
    assert frame["name"].tolist() == [layer.name for layer in of_layers]
    expected = [row["gap"] for row in report.rows()]
    assert [None if math.isnan(gap) else gap for gap in frame["gap"].astype(float)] == expected


def test_channel_rows_leave_out_what_was_not_measured() -> None:
    nothing, values = np.array([math.nan, math.nan]), np.array([1.0, math.inf])
    table = ChannelTable(*(values,) * 7, own_gap=nothing, noise=values)
    report = report_of(
        LayerReport("skipped", "batch_norm", 64, "skipped", "not-exercised"),
        LayerReport("measured", "batch_norm", 2, "measured", table=table),
    )
    first, second = report.channel_rows()
    assert list(first) == CHANNEL_COLUMNS
    assert (first["name"], first["channel"], first["gap"], first["own_gap"]) == ("measured", 0, 1.0, None)
    assert (second["channel"], second["gap"], second["own_gap"]) == (1, None, None)


def test_values_cannot_be_changed() -> None:
    layer = LayerReport("0", "batch_norm", 2, "audited")
    for value, name in ((layer, "gap"), (report_of(layer), "layers"), (ModelFacts("", None, "module", 1), "path")):
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot assign to field '{name}'"):
            setattr(value, name, None)


@pytest.fixture(scope="module")
def measured() -> Report:
    """Three layers of 4, 6 and 3 channels, one of them used twice."""
    torch.manual_seed(0)
    inner = torch.nn.BatchNorm2d(6)
    model = torch.nn.Sequential(
        torch.nn.BatchNorm2d(4),
        torch.nn.Conv2d(4, 6, 2),
        inner,
        torch.nn.ReLU(),
        inner,
        torch.nn.Conv2d(6, 3, 1),
        torch.nn.BatchNorm2d(3),
        torch.nn.GroupNorm(1, 3),
    )
    return bncheck.inspect(model, 2 + 3 * torch.randn(120, 4, 5, 5))


def rms(values: Any) -> float:
    return math.sqrt(sum(value**2 for value in values) / len(values))


def test_channels_add_up_to_layers_and_layers_to_the_model(measured: Report) -> None:
    rows = measured.channel_rows()
    taken = [layer for layer in measured.layers if layer.status == "measured"]
    assert [layer.channels for layer in taken] == [4, 6, 3]
    for layer in taken:
        own = [row for row in rows if row["name"] == layer.name]
        assert len(own) == layer.channels
        for column, total in (("gap", layer.gap), ("own_gap", layer.own_gap), ("noise", layer.noise)):
            assert rms([row[column] for row in own]) == pytest.approx(total, rel=1e-12)
        assert max(row["gap"] for row in own) == layer.gap_max == own[layer.worst_channel]["gap"]
        assert max(abs(row["shift"]) for row in own) == layer.shift_max
        assert min(row["scale"] for row in own) == layer.scale_min
        assert max(row["scale"] for row in own) == layer.scale_max
    assert rms([layer.gap for layer in taken]) == pytest.approx(measured.summary.gap, rel=1e-12)
    assert rms([layer.own_gap for layer in taken]) == pytest.approx(measured.summary.own_gap, rel=1e-12)


def test_the_summary_counts_the_layers(measured: Report) -> None:
    statuses = [layer.status for layer in measured.layers]
    assert statuses.count("measured") == measured.summary.layers_measured == 3
    assert statuses.count("skipped") == measured.summary.layers_skipped == 1
    assert len(statuses) == measured.model.norm_layers == 4
    assert len({layer.name for layer in measured.layers}) == 4


def test_gaps_follow_from_the_moments_beside_them(measured: Report) -> None:
    eps = {layer.name: layer.stored_eps for layer in measured.layers}
    for row in measured.channel_rows():
        stored = math.sqrt(row["stored_var"] + eps[row["name"]])
        found = math.sqrt(row["measured_var"] + eps[row["name"]])
        weight = row["measured_var"] / (row["measured_var"] + eps[row["name"]])
        shift, scale = (row["measured_mean"] - row["stored_mean"]) / stored, found / stored
        assert (row["shift"], row["scale"]) == pytest.approx((shift, scale), rel=1e-9)
        assert row["gap"] == pytest.approx(math.sqrt(shift**2 + weight * (scale - 1) ** 2), rel=1e-9)


def test_a_layer_that_runs_twice_has_a_gap_for_each_call(measured: Report) -> None:
    (twice,) = (layer for layer in measured.layers if layer.calls == 2)
    assert len(twice.call_gaps) == 2
    assert all(layer.call_gaps is None for layer in measured.layers if layer is not twice)


def test_codes_of_a_layer_are_those_of_the_findings_that_name_it(measured: Report) -> None:
    limited = bncheck.inspect(torch.nn.BatchNorm1d(3), 5 + torch.randn(50, 3), max_gap=0.1)
    for report in (measured, limited):
        for layer in report.layers:
            naming = [f for f in report.findings if layer.name in (f.layer, *f.evidence.get("layers", ()))]
            assert set(layer.codes) == {finding.code for finding in naming}
    assert "BN600" in limited.layers[0].codes
