"""Quantized models: whatever file they come in, they are told as such, compared in a note, and accused of nothing."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from folded_nets import Pooled, codes, conv, images, notes, skipped, trained
from torch import nn

import bncheck
from bncheck.api.opening import model_of
from bncheck.formats.quantization import class_of, computes_in_steps, holds_quantized
from bncheck.settings import ModelSettings

ENGINES = [name for name in torch.backends.quantized.supported_engines if name in ("x86", "fbgemm", "qnnpack")]
LAYERS = ["body.1", "body.4"]


@pytest.fixture(autouse=True)
def _engine() -> Iterator[None]:
    """torch deprecates eager quantization and TorchScript; they are what people have."""
    if not ENGINES:
        pytest.skip("this build of torch has no quantized kernels")
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = ENGINES[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    torch.backends.quantized.engine = before


def network() -> nn.Module:
    return trained(Pooled(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 5), nn.BatchNorm2d(5)))


class Quantized(nn.Module):
    """What static quantization makes of the network's body; ranges are taken from the images."""

    def __init__(self, net: nn.Module, share: float = 1.0) -> None:
        super().__init__()
        import torch.ao.quantization as quantization

        body = nn.Sequential(quantization.QuantStub(), copy.deepcopy(net.body), quantization.DeQuantStub()).eval()
        body = quantization.fuse_modules(body, [["1.0", "1.1", "1.2"], ["1.3", "1.4"]])
        body.qconfig = quantization.get_default_qconfig(ENGINES[0])
        quantization.prepare(body, inplace=True)
        body(torch.from_numpy(images() * share))
        self.inner = quantization.convert(body)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x).mean((2, 3))


def scripted(model: nn.Module, folder: Path) -> Path:
    torch.jit.script(model).save(str(folder / "scripted.pt"))
    return folder / "scripted.pt"


def traced_and_frozen(model: nn.Module, folder: Path) -> Path:
    frozen = torch.jit.freeze(torch.jit.trace(model, torch.from_numpy(images()[:3])))
    frozen.save(str(folder / "frozen.pt"))
    return folder / "frozen.pt"


def in_memory(model: nn.Module, folder: Path) -> nn.Module:
    return model


@pytest.mark.parametrize("form", [scripted, traced_and_frozen, in_memory])
def test_a_correct_export_is_a_note_with_the_difference_and_no_finding(form, tmp_path):
    """Ranges taken from darker images clip: outputs differ by more than rounding, as quantization has it."""
    net = network()
    model = Quantized(net, 0.7).eval()
    report = bncheck.inspect(form(model, tmp_path), images(), reference=net)
    assert (codes(report), report.summary.exit_code) == ([], 4)
    assert skipped(report) == dict.fromkeys(LAYERS, "folded")
    assert "the model has weights that cannot be compared (quantized)" in notes(report)
    difference = float(notes(report).split("relative difference ")[1].split()[0].strip(".'\")"))
    assert difference > 0.01


def test_a_state_dict_is_told_from_that_of_another_network(tmp_path):
    net = network()
    model = Quantized(net).eval()
    torch.save(model.state_dict(), tmp_path / "state.pt")
    report = bncheck.inspect(tmp_path / "state.pt", reference=net)
    assert (codes(report), report.summary.exit_code) == ([], 4)
    assert "the model has weights that cannot be compared (quantized)" in notes(report)
    run = bncheck.inspect(tmp_path / "state.pt", images(), reference=net, arch=lambda: Quantized(trained(net, 3)))
    assert (codes(run), run.summary.exit_code) == ([], 4)
    opened = model_of(ModelSettings(tmp_path / "state.pt", lambda: Quantized(network())))
    torch.testing.assert_close(opened.module()(torch.from_numpy(images())), model(torch.from_numpy(images())))


def dense() -> nn.Module:
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    return torch.ao.quantization.quantize_dynamic(trained(net), {nn.Linear}, dtype=torch.qint8)


