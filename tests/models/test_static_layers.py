import hashlib

import numpy as np
import pytest
import torch
from model_networks import Net, Small, trained

from bncheck.errors import ModelError
from bncheck.formats import open_model
from bncheck.results.notes import sentences


def _open(tmp_path, content):
    torch.save(content, tmp_path / "net.pth")
    return open_model(tmp_path / "net.pth")


def _norm(channels=3, **others):
    return {
        "weight": torch.ones(channels),
        "bias": torch.zeros(channels),
        "running_mean": torch.zeros(channels),
        "running_var": torch.ones(channels),
    } | others


def _named(**groups):
    return {
        f"{group.replace('__', '.')}.{leaf}": tensor
        for group, leaves in groups.items()
        for leaf, tensor in leaves.items()
    }


def test_what_a_state_dict_says(tmp_path):
    net = trained(Net())
    model = _open(tmp_path, net.state_dict())
    assert [layer.name for layer in model.layers] == ["stem.bn_odd_9", "stem.inst", "inner.1"]
    layer = model.layers[0]
    assert (layer.kind, layer.channels, layer.eps, layer.momentum) == ("batch_norm", 4, None, None)
    assert (layer.updates, layer.dtype, layer.trainable_class, layer.missing) == (17, "float32", None, False)
    np.testing.assert_array_equal(layer.mean, net.stem.bn_odd_9.running_mean.double().numpy())
    np.testing.assert_array_equal(layer.weight, net.stem.bn_odd_9.weight.detach().double().numpy())
    assert layer.mean.dtype == np.float64
    assert model.layers[2].weight is None


def test_values_are_read_only(tmp_path):
    layer = _open(tmp_path, trained(Small()).state_dict()).layers[0]
    with pytest.raises(ValueError, match="read-only"):
        layer.mean[0] = 1.0


def test_the_digest_is_the_files(tmp_path):
    model = _open(tmp_path, Small().state_dict())
    assert model.sha256 == hashlib.sha256((tmp_path / "net.pth").read_bytes()).hexdigest()
    assert model.path == str(tmp_path / "net.pth")


def test_files_without_counters(tmp_path):
    (layer,) = _open(tmp_path, _named(a__norm=_norm())).layers
    assert layer.updates is None


def test_other_names_of_statistics(tmp_path):
    keras = {
        "gamma": torch.ones(3),
        "beta": torch.ones(3),
        "moving_mean": torch.ones(3),
        "moving_variance": torch.ones(3),
    }
    other = {"moving_mean": torch.ones(2), "moving_var": torch.ones(2)}
    layers = _open(tmp_path, _named(a=keras, b=other)).layers
    assert [(layer.name, layer.channels, layer.weight is None) for layer in layers] == [("a", 3, False), ("b", 2, True)]


def test_a_counter_that_is_no_number(tmp_path):
    (layer,) = _open(tmp_path, _named(a=_norm(num_batches_tracked=torch.tensor(float("nan"))))).layers
    assert layer.updates is None


def test_a_single_layer_has_an_empty_name(tmp_path):
    (layer,) = _open(tmp_path, trained(torch.nn.BatchNorm1d(3)).state_dict()).layers
    assert layer.name == ""


@pytest.mark.parametrize("name", ["layer2__bn1", "head__batch_norm", "BatchNorm_0"])
def test_statistics_lost_by_a_layer_named_like_one_that_has_them(tmp_path, name):
    alike = name.replace("1", "7").replace("_0", "_3")
    affine = {"weight": torch.ones(4), "bias": torch.ones(4)}
    layers = _open(tmp_path, _named(**{f"kept__{alike}": _norm(), name: affine})).layers
    assert [layer.missing for layer in layers] == [False, True]
    lost = layers[1]
    assert (lost.expects_statistics, lost.mean, lost.channels, lost.kind) == (True, None, 4, "batch_norm")


