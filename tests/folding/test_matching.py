"""Which layer went into which operation: found by numbers, verified, and never guessed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from folded_by_hand import Convolution, convolution, gain_of, norm, reference
from hypothesis import given, settings
from hypothesis import strategies as st

from bncheck.formats.folding import Reference, Source, match
from bncheck.formats.folding.fold import Fold

SHAPES = {
    "conv1d": convolution(5, 3, 4),
    "conv2d": convolution(6, 4, 3, 3, bias=True),
    "conv3d": convolution(4, 2, 2, 3, 2),
    "depthwise": convolution(6, 1, 3, 3),
    "linear": convolution(7, 9, bias=True),
    "transposed": convolution(4, 6, 3, 3, transposed=True),
    "transposed in groups": convolution(4, 3, 2, 2, transposed=True, groups=2, bias=True),
    "transposed depthwise": convolution(5, 1, 3, transposed=True, groups=5),
}


def only_fold(convolved: Convolution, layer, dtype: str = "float32", known=None) -> Fold:
    """The fold of one layer into one operation, which must be found."""
    found = match([convolved.folded(layer, dtype)], reference((convolved, known or layer)))
    assert found.unfound == ()
    (fold,) = found.folds
    return fold


@pytest.mark.parametrize("convolved", SHAPES.values(), ids=SHAPES)
def test_a_fold_is_found_in_every_kind_of_operation(convolved):
    layer = norm(convolved.plain().channels)
    fold = only_fold(convolved, layer)
    assert (fold.layer.name, fold.key) == ("bn", "conv_out")
    assert fold.agrees
    assert fold.error < 1e-5
    assert fold.visible.all()
    assert fold.layer is layer  # exactly the reference's numbers, not those rounded on the way


@pytest.mark.parametrize("convolved", SHAPES.values(), ids=SHAPES)
def test_what_was_folded_in_instead_is_recovered(convolved):
    channels = convolved.plain().channels
    folded = norm(channels, mean=np.linspace(-1, 1, channels), var=np.linspace(0.5, 2, channels))
    known = replace(folded, mean=folded.mean + 0.4, var=folded.var * 1.5)
    fold = only_fold(convolved, folded, known=known)
    assert not fold.agrees
    np.testing.assert_allclose(fold.layer.mean, folded.mean, atol=1e-5)
    np.testing.assert_allclose(fold.layer.var, folded.var, rtol=1e-5)
    assert fold.reference is known
    sigma = np.sqrt(known.var + known.eps)
    gap = np.hypot(0.4 / sigma, np.sqrt((folded.var + folded.eps) / (known.var + known.eps)) - 1)
    assert fold.error == pytest.approx(np.sqrt(np.mean(gap**2)), rel=1e-4)
    assert fold.worst_channel == int(np.argmax(gap))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    channels=st.integers(1, 9),
    inputs=st.integers(1, 5),
    eps=st.sampled_from([1e-5, 1e-3, 1e-2, 1e-12]),
    scale=st.sampled_from([1e-4, 1.0, 1e4]),
    bias=st.booleans(),
    affine=st.booleans(),
)
def test_any_fold_is_found_and_agrees(seed, channels, inputs, eps, scale, bias, affine):
    layer = norm(channels, seed, eps=eps)
    layer = replace(layer, mean=layer.mean * scale, var=layer.var * scale**2)
    layer = layer if affine else replace(layer, weight=None, bias=None)
    convolved = convolution(channels, inputs, 3, 3, seed=seed, bias=bias)
    if bias:
        convolved = replace(convolved, bias=convolved.bias * scale)
    fold = only_fold(convolved, layer)
    assert fold.agrees
    assert fold.error < 1e-4


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6), channel=st.integers(0, 5), by=st.floats(0.1, 3), what=st.sampled_from(["mean", "var"])
)
def test_a_change_of_one_channel_never_passes_for_agreement(seed, channel, by, what):
    layer = norm(6, seed)
    moved = getattr(layer, what).copy()
    moved[channel] = moved[channel] * (1 + by) if what == "var" else moved[channel] + by
    fold = only_fold(convolution(6, 3, 3, 3, seed=seed), layer, known=replace(layer, **{what: moved}))
    assert not fold.agrees
    assert fold.worst_channel == channel


@pytest.mark.parametrize("eps", [1e-5, 1e-3, 1e-6, 1e-4, 1e-2])
def test_an_eps_that_the_reference_does_not_tell_is_inferred(eps):
    layer = norm(6, eps=eps)
    fold = only_fold(convolution(6, 3, 3, 3), layer, known=replace(layer, eps=None))
    assert fold.agrees
    assert fold.layer.eps == eps


def test_of_epsilons_that_explain_equally_well_the_usual_one_is_taken():
    layer = norm(6, var=np.full(6, 1e6), eps=1e-5)
    assert only_fold(convolution(6, 3, 3, 3), layer, known=replace(layer, eps=None)).layer.eps == 1e-5


@pytest.mark.parametrize(("dtype", "largest"), [("float16", 5e-3), ("bfloat16", 5e-2), ("float64", 1e-5)])
def test_rounding_of_other_types_is_no_difference(dtype, largest):
    pytest.importorskip("ml_dtypes")
    for seed in range(5):
        fold = only_fold(convolution(16, 8, 3, 3, seed=seed), norm(16, seed), dtype)
        assert fold.agrees
        assert fold.error < largest


def test_a_real_difference_shows_in_half_precision_too():
    layer = norm(16)
    fold = only_fold(convolution(16, 8, 3, 3), layer, "float16", known=replace(layer, mean=layer.mean + 0.2))
    assert not fold.agrees


def test_channels_that_half_precision_has_lost_are_hidden():
    gamma = np.array([1.0, 1e-4, -1e-7, 1e-12, 0.0, 1.0])
    layer = norm(6, weight=gamma)
    fold = only_fold(convolution(6, 8, 3, 3), layer, "float16")
    assert fold.agrees
    assert fold.visible.tolist() == [True, False, False, False, False, True]


def test_channels_with_a_gamma_of_zero_are_hidden():
    fold = only_fold(convolution(4, 3, 3, 3), norm(4, weight=np.array([1.0, 0.0, -1.0, 1e-30])))
    assert fold.agrees
    assert fold.visible.tolist() == [True, False, True, False]


def test_a_layer_whose_every_gamma_is_zero_is_not_found():
    convolved, layer = convolution(4, 3, 3, 3), norm(4, weight=np.zeros(4))
    found = match([convolved.folded(layer)], reference((convolved, layer)))
    assert (found.folds, [one.name for one in found.unfound]) == ((), ["bn"])


def test_a_filter_of_zeros_is_seen_by_its_bias_alone():
    weight = convolution(4, 3, 3, 3).weight.copy()
    weight[1] = 0
    convolved, layer = Convolution(weight), norm(4)
    assert only_fold(convolved, layer).agrees
    moved = layer.mean.copy()
    moved[1] += 0.5
    fold = only_fold(convolved, layer, known=replace(layer, mean=moved))
    assert (fold.agrees, fold.worst_channel) == (False, 1)


def test_a_filter_that_the_export_has_lost_is_another_weight():
    convolved, layer = convolution(4, 3, 3, 3), norm(4)
    operation = convolved.folded(layer)
    weight = operation.weight.copy()
    weight[2] = 0
    assert match([replace(operation, weight=weight)], reference((convolved, layer))).folds == ()


def test_other_weights_hold_nothing():
    layer = norm(6)
    operation = convolution(6, 3, 3, 3, seed=1).folded(layer)
    found = match([operation], reference((convolution(6, 3, 3, 3, seed=2), layer)))
    assert found.folds == ()


def test_a_few_percent_of_training_are_other_weights():
    convolved, layer = convolution(6, 3, 3, 3), norm(6)
    noise = np.random.default_rng(0).normal(0, 0.05, convolved.weight.shape)
    tuned = replace(convolved, weight=(convolved.weight * (1 + noise)).astype(np.float32))
    assert match([tuned.folded(layer)], reference((convolved, layer))).folds == ()


@pytest.mark.parametrize("gamma", [None, np.ones(6)])
def test_a_convolution_into_which_nothing_was_folded(gamma):
    """Some statistics would explain that too: those that divide by gamma."""
    convolved, layer = convolution(6, 3, 3, 3), norm(6, weight=gamma)
    assert match([convolved.plain()], reference((convolved, layer))).folds == ()


def test_a_layer_that_divides_by_one_is_folded_all_the_same():
    convolved, layer = convolution(6, 3, 3, 3), norm(6, var=np.full(6, 1 - 1e-5), weight=np.ones(6))
    fold = only_fold(convolved, layer)
    assert fold.agrees
    stale = replace(layer, mean=layer.mean + 1)
    assert not only_fold(convolved, layer, known=stale).agrees
    later = replace(layer, name="later", mean=layer.mean + 1)  # only the next layer can be meant
    known = replace(
        reference((convolved, layer)), layers=(later, layer), positions={"conv.weight": 0, "bn": 1, "later": 2}
    )
    assert [fold.layer.name for fold in match([convolved.folded(layer)], known).folds] == ["bn"]


def test_two_layers_of_one_shape_are_told_apart_by_their_weights():
    pairs = [(convolution(6, 6, 3, 3, seed=n, name=f"conv{n}"), norm(6, n, name=f"bn{n}")) for n in range(3)]
    operations = [convolved.folded(layer) for convolved, layer in reversed(pairs)]
    found = match(operations, reference(*pairs))
    assert [(fold.key, fold.layer.name) for fold in found.folds] == [(f"conv{n}_out", f"bn{n}") for n in (2, 1, 0)]


def test_layers_of_equal_values_are_told_apart_by_their_place():
    """Statistics that were never updated are the same everywhere."""
    initial = {"mean": np.zeros(6), "var": np.ones(6), "weight": np.ones(6), "bias": np.zeros(6)}
    pairs = [(convolution(6, 6, 3, 3, seed=n, name=f"c{n}"), norm(6, name=f"n{n}", **initial)) for n in range(3)]
    found = match([convolved.folded(layer) for convolved, layer in pairs], reference(*pairs))
    assert [fold.layer.name for fold in found.folds] == ["n0", "n1", "n2"]
    assert found.unfound == ()


def test_layers_declared_before_their_convolutions_are_found_by_their_numbers():
    (conv1, bn1), (conv2, bn2) = [
        (convolution(6, 6, 3, 3, seed=n, name=f"block.conv{n}"), norm(6, n, name=f"block.bn{n}")) for n in (1, 2)
    ]
    known = reference((conv1, bn1), (conv2, bn2))
    positions = {"block.bn1": 0, "block.bn2": 1, "block.conv1.weight": 2, "block.conv2.weight": 3}
    known = replace(known, positions=positions)
    exact = match([conv1.folded(bn1), conv2.folded(bn2)], known)
    assert [fold.layer.name for fold in exact.folds] == ["block.bn1", "block.bn2"]
    stale = [replace(layer, mean=layer.mean + 1) for layer in (bn1, bn2)]
    moved = match([conv1.folded(stale[0]), conv2.folded(stale[1])], known)
    assert [(fold.layer.name, fold.agrees) for fold in moved.folds] == [("block.bn1", False), ("block.bn2", False)]


def test_one_layer_folded_twice_is_found_twice():
    convolved, layer = convolution(6, 6, 3, 3), norm(6)
    first, second = convolved.folded(layer), replace(convolved.folded(layer), key="again")
    found = match([first, second], reference((convolved, layer)))
    assert [fold.key for fold in found.folds] == ["conv_out", "again"]
    assert {fold.layer.name for fold in found.folds} == {"bn"}


def test_the_reading_that_fits_is_taken():
    """A bias may stand in a node behind the convolution; a constant added there may as well be the network's own."""
    convolved, layer = convolution(6, 3, 3, 3), norm(6)
    whole = convolved.folded(layer)
    apart = replace(whole, bias=None, longer=(replace(whole, key="added"),))
    more = replace(whole, longer=(replace(whole, key="added", bias=whole.bias + 1),))
    known = reference((convolved, layer))
    assert [(fold.key, fold.agrees) for fold in match([apart], known).folds] == [("added", True)]
    assert [(fold.key, fold.agrees) for fold in match([more], known).folds] == [("conv_out", True)]
    stale = reference((convolved, replace(layer, mean=layer.mean + 0.1)))
    assert [(fold.key, fold.agrees) for fold in match([apart], stale).folds] == [("added", False)]


