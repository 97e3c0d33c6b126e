"""Folded torch programs, TorchScript, fused modules and exported graphs, beside the network they came from."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from folded_nets import (
    Pooled,
    Residual,
    assert_same,
    codes,
    conv,
    images,
    inspect_both,
    measured_alone,
    notes,
    report_of,
    skipped,
    the,
    three_blocks,
    trained,
)
from torch import nn

import bncheck
from bncheck.errors import ModelError
from bncheck.results.report import Report


@pytest.fixture(autouse=True)
def _no_deprecations() -> Iterator[None]:
    """torch deprecates TorchScript, fx fusion and quantization; they are what people have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def frozen(net: nn.Module, x: np.ndarray, folder: Path) -> Any:
    torch.jit.freeze(torch.jit.script(net)).save(str(folder / "frozen.pt"))
    return folder / "frozen.pt"


def frozen_trace(net: nn.Module, x: np.ndarray, folder: Path) -> Any:
    torch.jit.freeze(torch.jit.trace(net, torch.from_numpy(x[:3]))).save(str(folder / "frozen_trace.pt"))
    return folder / "frozen_trace.pt"


def frozen_in_memory(net: nn.Module, x: np.ndarray, folder: Path) -> Any:
    return torch.jit.freeze(torch.jit.script(copy.deepcopy(net)))


def fused_by_fx(net: nn.Module, x: np.ndarray, folder: Path) -> Any:
    from torch.fx.experimental.optimization import fuse

    return fuse(copy.deepcopy(net))


def fused_in_place(net: nn.Module, x: np.ndarray, folder: Path) -> Any:
    groups = [["body.0", "body.1", "body.2"], ["body.3", "body.4", "body.5"], ["body.6", "body.7"]]
    return torch.ao.quantization.fuse_modules(copy.deepcopy(net), groups)


def fused_and_pickled(net: nn.Module, x: np.ndarray, folder: Path) -> Any:
    torch.save(fused_in_place(net, x, folder), folder / "fused.pkl")
    return folder / "fused.pkl"


def program(net: nn.Module, x: np.ndarray) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch")
    return torch.export.export(net, (torch.from_numpy(x[:3]),), dynamic_shapes=({0: batch},))


def exported_program(net: nn.Module, x: np.ndarray, folder: Path) -> Any:
    torch.export.save(program(fused_by_fx(net, x, folder), x), folder / "fused.pt2")
    return folder / "fused.pt2"


def decomposed_program(net: nn.Module, x: np.ndarray, folder: Path) -> Any:
    torch.export.save(program(fused_by_fx(net, x, folder), x).run_decompositions(), folder / "decomposed.pt2")
    return folder / "decomposed.pt2"


FORMS = [
    *(frozen, frozen_trace, frozen_in_memory, fused_by_fx, fused_in_place, fused_and_pickled),
    *(exported_program, decomposed_program),
]
Form = Callable[[nn.Module, np.ndarray, Path], Any]


@pytest.mark.parametrize("form", FORMS)
def test_the_report_of_a_folded_program_is_that_of_the_network(form: Form, tmp_path):
    net, x = three_blocks(), images()
    got, wanted = inspect_both(net, form(net, x, tmp_path), x, trust_pickle=True)
    assert_same(got, wanted)
    assert [layer.name for layer in got.layers] == ["body.1", "body.4", "body.7"]
    assert codes(got) == codes(wanted)
    assert got.summary.exit_code == wanted.summary.exit_code
    assert "3 folded layers are read through Pooled" in notes(got)
    assert "Outputs compared" in notes(got)


@measured_alone
@pytest.mark.parametrize("form", FORMS)
def test_statistics_that_moved_since_are_found(form: Form, tmp_path):
    net, x = three_blocks(), images()
    model, wanted = form(net, x, tmp_path), report_of(net, x)
    torch.save(net.state_dict(), tmp_path / "state.pt")
    state = net.state_dict()
    state["body.4.running_mean"] += 0.5
    torch.save(state, tmp_path / "stale.pt")
    report = bncheck.inspect(model, x, reference=tmp_path / "stale.pt", trust_pickle=True)
    assert the(report, "BN403").layer == "body.4"
    assert [layer.gap for layer in report.layers] == pytest.approx([layer.gap for layer in wanted.layers], rel=1e-3)
    assert "BN403" not in codes(bncheck.inspect(model, reference=tmp_path / "state.pt", trust_pickle=True))