def test_packed_weights_of_a_state_dict_are_loaded_and_the_norms_between_measured(tmp_path):
    """They stand in tuples, not in tensors: whoever leaves them out runs the architecture's own weights."""
    model, x = dense(), images(3, 4, 4)
    torch.save({f"module.{name}": value for name, value in model.state_dict().items()}, tmp_path / "state.pt")
    opened = model_of(ModelSettings(tmp_path / "state.pt", lambda: nn.Sequential(*dense())))
    assert torch.equal(opened.module()(torch.from_numpy(x)), model(torch.from_numpy(x)))
    assert opened.is_quantized()
    assert bncheck.inspect(tmp_path / "state.pt").summary.exit_code == 0
    gaps = [bncheck.inspect(one, x).layers[0].gap for one in (model, scripted(model, tmp_path))]
    assert gaps[0] == pytest.approx(gaps[1], rel=1e-6)
    with pytest.raises(bncheck.ModelError, match=r"does not fit the architecture"):
        bncheck.inspect(tmp_path / "state.pt", x, arch=lambda: trained(nn.Sequential(nn.Flatten(), nn.Linear(48, 3))))


def test_a_pickled_module_that_torch_does_not_restore_is_an_unreadable_file(tmp_path):
    torch.save(Quantized(network()), tmp_path / "module.pt")
    with pytest.raises(bncheck.ModelError, match=r"cannot be listed: .* save it scripted"):
        bncheck.inspect(tmp_path / "module.pt", trust_pickle=True)


# One place decides


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        *((name, True) for name in ("quantized::conv2d_relu", "aten::quantize_per_tensor", "aten::dequantize")),
        ("quantized_decomposed.dequantize_per_channel.default", True),
        ("aten::fake_quantize_per_tensor_affine", True),
        ("torch.ao.nn.quantized.dynamic.modules.linear.Linear", True),
        *((name, True) for name in ("QLinearConv", "DequantizeLinear", "MatMulInteger", "DynamicQuantizeMatMul")),
        *((name, False) for name in ("aten::is_quantized", "aten::conv2d", "Conv", "MatMul", "prim::GetAttr")),
        ("torch.ao.nn.quantizable.modules.rnn.LSTM", False),
        ("torch.ao.quantization.stubs.QuantStub", False),
    ],
)
def test_names_of_what_computes_in_steps(name, steps):
    assert computes_in_steps([name]) is steps


@pytest.mark.parametrize(
    ("values", "quantized"),
    [
        ({"conv.weight": torch.ones(2, 3, dtype=torch.int8)}, True),
        ({"attention.bias": torch.ones(1, 1, 8, 8, dtype=torch.uint8)}, False),
        ({"ids.weight": torch.ones(2, 3, dtype=torch.int64), "step": 3, "fc.weight": torch.ones(2, 3)}, False),
    ],
    ids=["int8 weight", "mask", "positions"],
)
def test_types_of_tensors_that_are_quantized(values, quantized):
    assert holds_quantized(values) is quantized


def test_pairs_of_weight_and_bias_are_quantized_where_the_weight_is():
    weight = torch.ones(2, 2)
    assert holds_quantized({"fc._packed": (torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8), None)})
    assert not holds_quantized({"pair": (weight, None)})


def test_a_float_model_that_may_yet_be_quantized_is_none():
    """torchvision's quantizable networks add by a class that stands among the quantized ones."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn = conv(3, 3, 1), nn.BatchNorm2d(3)
            self.add = torch.ao.nn.quantized.FloatFunctional()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.add.add(x, self.bn(self.conv(x))).mean((2, 3))

    net = trained(Residual())
    assert class_of(net.add) == class_of(net) == ""
    opened = model_of(ModelSettings(net))
    assert not opened.is_quantized()
    assert opened.precision() == pytest.approx(2.0**-23)
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.conv.weight.mul_(1.5)
    assert codes(bncheck.inspect(net, images(), reference=other)) == ["BN403"]