def stamp_of(convolved: Convolution, layer) -> Reference:
    """What a stamp keeps: norms of the rows, no weights."""
    norms = np.linalg.norm(convolved.plain().rows, axis=1)
    source = Source("onnx::conv_out", norms=norms, bias=np.zeros(len(norms)), layer=layer.name)
    return Reference("net.onnx", (layer,), (source,), stamped=True)


def test_norms_alone_identify_a_fold_under_any_name():
    convolved, layer = convolution(6, 3, 3, 3), norm(6)
    operation = replace(convolved.folded(layer), name="renamed")
    (fold,) = match([operation], stamp_of(convolved, layer)).folds
    assert fold.agrees


def test_by_norms_a_difference_is_only_believed_under_the_stamped_name():
    convolved, layer = convolution(6, 3, 3, 3), norm(6)
    operation = convolved.folded(replace(layer, mean=layer.mean + 1))
    (fold,) = match([operation], stamp_of(convolved, layer)).folds
    assert not fold.agrees
    assert match([replace(operation, name="renamed")], stamp_of(convolved, layer)).folds == ()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_gain_of_a_fold_is_what_numpy_says(seed):
    layer, convolved = norm(5, seed), convolution(5, 4, 2, 2, seed=seed)
    folded = convolved.folded(layer)
    np.testing.assert_allclose(folded.rows, convolved.plain().rows * gain_of(layer)[:, None], rtol=1e-5, atol=1e-7)
