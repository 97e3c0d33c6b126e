import io
import warnings

import numpy as np
import pytest
import torch
from model_networks import Net, Shared, Small, trained
from torch import nn

import bncheck
from bncheck.errors import DataError, ModelError
from bncheck.formats import from_module, open_model
from bncheck.results.notes import sentences


def _quiet(call, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments)


def _script(module):
    return _quiet(torch.jit.script, module)


def _trace(module, x):
    return _quiet(torch.jit.trace, module, x)


def _saved(module, path):
    _quiet(torch.jit.save, module, str(path))
    return path


@pytest.fixture(scope="module")
def net():
    return trained(Net())


@pytest.fixture(scope="module")
def scripts(net):
    return {"scripted": _script(net), "traced": _trace(net, torch.rand(2, 3, 8, 8))}


@pytest.mark.parametrize("way", ["scripted", "traced"])
def test_layers_and_program(net, scripts, tmp_path, way):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the user sees nothing of TorchScript's deprecation
        model = open_model(_saved(scripts[way], tmp_path / "net.pt"))
    assert model.format == "torchscript"
    assert [(layer.name, layer.kind, layer.channels, layer.eps) for layer in model.layers] == [
        ("stem.bn_odd_9", "batch_norm", 4, 1e-3),
        ("stem.inst", "instance_norm", 4, 1e-5),
        ("group", "group_norm", 4, 1e-5),
        ("no_stats", "batch_norm", 4, 1e-5),
        ("inner.1", "batch_norm", 6, 1e-5),
        ("layer", "layer_norm", 6, 1e-5),
        ("rms", "rms_norm", 6, None),
    ]
    first = model.layers[0]
    np.testing.assert_array_equal(first.var, net.stem.bn_odd_9.running_var.double().numpy())
    assert (first.momentum, first.updates, first.trainable_class) == (0.03, 17, True)
    assert [layer.expects_statistics for layer in model.layers] == [True, True, False, False, True, False, False]
    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(model.program(x), net(x))
    assert model.has_convolutions
    assert "stem.bn_odd_9.running_mean" in model.tensor_names.values()


@pytest.mark.parametrize("way", ["scripted", "traced"])
def test_a_script_handed_over_is_copied(scripts, way):
    script = scripts[way]
    before = script.stem.bn_odd_9.running_var.clone()
    model = from_module(script)
    assert model.format == "torchscript"
    with torch.no_grad():
        for tensor in (*model.program.parameters(), *model.program.buffers()):
            tensor.zero_()
    assert torch.equal(script.stem.bn_odd_9.running_var, before)


def test_training_mode_is_left(tmp_path):
    script = _script(Small().train())
    model = from_module(script)
    assert script.training
    assert not model.program.training


def test_a_shared_layer_once(tmp_path):
    for script in (_script(trained(Shared())), _trace(trained(Shared()), torch.rand(2, 3, 4, 4))):
        model = open_model(_saved(script, tmp_path / "s.pt"))
        assert [layer.name for layer in model.layers] == ["first"]


class Unfolded(torch.nn.Module):
    """BatchNorm before the convolution: freezing cannot fold it, and keeps its statistics as constants."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(3, eps=1e-3)
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(self.norm(x))


def test_frozen_statistics_are_found_as_constants(tmp_path):
    net = trained(Unfolded())
    model = open_model(_saved(_quiet(torch.jit.freeze, _script(net)), tmp_path / "frozen.pt"))
    (layer,) = model.layers
    assert (layer.name, layer.kind, layer.eps, layer.channels) == ("frozen_batch_norm_0", "batch_norm", 1e-3, 3)
    np.testing.assert_array_equal(layer.mean, net.norm.running_mean.double().numpy())
    assert "frozen_batch_norm_0.running_mean" in model.tensor_names.values()


def test_folded_statistics_are_gone(tmp_path):
    model = open_model(_saved(_quiet(torch.jit.freeze, _script(trained(Small()))), tmp_path / "frozen.pt"))
    assert model.layers == ()
    assert model.has_convolutions


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_truncated(tmp_path, share):
    path = _saved(_script(Small()), tmp_path / "net.pt")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match="cut off or damaged"):
        open_model(path)


def test_code_that_does_not_compile(tmp_path):
    path = _saved(_script(Small()), tmp_path / "net.pt")
    content = path.read_bytes()
    assert b"code/" in content
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"def (" if name.endswith(".py") else source.read(name))
    with pytest.raises(ModelError, match="TorchScript archive that cannot be loaded") as caught:
        open_model(path)
    assert "\n" not in str(caught.value)


def test_options_without_use_are_noted(tmp_path):
    path = _saved(_script(Small()), tmp_path / "net.pt")
    assert sentences(open_model(path, arch="net.py:f").notes) == (
        "arch was ignored: a TorchScript archive needs none.",
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (torch.randint(0, 5, (8, 3, 6, 6)), r"Input type \(long int\) and bias type \(float\) should be the same\. "),
        (torch.rand(8, 5, 6, 6), r"expected input\[4, 5, 6, 6\] to have 3 channels, but got 5 channels instead\. "),
    ],
    ids=["whole numbers", "channels"],
)
def test_why_data_do_not_fit_is_told(data, reason):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval())
    with pytest.raises(DataError, match=rf"it says: .*{reason}"):
        bncheck.inspect(script, data)