@pytest.mark.parametrize(
    ("name", "affine"),
    [
        ("block__norm1", {"weight": torch.ones(4), "bias": torch.ones(4)}),  # a LayerNorm may be called so
        ("head__bn_proj", {"weight": torch.ones(4), "bias": torch.ones(4)}),  # named unlike any with statistics
        ("head__bn2", {"weight": torch.ones(4, 4), "bias": torch.ones(4)}),  # a linear layer
        ("head__bn2", {"weight": torch.ones(4)}),  # an RMSNorm
    ],
)
def test_affine_pairs_that_are_no_evidence(tmp_path, name, affine):
    layers = _open(tmp_path, _named(body__norm1=_norm(), body__bn1=_norm(), **{name: affine})).layers
    assert [layer.name for layer in layers] == ["body.norm1", "body.bn1"]


@pytest.mark.parametrize("lost", ["running_mean", "running_var"])
def test_one_of_two_statistics(tmp_path, lost):
    half = {leaf: tensor for leaf, tensor in _norm().items() if leaf != lost}
    (layer,) = _open(tmp_path, _named(anything=half)).layers
    assert (layer.missing, layer.expects_statistics, layer.mean, layer.var) == (True, True, None, None)


def test_statistics_of_different_lengths(tmp_path):
    with pytest.raises(ModelError, match=r"a.b do not belong together.*3 values.*variance 2"):
        _open(tmp_path, _named(a__b=_norm(running_var=torch.ones(2))))


def test_shared_storage_is_one_layer(tmp_path):
    group = _norm()
    assert [layer.name for layer in _open(tmp_path, _named(one=group, two=group)).layers] == ["one"]


def test_an_observation_filter_is_no_batch_norm(tmp_path):
    statistics = {"running_mean": torch.ones(3), "running_var": torch.ones(3), "count": torch.ones(())}
    layers = _open(tmp_path, _named(running_mean_std=statistics, body=_norm())).layers
    assert [layer.kind for layer in layers] == ["other", "batch_norm"]


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_wrappers_are_stripped(tmp_path, prefix):
    content = {prefix + name: value for name, value in Small().state_dict().items()} | {"n_averaged": torch.tensor(3)}
    model = _open(tmp_path, content)
    assert [layer.name for layer in model.layers] == ["bn1"]
    assert sentences(model.notes) == (f"Stripped the prefix {prefix!r}.",)


def test_other_prefixes_stay_without_an_architecture(tmp_path):
    content = {f"model.{name}": value for name, value in Small().state_dict().items()}
    assert [layer.name for layer in _open(tmp_path, content).layers] == ["model.bn1"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(tmp_path, dtype):
    content = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in trained(Small()).state_dict().items()
    }
    (layer,) = _open(tmp_path, content).layers
    assert layer.dtype == str(dtype).removeprefix("torch.")
    np.testing.assert_array_equal(layer.var, content["bn1.running_var"].double().numpy())


def test_odd_entries_among_the_tensors(tmp_path):
    content = dict(_named(body=_norm(weight=torch.nn.Parameter(torch.ones(3))))) | {
        "body._extra_state": {"a": 1},
        "version": 3,
        "_metadata": {"": {"version": 1}},
        "sparse.weight": torch.eye(3).to_sparse(),
        "empty.weight": torch.empty(0),
        "scalar.weight": torch.tensor(3.0),
        "total_ops": torch.zeros(1, dtype=torch.float64),
    }
    assert [layer.name for layer in _open(tmp_path, content).layers] == ["body"]


@pytest.mark.filterwarnings("ignore:.*quantize:")
@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_quantized_gains(tmp_path):
    gain = torch.quantize_per_tensor(torch.tensor([0.5, 1.0, 1.5]), 0.5, 0, torch.qint8)
    (layer,) = _open(tmp_path, _named(body=_norm(weight=gain))).layers
    assert layer.weight.tolist() == [0.5, 1.0, 1.5]


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("a.weight", (2, 2, 3, 3), True),
        ("conv.weight", (2, 2, 3), True),
        ("attention.weight", (2, 2, 3), False),
        ("fc.weight", (2, 3), False),
    ],
)
def test_convolutions_by_rank(tmp_path, name, shape, expected):
    assert _open(tmp_path, {name: torch.zeros(shape)}).has_convolutions is expected
