import threading

import numpy as np
import pytest
import torch
from model_networks import Net, Shared, Small, trained
from torch import nn

from bncheck.errors import ModelError, UsageError
from bncheck.formats import from_module


def _layers(module):
    return {layer.name: layer for layer in from_module(module).layers}


def test_every_layer_once_with_its_settings():
    net = trained(Net())
    model = from_module(net)
    assert (model.format, model.path, model.sha256) == ("module", "Net", None)
    assert [(layer.name, layer.kind, layer.channels, layer.eps, layer.momentum) for layer in model.layers] == [
        ("stem.bn_odd_9", "batch_norm", 4, 1e-3, 0.03),
        ("stem.inst", "instance_norm", 4, 1e-5, 0.1),
        ("group", "group_norm", 4, 1e-5, None),
        ("no_stats", "batch_norm", 4, 1e-5, 0.1),
        ("inner.1", "batch_norm", 6, 1e-5, 0.1),
        ("layer", "layer_norm", 6, 1e-5, None),
        ("rms", "rms_norm", 6, None, None),
    ]
    assert [layer.expects_statistics for layer in model.layers] == [True, True, False, False, True, False, False]
    assert [layer.trainable_class for layer in model.layers] == [True, True, None, True, True, None, None]
    np.testing.assert_array_equal(model.layers[4].var, net.inner[1].running_var.double().numpy())
    assert model.layers[4].weight is None
    assert model.has_convolutions


def test_the_users_module_is_left_alone():
    net = trained(Net()).train()
    net.group.eval()
    calls = []
    net.register_forward_hook(lambda *_: calls.append(1))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [child.training for child in net.modules()]
    model = from_module(net)
    model.program(torch.rand(2, 3, 8, 8))
    with torch.no_grad():
        for tensor in (*model.program.parameters(), *model.program.buffers()):
            tensor.zero_()
    assert not any(child.training for child in model.program.modules())
    assert [child.training for child in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert len(net._forward_hooks) == 1


def test_shared_modules_and_shared_buffers_once():
    assert list(_layers(Shared())) == ["first"]
    tied = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3))
    tied[1].running_mean, tied[1].running_var = tied[0].running_mean, tied[0].running_var
    assert list(_layers(tied)) == ["0"]


class FrozenBatchNorm2d(nn.Module):
    def __init__(self):
        super().__init__()
        self.epsilon = 1e-4
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.ones(3))


class InPlaceABN(FrozenBatchNorm2d):
    pass


class Whitening(FrozenBatchNorm2d):
    pass


class LayerNorm2d(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5))


class LlamaRMSNorm(LayerNorm2d):
    pass


class PreLayerNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(5)


def test_layers_that_users_write():
    names = ("frozen", "abn", "whitening", "layer2d", "rms", "pre")
    classes = (FrozenBatchNorm2d, InPlaceABN, Whitening, LayerNorm2d, LlamaRMSNorm, PreLayerNorm)
    net = nn.ModuleDict({name: written() for name, written in zip(names, classes, strict=True)})
    found = {name: (layer.kind, layer.trainable_class, layer.has_statistics) for name, layer in _layers(net).items()}
    assert found == {
        "frozen": ("batch_norm", False, True),
        "abn": ("batch_norm", None, True),
        "whitening": ("other", None, True),
        "layer2d": ("layer_norm", None, False),
        "rms": ("rms_norm", None, False),
        "pre.norm": ("layer_norm", None, False),
    }
    assert _layers(net)["frozen"].eps == 1e-4
    assert _layers(net)["layer2d"].channels == 5


def test_settings_of_torchs_own_layers():
    layers = _layers(
        nn.ModuleDict(
            {
                "sync": nn.SyncBatchNorm(3),
                "cumulative": nn.BatchNorm1d(3, momentum=None),
                "instance": nn.InstanceNorm2d(7),
                "image": nn.LayerNorm((2, 3)),
                "bare": nn.GroupNorm(2, 4, affine=False),
            }
        )
    )
    assert layers["sync"].trainable_class is True
    assert layers["cumulative"].momentum is None
    assert (layers["instance"].channels, layers["instance"].expects_statistics) == (7, False)
    assert (layers["image"].channels, layers["image"].weight.shape) == (6, (6,))
    assert (layers["bare"].channels, layers["bare"].weight) == (4, None)


def test_a_module_that_is_one_layer():
    (layer,) = from_module(nn.BatchNorm1d(3)).layers
    assert layer.name == ""


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda net: torch.compile(net, backend="eager")])
def test_wrappers_are_taken_off(wrap):
    model = from_module(wrap(Small()))
    assert model.path == "Small"
    assert [layer.name for layer in model.layers] == ["bn1"]


def test_an_fx_graph_of_modules():
    net = trained(Small())
    model = from_module(torch.fx.symbolic_trace(net))
    assert model.format == "module"
    assert [(layer.name, layer.eps) for layer in model.layers] == [("bn1", 1e-5)]
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(model.program(x), net(x))


def test_names_by_storage_first_name_wins():
    net = Small()
    net.tied = nn.Linear(4, 5)
    net.tied.weight = net.fc.weight
    net.register_buffer("empty", torch.empty(0))
    model = from_module(net)
    assert model.tensor_names[model.program.tied.weight.data_ptr()] == "fc.weight"
    assert "empty" not in model.tensor_names.values()
    assert 0 not in model.tensor_names


def test_convolutions():
    assert from_module(nn.Sequential(nn.ConvTranspose1d(3, 3, 1))).has_convolutions
    assert not from_module(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))).has_convolutions


def test_modules_that_have_no_values():
    with pytest.raises(ModelError, match=r"0.running_mean is lazy|0.weight is lazy"):
        from_module(nn.Sequential(nn.LazyBatchNorm1d()))
    with pytest.raises(ModelError, match="meta device"):
        from_module(nn.BatchNorm1d(3, device="meta"))


def test_a_module_that_cannot_be_copied():
    net = Small()
    net.lock = threading.Lock()
    with pytest.raises(ModelError, match=r"The Small cannot be copied \(.*lock.*save|The Small cannot be copied"):
        from_module(net)


def test_other_objects():
    with pytest.raises(UsageError, match="not a dict"):
        from_module({"weight": torch.ones(3)})
