"""Notes: values with one sentence each, written as JSON and read back as they were."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any, get_type_hints

import pytest
from hand_made import full_report, healthy_report, run

from bncheck.gate import Limits, judge_again, report_of
from bncheck.results.notes import Note, OtherNote, documents_of, notes_of, sentences
from bncheck.results.notes.note import _KINDS
from bncheck.results.notes.of_data import SamplesLeftOut
from bncheck.results.notes.of_files import ArgumentIgnored, ModelChosen
from bncheck.results.notes.of_measuring import LabelsUnfit
from bncheck.results.notes.of_repairing import ErrorUnknown, SamplesWereEnough
from bncheck.vocabulary import Severity, Spelling, Worse

EXAMPLES: dict[Any, Any] = {
    str: "a.b",
    int: 3,
    float: 0.25,
    bool: True,
    Severity: Severity.ERROR,
    Worse: Worse.LOWER,
    str | None: None,
    int | None: 7,
    float | None: 0.5,
    tuple[str, ...]: ("a", "b"),
    tuple[int, ...]: (6, 4),
    tuple[tuple[str, str], ...]: (("stripped", "model."), ("added", "net.")),
    tuple[tuple[str, str | None], ...]: (("BN603", None), ("BN601", "stem.bn")),
}


def example(kind: type[Note]) -> Note:
    hints = get_type_hints(kind)
    return kind(**{each.name: EXAMPLES[hints[each.name]] for each in fields(kind)})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", _KINDS.values(), ids=lambda kind: kind.kind)
def test_every_kind_is_written_and_read_back(kind: type[Note]) -> None:
    note = example(kind)
    documents = json.loads(json.dumps(documents_of([note])))
    assert notes_of(sentences([note]), documents) == (note,)
    assert note.sentence
    assert set(documents[0]) == {"kind", *(each.name for each in fields(note))}  # type: ignore[arg-type]


def test_one_is_not_many() -> None:
    assert SamplesLeftOut(1, 16).sentence == "1 sample left out: the program takes batches of exactly 16"
    assert SamplesLeftOut(8, 16).sentence == "8 samples left out: the program takes batches of exactly 16"
    assert ErrorUnknown(1).sentence.startswith("1 sample is too few")
    assert SamplesWereEnough(1, 0.1, 0.2).sentence.startswith("1 sample was enough")


def test_arguments_are_named_as_they_are_where_the_run_was_asked_for() -> None:
    notes = (LabelsUnfit(), ModelChosen("a", ("b",)), ArgumentIgnored("arch_kwargs", "file"))
    typed, called = (replace(run(), command=command, noted=notes) for command in ("bncheck inspect", "inspect"))
    assert ("--output names" in typed.notes[0], "--key chooses" in typed.notes[1]) == (True, True)
    assert ("; output names" in called.notes[0], "; key chooses" in called.notes[1]) == (True, True)
    assert typed.notes[2] == "--arch-kwargs was ignored: a file needs none."
    document = replace(healthy_report(), run=called).to_dict()["run"]
    assert tuple(document["notes"]) == called.notes == sentences(notes, Spelling.PYTHON)


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "of-a-newer-bncheck", "number": 1},
        {"kind": "samples-left-out", "samples": 8},
        {"kind": "samples-left-out", "samples": "8", "batch_size": 16},
        {"kind": "samples-left-out", "samples": True, "batch_size": 16},
        {"kind": "accepted", "code": "BN603", "layers": ["a", None], "why": "known"},
        {"kind": ["accepted"]},
        {},
    ],
)
def test_what_is_not_understood_keeps_its_words(document: dict[str, Any]) -> None:
    assert notes_of(["It was so"], [document]) == (OtherNote("It was so"),)


def test_a_report_from_before_notes_were_values_is_judged_as_it_was() -> None:
    left_out = SamplesLeftOut(8, 16)
    short = replace(healthy_report(), run=replace(run(), noted=(left_out,)))
    document = json.loads(json.dumps(short.to_dict()))
    assert document["run"]["noted"] == [{"kind": "samples-left-out", "samples": 8, "batch_size": 16}]
    del document["run"]["noted"], document["summary"]["samples_left_out"]
    old = report_of(document)
    assert old.run.notes == short.run.notes
    assert old.summary.samples_left_out == 8
    assert judge_again(old, Limits(strict=True)).summary.exit_code == 4
    assert judge_again(healthy_report(), Limits(strict=True)).summary.exit_code == 0


def test_words_alone_make_nothing_strict() -> None:
    """A layer may be named after the words of the note that counts."""
    named = ModelChosen("8 samples left out", ("ema",))
    assert "samples left out" in named.sentence
    report = replace(healthy_report(), run=replace(run(), noted=(named,)))
    assert judge_again(report, Limits(strict=True)).summary.exit_code == 0


def test_a_document_says_each_reason_in_one_way() -> None:
    text = json.dumps(full_report().to_dict())
    assert "not-exercised" in text
    assert "not exercised" not in text