KINDS = {
    "1-D": (Pooled(nn.Conv1d(4, 5, 3), nn.BatchNorm1d(5), nn.ReLU(), nn.Conv1d(5, 4, 2), nn.BatchNorm1d(4)), (4, 9)),
    "3-D": (Pooled(nn.Conv3d(2, 5, 2, bias=False), nn.BatchNorm3d(5, affine=False)), (2, 4, 5, 4)),
    "depthwise": (Pooled(nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.BatchNorm2d(4)), (4, 6, 6)),
    "linear": (nn.Sequential(nn.Linear(7, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 3)), (7,)),
}


@measured_alone
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_operation(kind, tmp_path):
    net, shape = KINDS[kind]
    net, x = trained(net), images(*shape)
    torch.jit.freeze(torch.jit.script(net)).save(str(tmp_path / "frozen.pt"))
    got, wanted = inspect_both(net, tmp_path / "frozen.pt", x)
    assert_same(got, wanted)


@measured_alone
def test_a_layer_that_freezing_leaves_is_compared_under_its_new_name(tmp_path):
    """Behind a transposed convolution: its statistics are constants, and its name is lost."""
    net, x = trained(Pooled(nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6))), images(4, 5, 5)
    model = frozen(net, x, tmp_path)
    (layer,), (wanted,) = (report.layers for report in inspect_both(net, model, x))
    assert (layer.name, layer.gap) == ("frozen_batch_norm_0", pytest.approx(wanted.gap, rel=1e-3))
    net.body[1].running_mean += 1
    assert the(bncheck.inspect(model, reference=net), "BN403").layer == "frozen_batch_norm_0"


@measured_alone
def test_transposed_convolutions_fused_by_hand(tmp_path):
    net, x = trained(Pooled(nn.ConvTranspose2d(4, 6, 3, stride=2), nn.BatchNorm2d(6))), images(4, 5, 5)
    fused = torch.nn.utils.fusion.fuse_conv_bn_eval(net.body[0], net.body[1], transpose=True)
    got, wanted = inspect_both(net, Pooled(fused).eval(), x)
    assert_same(got, wanted)


@measured_alone
def test_convolutions_that_meet_in_an_add(tmp_path):
    net, x = trained(Residual()), images()
    got, wanted = inspect_both(net, frozen(net, x, tmp_path), x)
    assert_same(got, wanted)


@measured_alone
def test_a_layer_that_runs_twice(tmp_path):
    class Repeated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn = conv(3, 3, padding=1), nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(2):
                x = torch.relu(self.bn(self.conv(x)))
            return x.mean((2, 3))

    net, x = trained(Repeated()), images()
    got, wanted = inspect_both(net, frozen(net, x, tmp_path), x)
    assert_same(got, wanted)
    assert got.layers[0].calls == 2


@measured_alone
def test_the_users_modules_stay_as_they_are():
    net, x = three_blocks(), images()
    folded = torch.jit.freeze(torch.jit.script(copy.deepcopy(net)))
    before, output = copy.deepcopy(net.state_dict()), folded(torch.from_numpy(x))
    bncheck.inspect(folded, x, reference=net)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(folded(torch.from_numpy(x)), output)
    assert not net.training


@measured_alone
def test_a_linear_layer_with_its_channels_last_is_not_taken_for_the_layers_input():
    """(N, T, C) with as many steps as channels: a layer over axis 1 was never folded here."""

    class Tokens(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x).mean(1)

    plain = trained(nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)))
    folded = Tokens(torch.nn.utils.fusion.fuse_linear_bn_eval(plain[0], plain[1])).eval()
    report = bncheck.inspect(folded, images(4, 6), reference=plain)
    assert skipped(report) == {"1": "unsupported"}
    assert "Outputs were not compared: their shapes are (64, 4) and, of Sequential, (64, 4, 4)" in notes(report)
    assert report.summary.exit_code == 4


@measured_alone
def test_dropout_left_on_is_found_by_the_outputs(tmp_path):
    class Dropping(nn.Module):
        def __init__(self, inner: nn.Module, rate: float) -> None:
            super().__init__()
            self.inner, self.rate = inner, rate

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.inner.body[:3](x)
            return self.inner.body[3:](nn.functional.dropout(y, self.rate, True)).mean((2, 3))

    net, x = three_blocks(), images()

    def inspected(rate: float) -> Report:
        dropping = torch.jit.trace(Dropping(net, rate).eval(), torch.from_numpy(x[:3]), check_trace=False)
        return bncheck.inspect(torch.jit.freeze(dropping), x, reference=net)

    assert "BN403" not in codes(inspected(0.0))
    evidence = the(inspected(0.5), "BN403").evidence
    assert (evidence["parts_at"], evidence["agrees_until"]) == ("body.4", "body.1")


