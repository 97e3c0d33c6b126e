"""The codec: what is written is read back the same, and what does not fit is refused by its place."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.errors import ModelError, UnreadableError
from bncheck.results.codec import Origin, Written, decoded, encoded
from bncheck.vocabulary import Severity, Worse

REPEATABLE = settings(derandomize=True, deadline=None)
ORIGIN = Origin("a.json", "thing", "Things are made by hand.")


@dataclass(frozen=True, slots=True)
class Part:
    """What a thing has several of."""

    name: str
    share: float | None


@dataclass(frozen=True, slots=True)
class Thing:
    """A value of every type that documents hold."""

    text: str
    whole: int
    number: float
    flag: bool
    severity: Severity
    maybe: int | None
    parts: tuple[Part, ...]
    shape: tuple[int, ...]
    table: Mapping[str, float]
    anything: Any
    part: Part | None
    worse: Worse = Worse.HIGHER
    hidden: object = field(default=None, compare=False)
    added: tuple[str, ...] = ()

    __json__: ClassVar = Written(
        places={"whole": ("counted", "whole"), "number": ("counted", "number"), "flag": ("is",)},
        derived={"version": lambda _: 1, "size": lambda thing: len(thing.parts)},
        first=("version", "severity"),
        left_out=frozenset({"hidden"}),
        added=frozenset({"added"}),
    )


finite_numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
parts = st.builds(Part, name=texts, share=st.none() | finite_numbers)
things = st.builds(
    Thing,
    text=texts,
    whole=st.integers(-(2**63) + 1, 2**63 - 1),
    number=finite_numbers,
    flag=st.booleans(),
    severity=st.sampled_from(Severity),
    maybe=st.none() | st.integers(0, 9),
    parts=st.lists(parts, max_size=3).map(tuple),
    shape=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    table=st.dictionaries(texts, finite_numbers, max_size=3),
    anything=st.recursive(
        st.none() | st.booleans() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)
    ),
    part=st.none() | parts,
    worse=st.sampled_from(Worse),
    hidden=st.just(object()),
    added=st.lists(texts, max_size=2).map(tuple),
)
THING = Thing("a", 1, 2.5, True, Severity.ERROR, None, (Part("p", 0.5),), (3, 4), {"x": 1.0}, {"any": [1]}, None)


@REPEATABLE
@given(things)
def test_what_is_read_back_is_what_was_written(thing: Thing) -> None:
    document = json.loads(json.dumps(encoded(thing), allow_nan=False))
    assert document == encoded(thing)
    again = decoded(Thing, document, ORIGIN)
    assert again == thing
    assert again.hidden is None


def test_it_is_written_as_the_class_says() -> None:
    document = encoded(THING)
    assert list(document)[:2] == ["version", "severity"]
    assert document["counted"] == {"whole": 1, "number": 2.5}
    assert document["is"] is True
    assert document["size"] == 1
    assert type(document["severity"]) is str
    assert "hidden" not in document


def test_what_is_not_finite_is_null_and_nan_again() -> None:
    broken = Thing(
        "a", 1, math.inf, True, Severity.ERROR, None, (Part("p", math.nan),), (), {"x": math.nan}, None, None
    )
    document = encoded(broken)
    assert document["counted"]["number"] is None
    again = decoded(Thing, document, ORIGIN)
    assert math.isnan(again.number)
    assert math.isnan(again.table["x"])
    assert again.parts[0].share is None


def changed(**changes: Any) -> dict[str, Any]:
    return {**encoded(THING), **changes}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "a.json is no thing of bncheck: it should be an object and is []. Things are made by hand."),
        (None, "it should be an object and is null"),
        (changed(text=5), "text should be text and is 5"),
        (changed(counted=[]), "counted should be an object and is []"),
        (changed(counted={"whole": 1.5, "number": 1}), "counted.whole should be a whole number and is 1.5"),
        (changed(counted={"whole": True, "number": 1}), "counted.whole should be a whole number and is true"),
        (changed(counted={"whole": 1, "number": "1"}), 'counted.number should be a number and is "1"'),
        (changed(counted={"whole": 1}), "a.json is no whole thing: counted.number is missing. Things"),
        ({"text": "a"}, "a.json is no whole thing: counted is missing"),
        ({**changed(), "is": 1}, "is should be true or false and is 1"),
        (changed(severity="grave"), 'severity should be one of error, warning, info and is "grave"'),
        (changed(severity=None), "severity should be one of error, warning, info and is null"),
        (changed(severity=["error"]), 'severity should be one of error, warning, info and is ["error"]'),
        (changed(parts={}), "parts should be a list of objects and is {}"),
        (changed(parts=[{"name": "p", "share": 1}, 7]), "parts[1] should be an object and is 7"),
        (changed(parts=[{"name": "p"}]), "a.json is no whole thing: parts[0].share is missing"),
        (changed(parts=[{"name": "p", "share": []}]), "parts[0].share should be a number and is []"),
        (changed(shape="3x4"), 'shape should be a list of whole numbers and is "3x4"'),
        (changed(shape=[3, "4"]), 'shape[1] should be a whole number and is "4"'),
        (changed(table=[1]), "table should be an object and is [1]"),
        (changed(table={"x": {}}), "table.x should be a number and is {}"),
        (changed(maybe="?"), 'maybe should be a whole number and is "?"'),
        (changed(text=["x" * 100]), 'text should be text and is ["xxxxxxxxxx'),
        # What no document may hold, wherever it stands:
        (changed(extra=10**400), 'extra should be a smaller number and is "a number of very many digits"'),
        (changed(counted={"whole": 2**63, "number": 1}), "counted.whole should be a smaller number and is 9223372"),
        (changed(table={"x": -(10**400)}), "table.x should be a smaller number"),
        (changed(anything=math.inf), "anything is a number beyond all floats"),
        (changed(anything=["\ud800"]), "anything[0] holds half a character (a lone surrogate)"),
        (changed(anything={"\udfff": 1}), "anything holds half a character (a lone surrogate)"),
        (changed(anything={1: 2}), "anything should be a document of JSON, whose keys are texts, and is"),
        (changed(anything=object), "anything should be a value of JSON and is"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(document: Any, message: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        decoded(Thing, document, ORIGIN)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 250
    str(caught.value).encode("utf-8")


def nested(depth: int) -> Any:
    value: Any = 1
    for at in range(depth):
        value = [value] if at % 2 else {"a": value}
    return value


def test_a_document_is_bounded_in_depth() -> None:
    assert decoded(Thing, changed(anything=nested(40)), ORIGIN).anything == nested(40)
    for depth in (60, 100_000):
        with pytest.raises(UnreadableError, match="is nested more than 48 deep"):
            decoded(Thing, changed(anything=nested(depth)), ORIGIN)
        with pytest.raises(UnreadableError, match=r"a\.json is no thing of bncheck"):
            decoded(Thing, changed(text=nested(depth)), ORIGIN)


def test_what_later_versions_add_is_passed_by() -> None:
    assert decoded(Thing, changed(later={"a": 1}), ORIGIN) == THING
    document = encoded(THING)
    del document["added"]
    assert decoded(Thing, document, ORIGIN) == THING


@dataclass(frozen=True, slots=True)
class Closed:
    """A value whose documents have no other keys."""

    name: str

    __json__: ClassVar = Written(closed=True)


def test_a_closed_document_has_no_other_keys() -> None:
    assert decoded(Closed, {"name": "n"}, ORIGIN) == Closed("n")
    with pytest.raises(UnreadableError, match="nmae is no key that it can have"):
        decoded(Closed, {"name": "n", "nmae": "m"}, ORIGIN)


def test_the_error_is_of_the_kind_that_is_asked_for() -> None:
    with pytest.raises(ModelError, match=r"^m\.onnx is no stamp of bncheck: name should be text and is 1\.$"):
        decoded(Closed, {"name": 1}, Origin("m.onnx", "stamp", error=ModelError))


@dataclass(frozen=True, slots=True)
class Unwritable:
    """A value with a type that no document holds."""

    value: complex


@dataclass(frozen=True, slots=True)
class Lacking:
    """A value of which documents may lack what it needs."""

    value: int

    __json__: ClassVar = Written(added=frozenset({"value"}))


def test_a_class_that_cannot_be_read_is_no_users_error() -> None:
    with pytest.raises(TypeError, match=r"complex.* is no type that documents can hold"):
        decoded(Unwritable, {"value": 1}, ORIGIN)
    with pytest.raises(TypeError, match=r"Lacking\.value may be absent from documents, and has no default"):
        decoded(Lacking, {}, ORIGIN)
