"""What remains of rules that one condition decides, worked out by hand: BN203 to BN704, and a rule's page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases_of_drift import wrong
from cases_of_files import compared, seen
from every_rule import HARM, drifted, static
from hand_built import effect, evidence, layer, measured, with_own
from test_copies_by_hand import moments
from test_data_by_hand import rounded, solved

from bncheck.core import THRESHOLDS
from bncheck.errors import UsageError
from bncheck.evidence import CloserLook
from bncheck.evidence.probed import AffineMap, Composition, Probed
from bncheck.rules import judge, rule
from bncheck.rules.drift import bn607
from bncheck.rules.input import bn601
from bncheck.rules.judging import weights
from bncheck.rules.settings import bn302
from bncheck.rules.values import bn206

FLOAT32_UNIT = 2.0**-24


def test_the_scale_is_right_only_where_all_that_the_input_feeds_fits() -> None:
    fed = CloserLook(fed_by_input=frozenset("ab"))
    for second, told in ((0.05, True), (0.5, False)):
        (found,) = judge(evidence(*drifted(0.05, second, 1.0), effect=HARM, closer=fed), {"BN603"})
        assert ("so its scale is right" in found.message) is told


def test_what_two_layers_show_is_told_by_name() -> None:
    data = wrong([0, 0], [1, 1], layer("c"))
    said = "all its variances are about 4 times those of the data"
    assert bn607._patterns(("c", "a"), data) == f"; of c: {said}"
    assert bn607._patterns(("c",), data) == f"; {said}"
    assert bn607._patterns(("a",), data) == ""


def test_a_factor_multiplies_or_divides() -> None:
    for factor, told in ((1.5, "Multiply the input by 1.5"), (0.5, "Divide the input by 2,")):
        assert bn601._remedy(solved(map=AffineMap((factor,)))).startswith(told)


def test_of_two_layers_the_typical_one_is_predicted() -> None:
    a, b = moments([3.0, 4.0], [1.0, 3.0]), moments([0.0, 0.0], [5.0, 7.0])
    assert "in the typical of 2 layers" in weights.said_instead({"a": a, "b": b})


def test_an_export_whose_statistics_agree_and_whose_outputs_were_not_compared_is_right() -> None:
    assert judge(static(layer(), comparison=compared(0.0)), {"BN403"}) == ()


def test_grouped_batches_must_be_no_guesses_among_so_many_classes() -> None:
    found = Composition(True, 16, 20, 320, 0.6, 0.001, 0.05, 0.05, 0.05)
    for classes, told in ((2, 0), (1000, 1)):
        data = evidence(measured(0.1), probed=Probed(composition=found), effect=effect(classes=classes))
        assert len(judge(data, {"BN610"})) == told


def test_five_digits_of_what_the_runtime_was_fed_are_told() -> None:
    one = replace(rounded(1e6), dtype="another", fed=0.123456789)
    (found,) = judge(evidence(measured(0.01), runtime=(one,)), {"BN704"})
    assert "fed 0.12346, " in found.message


def test_an_eps_is_unlike_others_by_a_factor_and_where_outputs_show_it() -> None:
    tiny = np.full(2, 1e-7)
    assert not bn302._is_unlike(layer(var=tiny, eps=5e-6), 1e-5)
    assert bn302._is_unlike(layer(var=tiny, eps=1e-8), 1e-5)
    assert bn302._alive(layer(var=np.array([np.inf, 4.0]))).tolist() == [4.0]


def test_an_eps_of_zero_makes_what_is_behind_too_large() -> None:
    larger, smaller = (seen(layer(), [0, 0], [var, var]) for var in (9.0, 1.0))
    for eps in (0.0, None):
        assert bn302._pushes(layer(eps=eps), larger, 1e-5)
        assert not bn302._pushes(layer(eps=eps), smaller, 1e-5)
    assert bn302._pushes(layer(eps=1e-3), smaller, 1e-5)
    assert not bn302._pushes(layer(eps=1e-3), larger, None)


def test_the_source_that_is_farthest_off_by_itself_must_be_right_behind_a_wrong_eps() -> None:
    """Of two sources the one with the larger gap of its own decides, whatever it inherits."""
    names = ["eps", *"abcdefgh"]
    layers = {name: measured(0.01, name=name) for name in names}
    near, far = (seen(layer(name), [0, 0], [0.5, 0.5]) for name in "ah")

    def explained(**changes: object) -> bool:
        held = layers | {"a": replace(near, **changes), "h": replace(far, own=seen(layer("h"), [0, 0], [1, 1]).own)}
        return bn302._explains(evidence(*held.values(), effect=HARM), {"eps": layer("eps", eps=1e-3)}, 1e-5)

    assert explained()
    alone = [replace(one, own=None) for one in (*layers.values(), replace(near, lower=0.5), far)]
    held = {one.layer.name: one for one in alone}
    assert bn302._explains(evidence(*held.values(), effect=HARM), {"eps": layer("eps", eps=1e-3)}, 1e-5)
    layers["eps"] = with_own(measured(0.9, name="eps"), 0.01)  # and it fits itself
    assert explained()
    assert not explained(own=seen(layer("a"), [0, 0], [2, 2]).own)


def test_counts_that_cost_nothing_have_no_cost() -> None:
    """The layer that was counted twice as often is not where the drift comes from."""
    twice = replace(measured(0.01, name="b"), layer=layer("b", updates=200))
    (found,) = judge(evidence(measured(1.0, name="a"), twice, effect=HARM), {"BN501"})
    assert (found.layers, found.cost) == (("b",), None)


def test_digits_that_cancel_grow_with_the_square_of_the_mean() -> None:
    mean = 5000.0
    most = THRESHOLDS.cancelled_roundings * FLOAT32_UNIT * mean**2
    one = layer(mean=np.full(2, mean), var=np.ones(2), eps=0.0)
    near, far = (replace(seen(one, [mean] * 2, [1 + part * most] * 2), own=None) for part in (0.9, 1.1))
    assert bn206._by_cancellation(near).all()
    assert not bn206._by_cancellation(far).any()


def test_powers_are_told_without_an_effect() -> None:
    var = np.linspace(1.0, 3.0, 9)
    one = replace(layer(mean=np.zeros(9), var=var**2, weight=None, bias=None), channels=9)
    (found,) = judge(evidence(seen(one, np.zeros(9), var), effect=None), {"BN207"})
    assert found.evidence["accuracy_gain"] is None
    assert found.evidence["predictions_changed"] is None


def test_gaps_that_overflow_are_judged_without_a_warning() -> None:
    """Whatever a rule squares."""
    assert {one.code for one in judge(evidence(measured(1e200), effect=HARM), {"BN603"})} == {"BN603"}


def test_a_page_says_what_it_does_and_else_the_usual() -> None:
    head = {"severity": "warning", "needs": ["statistics"]}
    usual = rule._rule("BN999", "A title", head, Path("page.md"))
    assert (usual.code, usual.title, usual.by_layer, usual.certain) == ("BN999", "A title", False, False)
    assert (usual.shows, usual.explains, usual.symptoms, usual.path) == (None, (), (), Path("page.md"))
    told = rule._rule(
        "BN999",
        "A title",
        head | {"by_layer": True, "certain": True, "remedy": "repair", "symptoms": {"drift": 3}},
        Path("page.md"),
    )
    assert (told.by_layer, told.certain, told.remedy, told.symptoms) == (True, True, "repair", (("drift", 3),))


def test_a_page_begins_with_its_head(tmp_path: Path) -> None:
    page = tmp_path / "bn999.md"
    for text in ("Words.\n+++\na = 1\n+++\nPage.\n", "+++\na = 1\n+++\n", "+++\na = 1\n"):
        page.write_text(text, "utf-8")
        with pytest.raises(UsageError, match="should begin with its head"):
            rule._parted(page)
    page.write_text("+++\na = 1\n+++\n\nPage.\n", "utf-8")
    assert rule._parted(page) == ("a = 1\n", "Page.\n")
