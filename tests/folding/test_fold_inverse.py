"""Seeing through a fold: the moments of the layer's input from those of the operation's output."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from folded_by_hand import convolution, gain_of, norm, reference
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.core import SampleMoments
from bncheck.formats.folding import match
from bncheck.formats.folding.fold import Fold


def fold_of(layer, known=None) -> Fold:
    convolved = convolution(layer.channels, 3, 3, 3)
    (fold,) = match([convolved.folded(layer)], reference((convolved, known or layer))).folds
    return fold


def moments(x: np.ndarray) -> SampleMoments:
    """Of (N, C, values)."""
    deviations = x - x.mean(2, keepdims=True)
    return SampleMoments(np.full(len(x), float(x.shape[2])), x.mean(2), (deviations**2).sum(2))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), affine=st.booleans(), offset=st.sampled_from([0.0, 3.0, 100.0]))
def test_the_input_is_recovered_from_the_output(seed, affine, offset):
    layer = norm(4, seed)
    layer = layer if affine else replace(layer, weight=None, bias=None)
    fed = np.random.default_rng(seed).normal(offset, 2, (6, 4, 25))
    gain, beta = gain_of(layer), 0.0 if layer.bias is None else layer.bias
    given_out = (fed - layer.mean[:, None]) * gain[:, None] + np.reshape(beta, (-1, 1))
    seen = fold_of(layer).input_moments(moments(given_out))
    np.testing.assert_allclose(seen.mean, fed.mean(2), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(seen.m2, moments(fed).m2, rtol=1e-9)


def test_behind_other_statistics_it_is_seen_through_what_was_folded_in():
    folded = norm(4)
    fold = fold_of(folded, known=replace(folded, mean=folded.mean + 1, var=folded.var * 3))
    slope, offset = fold.inverse()
    np.testing.assert_allclose(slope, 1 / gain_of(folded), rtol=1e-5)
    np.testing.assert_allclose(offset, folded.mean - folded.bias / gain_of(folded), rtol=1e-5)


def test_a_hidden_channel_is_taken_to_be_fed_what_is_stored():
    layer = norm(3, weight=np.array([1.0, 0.0, -2.0]))
    seen = fold_of(layer).input_moments(moments(np.random.default_rng(0).normal(size=(5, 3, 7))))
    np.testing.assert_array_equal(seen.mean[:, 1], np.full(5, layer.mean[1]))
    np.testing.assert_array_equal(seen.m2[:, 1], np.full(5, 7 * layer.var[1]))


def test_what_goes_in_as_stored_comes_out_as_beta_and_gamma():
    layer = norm(4)
    mean, var = fold_of(layer).output_statistics()
    np.testing.assert_allclose(mean, layer.bias)
    np.testing.assert_allclose(var, layer.weight**2)