def test_a_state_dict_of_a_fused_module_is_audited_through_its_reference(tmp_path):
    """Without its architecture there is nothing to run, and all the same something to compare."""
    net = three_blocks()
    torch.save(fused_by_fx(net, images(), tmp_path).state_dict(), tmp_path / "fused.pt")
    report = bncheck.inspect(tmp_path / "fused.pt", reference=net)
    assert [(layer.name, layer.status) for layer in report.layers] == [
        (name, "audited") for name in ("body.1", "body.4", "body.7")
    ]
    assert (codes(report), report.summary.exit_code) == ([], 0)
    net.body[4].running_var *= 2
    report = bncheck.inspect(tmp_path / "fused.pt", reference=net)
    assert (codes(report), report.summary.exit_code) == (["BN403"], 1)


# Forms that cannot be seen through


def test_what_optimize_for_inference_gives_is_skipped_and_said_to_be():
    """Its convolutions run outside of torch's dispatcher, on weights in MKLDNN's own order."""
    net, x = three_blocks(), images()
    optimized = torch.jit.optimize_for_inference(torch.jit.script(copy.deepcopy(net)))
    if not any("MKLDNN" in node.kind() for node in optimized.graph.nodes()):
        pytest.skip("this build of torch has no MKLDNN: nothing more than freezing happens")
    output = optimized(torch.from_numpy(x))
    report = bncheck.inspect(optimized, x, reference=net)
    assert skipped(report) == dict.fromkeys(["body.1", "body.4", "body.7"], "folded")
    assert (codes(report), report.summary.exit_code) == ([], 4)
    assert "the model has weights that cannot be compared (mkldnn)" in notes(report)
    alone = bncheck.inspect(optimized, x)
    assert (codes(alone), alone.summary.exit_code) == (["BN705"], 4)
    assert torch.equal(optimized(torch.from_numpy(x)), output)


@measured_alone
def test_a_file_that_optimize_for_inference_left_without_its_weights(tmp_path):
    optimized = torch.jit.optimize_for_inference(torch.jit.script(three_blocks()))
    if not any("MKLDNN" in node.kind() for node in optimized.graph.nodes()):
        pytest.skip("this build of torch has no MKLDNN: nothing more than freezing happens")
    optimized.save(str(tmp_path / "optimized.pt"))
    with pytest.raises(ModelError, match=r"TorchScript archive .* torch\.jit\.optimize_for_inference turns"):
        bncheck.inspect(tmp_path / "optimized.pt")


@pytest.mark.parametrize("scripted", [False, True])
def test_quantized_modules_are_a_note_and_no_finding(scripted):
    import torch.ao.quantization as quantization

    engines = [name for name in torch.backends.quantized.supported_engines if name in ("fbgemm", "qnnpack")]
    if not engines:
        pytest.skip("this build of torch has no quantized kernels")
    net, x = three_blocks(), images()
    groups = [["1.0", "1.1", "1.2"], ["1.3", "1.4", "1.5"], ["1.6", "1.7"]]
    body = nn.Sequential(quantization.QuantStub(), copy.deepcopy(net.body), quantization.DeQuantStub()).eval()
    body = quantization.fuse_modules(body, groups)
    body.qconfig = quantization.get_default_qconfig(engines[0])
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engines[0]
    try:
        quantization.prepare(body, inplace=True)
        body(torch.from_numpy(x))
        quantization.convert(body, inplace=True)
        report = bncheck.inspect(torch.jit.script(body) if scripted else body, x, reference=net)
    finally:
        torch.backends.quantized.engine = before
    assert skipped(report) == dict.fromkeys(["body.1", "body.4", "body.7"], "folded")
    assert (codes(report), report.summary.exit_code) == ([], 4)
    assert "cannot be compared (quantized)" in notes(report)


def test_without_a_reference_a_frozen_module_is_not_checked(tmp_path):
    report = bncheck.inspect(frozen(three_blocks(), images(), tmp_path), images())
    assert (codes(report), report.summary.exit_code) == (["BN705"], 4)
    assert ': reference="model.pt"' in report.findings[0].fix


@measured_alone
def test_another_checkpoint_altogether(tmp_path):
    other = trained(three_blocks(), seed=9)
    with pytest.raises(ModelError, match=r"No normalization layer of Pooled is found in .*frozen\.pt"):
        bncheck.inspect(frozen(three_blocks(), images(), tmp_path), reference=other)
