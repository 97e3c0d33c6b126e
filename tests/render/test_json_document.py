"""The JSON report keeps the contract, whatever was measured."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from importlib.resources import files
from typing import Any

import pytest
from hand_made import ALL, broken_report, full_report, many_layers
from jsonschema import Draft202012Validator, ValidationError

from bncheck.render import renderer
from bncheck.results.report import Report
from bncheck.vocabulary import FailOn, Kind, Reason, Remedy, Severity, Status, Verdict, Worse

SCHEMA = json.loads(files("bncheck").joinpath("report.schema.json").read_text("utf-8"))
render_json = renderer("json")


def parsed(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("make", [*ALL.values(), lambda: many_layers(20)])
def test_every_report_fits_the_schema(make: Callable[[], Report]) -> None:
    Draft202012Validator(SCHEMA).validate(parsed(render_json(make())))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_text_is_the_dictionary() -> None:
    text = render_json(full_report())
    assert parsed(text) == full_report().to_dict()
    assert text.endswith("}\n")


def test_what_is_not_finite_is_null() -> None:
    document = parsed(render_json(broken_report()))
    layer = document["layers"][1]
    assert [layer[name] for name in ("gap", "gap_max", "shift_max", "scale_min", "own_gap")] == [None] * 5
    assert layer["call_gaps"] == [None, 0.5]
    assert document["summary"]["gap"] is None
    assert document["summary"]["smallest_detectable_gap"] is None
    assert document["effect"]["accuracy"] == {"stored": None, "batch": None, "recalibrated": 0.5}
    evidence = document["findings"][0]["evidence"]
    assert evidence == {"variance": {"channels": [0], "values": ["nan"]}, "raw": [None, {"deep": [None, 1.0]}]}


def test_layers_have_the_keys_of_the_contract_in_its_order() -> None:
    (layer, *_) = parsed(render_json(full_report()))["layers"]
    assert list(layer) == (
        [
            "name",
            "kind",
            "channels",
            "status",
            "reason",
            "calls",
            "call_gaps",
            "stored",
            "gap",
            "gap_max",
            "worst_channel",
            "own_gap",
            "noise",
            "shift_max",
            "scale_min",
            "scale_max",
            "codes",
        ]
    )
    assert list(layer["stored"]) == ["eps", "momentum", "updates"]


def without(document: dict[str, Any], *path: str | int) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    part: Any = changed
    for step in path[:-1]:
        part = part[step]
    del part[path[-1]]
    return changed


@pytest.mark.parametrize(
    "path",
    [
        ("schema_version",),
        ("effect",),
        ("run", "thresholds"),
        ("model", "sha256"),
        ("data", "labelled"),
        ("summary", "own_gap"),
        ("effect", "accuracy", "batch"),
        ("batch_sizes", 0, "shift"),
        ("findings", 0, "evidence"),
        ("layers", 0, "stored", "eps"),
        ("layers", 0, "codes"),
        ("complete",),
    ],
)
def test_the_schema_misses_what_is_left_out(path: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError, match=f"'{path[-1]}' is a required property"):
        Draft202012Validator(SCHEMA).validate(without(full_report().to_dict(), *path))


@pytest.mark.parametrize("path", [(), ("run",), ("model",), ("summary",), ("layers", 0), ("findings", 0)])
def test_the_schema_refuses_what_is_not_in_the_contract(path: tuple[str | int, ...]) -> None:
    document = full_report().to_dict()
    part: Any = document
    for step in path:
        part = part[step]
    part["extra"] = 1
    with pytest.raises(ValidationError, match="'extra' was unexpected"):
        Draft202012Validator(SCHEMA).validate(document)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (("summary", "properties", "verdict"), Verdict),
        (("run", "properties", "asked", "properties", "fail_on"), FailOn),
        (("findings", "items", "properties", "severity"), Severity),
        (("findings", "items", "properties", "measure", "properties", "worse"), Worse),
        (("findings", "items", "properties", "cost", "properties", "remedy"), Remedy),
        (("layers", "items", "properties", "status"), Status),
        (("layers", "items", "properties", "kind"), Kind),
        (("layers", "items", "properties", "reason"), (None, *Reason)),
    ],
)
def test_the_schema_knows_the_words_of_the_vocabulary(place: tuple[str, ...], words: Iterable[str | None]) -> None:
    part = SCHEMA["properties"]
    for step in place:
        part = part[step]
    assert set(part["enum"]) == set(words)


def test_the_schema_fits_reports_of_the_first_version() -> None:
    document = full_report().to_dict()
    del document["run"]["asked"], document["run"]["noted"], document["summary"]["samples_left_out"]
    for finding in document["findings"]:
        for key in ("layers", "measure", "cost", "accepted"):
            del finding[key]
    Draft202012Validator(SCHEMA).validate(document)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("findings", 0, "measure", "worse"), "both"),
        (("findings", 0, "measure", "value"), "865"),
        (("findings", 0, "layers"), "stem.bn"),
        (("findings", 0, "accepted"), True),
        (("findings", 0, "cost"), {"score": "accuracy"}),
        (("run", "asked", "arch"), "net.py:Net"),
        (("summary", "samples_left_out"), -1),
    ],
)
def test_the_schema_refuses_other_types(place: tuple[str | int, ...], value: object) -> None:
    document: Any = full_report().to_dict()
    part = document
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMA).validate(document)
