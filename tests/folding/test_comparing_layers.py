"""Layers that are left in an export, paired with the reference's and compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from folded_by_hand import convolution, norm, reference
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.formats.folding import compare_layers


def test_layers_of_one_name_are_compared():
    (compared,) = compare_layers([norm(4, name="stem")], [norm(4, name="stem"), norm(4, 1, name="other")])
    assert (compared.name, compared.original, compared.agrees, compared.folded) == ("stem", "stem", True, False)
    assert compared.error < 1e-12


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.floats(-3, 3), scale=st.floats(0.2, 5))
def test_the_error_is_the_gap(seed, shift, scale):
    known = norm(5, seed)
    sigma = np.sqrt(known.var + known.eps)
    moved = replace(known, mean=known.mean + shift * sigma, var=(known.var + known.eps) * scale**2 - known.eps)
    (compared,) = compare_layers([moved], [known])
    assert compared.error == pytest.approx(np.hypot(shift, scale - 1), rel=1e-3, abs=1e-6)
    assert compared.agrees == (compared.error <= 5e-3)


def test_renamed_layers_are_recognised_by_their_statistics_or_by_their_parameters():
    layers = [norm(4, seed, name=f"bn{seed}") for seed in range(3)]
    bare = [replace(norm(4, seed, name=f"x{seed}"), weight=None, bias=None) for seed in range(3)]
    assert [one.original for one in compare_layers(bare, layers)] == ["bn0", "bn1", "bn2"]
    stale = [replace(layer, name=f"y{n}", mean=layer.mean + 1) for n, layer in enumerate(layers)]
    assert [(one.original, one.agrees) for one in compare_layers(stale, layers)] == [
        (f"bn{n}", False) for n in range(3)
    ]


def test_initial_values_identify_nobody():
    initial = {"mean": np.zeros(4), "var": np.ones(4), "weight": np.ones(4), "bias": np.zeros(4)}
    assert compare_layers([norm(4, name="x", **initial)], [norm(4, name="bn", **initial)]) == ()


def test_twins_identify_nobody():
    twins = [norm(4, name="a"), norm(4, name="b")]
    assert compare_layers([norm(4, name="x")], twins) == ()


def test_layers_of_another_width_are_not_compared():
    assert compare_layers([norm(4, name="bn")], [norm(6, name="bn")]) == ()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_statistics_kept_in_half_precision_agree(dtype):
    pytest.importorskip("ml_dtypes")
    known = norm(16)
    rounded = {role: getattr(known, role).astype(dtype).astype(np.float64) for role in ("mean", "var")}
    (compared,) = compare_layers([replace(known, dtype=dtype, **rounded)], [known])
    assert compared.agrees


def test_what_is_broken_in_both_is_no_difference_between_them():
    broken = norm(4)
    broken.var[1] = np.nan
    (compared,) = compare_layers([broken], [broken])
    assert compared.agrees
    (compared,) = compare_layers([norm(4)], [broken])
    assert (compared.agrees, compared.worst_channel) == (False, 1)


def test_a_prefix_that_all_names_share_is_stripped_where_it_gives_the_models_names():
    pairs = [
        (convolution(4, 3, 3, 3, seed=n, name=f"model.net.conv{n}"), norm(4, n, name=f"model.net.bn{n}"))
        for n in (1, 2)
    ]
    known = reference(*pairs)
    renamed = known.named_as(["bn1"])
    assert [layer.name for layer in renamed.layers] == ["bn1", "bn2"]
    assert [source.name for source in renamed.sources] == ["conv1.weight", "conv2.weight"]
    assert renamed.positions.keys() == {"conv1.weight", "bn1", "conv2.weight", "bn2"}
    assert [layer.name for layer in known.named_as(["net.bn2"]).layers] == ["net.bn1", "net.bn2"]
    for strange in (["conv1"], ["elsewhere.bn1"], [], ["model.net.bn1", "bn2"]):
        assert known.named_as(strange) is known
