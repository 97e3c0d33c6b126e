"""BN402: frozen layers whose statistics moved."""

from __future__ import annotations

import pytest
from hand_built import layer

from bncheck.evidence import Evidence
from bncheck.evidence.comparison import ComparedLayer, Comparison
from bncheck.rules import judge


def compared(name: str, error: float, *, agrees: bool, original: str | None = None) -> ComparedLayer:
    return ComparedLayer(name, original or name, error, 0, agrees, folded=False)


def evidence(*layers: ComparedLayer, expect: tuple[str, ...]) -> Evidence:
    return Evidence(
        tuple(layer(each.name) for each in layers),
        comparison=Comparison("before.pt", layers, ()),
        expect_frozen=expect,
    )


MOVED, KEPT = compared("backbone.bn1", 0.2, agrees=False), compared("backbone.bn2", 0.0, agrees=True)
FREE = compared("head.bn", 0.9, agrees=False)


def test_it_names_the_layers_that_moved_and_by_how_much() -> None:
    (finding,) = judge(evidence(MOVED, KEPT, FREE, expect=("backbone.*",)), {"BN402"})
    assert (finding.code, finding.severity, finding.layer) == ("BN402", "warning", "backbone.bn1")
    assert "since before.pt: backbone.bn1; the largest gap is 0.2" in finding.message
    assert finding.evidence["gaps"] == [0.2]


def test_several_layers_are_one_finding() -> None:
    (finding,) = judge(evidence(MOVED, KEPT, FREE, expect=("backbone.*", "head.*")), {"BN402"})
    assert finding.layer is None
    assert finding.layers == ("backbone.bn1", "head.bn")
    assert "statistics of 2 frozen layers moved" in finding.message
    assert "0.9, in head.bn" in finding.message


def test_a_layer_may_be_meant_by_its_name_in_either_file() -> None:
    renamed = compared("new.bn", 0.2, agrees=False, original="old.bn")
    for pattern in ("new.*", "old.*"):
        assert [each.code for each in judge(evidence(renamed, expect=(pattern,)), {"BN402"})] == ["BN402"]


@pytest.mark.parametrize(
    "quiet",
    [
        evidence(MOVED, expect=()),
        evidence(KEPT, FREE, expect=("backbone.*",)),
        evidence(MOVED, expect=("Backbone.*", "bn1")),
        Evidence((layer("backbone.bn1"),), expect_frozen=("*",)),
    ],
)
def test_it_is_quiet_where_nothing_that_was_to_stay_has_moved(quiet: Evidence) -> None:
    assert judge(quiet, {"BN402"}) == ()
